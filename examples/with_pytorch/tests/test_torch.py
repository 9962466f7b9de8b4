"""hardgrad.torch, if PyTorch is installed."""

import inspect

import numpy
import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402

import hardgrad  # noqa: E402

NAMES = [name.replace("-", "_") for name in hardgrad.NAMES]


def normal(seed, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gradient(function, logits, g, **arguments):
    logits = logits.clone().requires_grad_()
    one_hot = function(logits, **arguments)
    (one_hot * g).sum().backward()
    return one_hot.detach(), logits.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_vjp_to_the_bit(name, dtype):
    logits, g = normal(0, 20, 3, 5, dtype=dtype), normal(1, 20, 3, 5, dtype=dtype)
    one_hot, dlogits = gradient(getattr(hardgrad.torch, name), logits, g, seed=4)
    estimator, noise = hardgrad.Estimator(name.replace("_", "-")), hardgrad.Noise(logits.numpy(), 4)
    assert numpy.array_equal(one_hot, hardgrad.sample(estimator, logits.numpy(), noise))
    want = hardgrad.vjp(estimator, logits.numpy(), one_hot.numpy(), noise, g.numpy())
    assert dlogits.dtype == dtype and numpy.array_equal(dlogits, want) and (want != 0).any(-1).all()


def test_the_relaxed_sample_passes_gradcheck():
    logits = normal(0, 4, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: hardgrad.torch.gumbel_softmax(x, 0.7, seed=1), (logits,))


def autograd_of(value):
    """The gradient that PyTorch finds for Σ g · value(θ), with the sample held."""

    def function(logits, g):
        logits = logits.clone().requires_grad_()
        (value(logits) * g).sum().backward()
        return logits.grad

    return function


def test_straight_through_is_the_derivative_of_the_softmax():
    logits, g = normal(2, 6, 3, 4), normal(3, 6, 3, 4)
    _, got = gradient(hardgrad.torch.straight_through, logits, g, tau=0.7, seed=1)
    want = autograd_of(lambda x: torch.softmax(x / 0.7, -1))(logits, g)
    assert torch.allclose(got, want, rtol=1e-12, atol=1e-14)


def test_stgs_is_pytorch_hard_gumbel_softmax():
    logits, g, tau = normal(4, 6, 3, 4), normal(5, 6, 3, 4), 0.6
    one_hot, got = gradient(hardgrad.torch.stgs, logits, g, tau=tau, seed=2)
    gumbel = torch.from_numpy(hardgrad.Noise(logits.numpy(), 2).gumbel)
    soft = torch.softmax((logits + gumbel) / tau, -1)
    assert torch.equal(one_hot, F.one_hot(soft.argmax(-1), 4).to(soft.dtype))
    want = autograd_of(lambda x: torch.softmax((x + gumbel) / tau, -1))(logits, g)
    assert torch.allclose(got, want, rtol=1e-12, atol=1e-14)


def test_reinmax_is_the_published_formula():
    """2 · the derivative of softmax(log((π_τ + D)/2) + θ − detach θ) − ½ · that of π, as its authors write it."""
    logits, g, tau = normal(6, 6, 3, 4), normal(7, 6, 3, 4), 1.3
    one_hot, got = gradient(hardgrad.torch.reinmax, logits, g, tau=tau, seed=3)
    half = (torch.softmax(logits / tau, -1) + one_hot) / 2

    def value(x):
        moved = torch.softmax(half.log() + x - x.detach(), -1)
        return 2 * moved - torch.softmax(x, -1) / 2

    assert torch.allclose(got, autograd_of(value)(logits, g), rtol=1e-12, atol=1e-14)


def conditional(logits, one_hot, tau, draws):
    """Gumbel-Rao as PyTorch's autograd computes it: the mean over the draws of softmax(Y/τ), with Y given D."""
    with torch.no_grad():
        e = torch.empty((draws, *logits.shape), dtype=logits.dtype).exponential_()
        of_d = (e * one_hot).sum(-1, keepdim=True)
        log_pi = torch.log_softmax(logits, -1)
        y = -torch.log(torch.where(one_hot.bool(), of_d, e / log_pi.exp() + of_d))
        offset = y - logits
    return torch.softmax((logits + offset) / tau, -1)


def test_gumbel_rao_has_the_mean_of_pytorch_own():
    torch.manual_seed(0)
    logits, g, tau, draws = normal(8, 3, 4), normal(9, 3, 4), 0.8, 40_000
    one_hot, got = gradient(hardgrad.torch.gumbel_rao, logits, g, tau=tau, draws=draws, seed=5)
    moved = logits.clone().requires_grad_()
    each = torch.autograd.functional.jacobian(
        lambda x: (conditional(x, one_hot, tau, 400) * g).sum((1, 2)), moved, vectorize=True)
    # `each` has the gradient of 400 single draws: their spread gives the standard error of both means.
    spread = each.std(0)
    torch.manual_seed(1)
    want = autograd_of(lambda x: conditional(x, one_hot, tau, draws).mean(0))(logits, g)
    error = spread * (2 / draws) ** 0.5
    assert (abs(got - want) < 5 * error + 1e-12).all() and (spread > 0).all()


def test_torch_manual_seed_governs_without_a_seed():
    logits = normal(0, 30, 8)
    samples = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        samples.append(hardgrad.torch.reinmax(logits))
    assert torch.equal(samples[0], samples[1]) and not torch.equal(samples[0], samples[2])
    assert not torch.equal(hardgrad.torch.reinmax(logits), hardgrad.torch.reinmax(logits))


def test_strided_logits_and_cotangents_are_made_contiguous():
    logits, g = normal(0, 5, 6), normal(1, 5, 6)
    want = gradient(hardgrad.torch.reinmax, logits, g, seed=1)
    strided = normal(0, 5, 6).t().contiguous().t()
    assert not strided.is_contiguous()
    leaf = strided.requires_grad_()
    one_hot = hardgrad.torch.reinmax(leaf, seed=1)
    one_hot.backward(g.t().contiguous().t())
    assert torch.equal(one_hot, want[0]) and torch.equal(leaf.grad, want[1])
    # The cotangent of a sum is one number, broadcast; the gradient of a sum of probabilities is 0.
    leaf = normal(0, 5, 6).requires_grad_()
    hardgrad.torch.straight_through(leaf, seed=1).sum().backward()
    assert leaf.grad.abs().max() < 1e-15


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_other_dtypes_are_refused_with_what_to_do(dtype):
    with pytest.raises(TypeError, match=r"logits: got torch\..*, expected torch\.float32 or .*: convert it with \.float\(\)"):
        hardgrad.torch.reinmax(torch.zeros(2, 3, dtype=dtype))


def test_other_devices_and_types_and_shapes_are_refused():
    with pytest.raises(ValueError, match=r"logits: got a tensor on meta, expected one on the CPU: move it with \.cpu\(\)"):
        hardgrad.torch.reinmax(torch.zeros(2, 3, device="meta"))
    with pytest.raises(TypeError, match="logits: got list, expected a torch.Tensor"):
        hardgrad.torch.reinmax([0.0, 1.0])
    with pytest.raises(ValueError, match=r"logits: got shape \(\), expected \(\.\.\., C\)"):
        hardgrad.torch.reinmax(torch.tensor(1.0))
    with pytest.raises(ValueError, match="tau: got -1, expected a finite number > 0"):
        hardgrad.torch.reinmax(torch.zeros(2, 3), -1)
    with pytest.raises(TypeError, match="draws"):
        hardgrad.torch.reinmax(torch.zeros(2, 3), draws=3)
    with pytest.raises(AttributeError, match="'gumbel_max', expected one of draw, st, stgs, gumbel_rao"):
        hardgrad.torch.gumbel_max


def test_nan_arrives_as_nan():
    logits, g = torch.tensor([[0.0, float("nan")], [0.0, 1.0]]), torch.tensor([[0.0, 4.0]])
    one_hot, dlogits = gradient(hardgrad.torch.reinmax, logits, g, seed=1)
    assert one_hot[0].isnan().all() and dlogits[0].isnan().all() and dlogits[1].isfinite().all()


def test_a_second_derivative_is_refused():
    logits = normal(0, 2, 3).requires_grad_()
    loss = (hardgrad.torch.reinmax(logits, seed=1) ** 2).sum()
    (first,) = torch.autograd.grad(loss, logits, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_a_compiled_model_contains_it():
    logits, g = normal(0, 4, 3), normal(1, 4, 3)

    def model(x):
        return hardgrad.torch.reinmax(2 * x, 1.0, seed=1) * g

    results = []
    for function in (model, torch.compile(model, backend="eager")):
        x = logits.clone().requires_grad_()
        function(x).sum().backward()
        results.append(x.grad)
    assert torch.equal(*results)


def test_signatures_and_docstrings_say_what_there_is():
    signature = inspect.signature(hardgrad.torch.gumbel_rao)
    assert str(signature) == "(logits, tau=1.3, *, draws=100, seed=None)"
    assert str(inspect.signature(hardgrad.torch.mve)) == "(logits, *, lambda_=10.0, seed=None)"
    for name in NAMES:
        function = getattr(hardgrad.torch, name)
        assert function.__name__ == name and all(f"{key}: " in function.__doc__ for key in
                                                inspect.signature(function).parameters)
