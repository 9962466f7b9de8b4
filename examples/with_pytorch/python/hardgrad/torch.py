"""A differentiable sample for each estimator of ``hardgrad.NAMES``, as functions of PyTorch.

    >>> import hardgrad.torch, torch
    >>> logits = torch.tensor([[0.25, 0.75]]).log().requires_grad_()
    >>> one_hot = hardgrad.torch.reinmax(logits, tau=1.0, seed=1)
    >>> (one_hot * torch.tensor([[0.0, 4.0]])).sum().backward()
    >>> logits.grad
    tensor([[-0.5000,  0.5000]])

Logits have shape [..., C] with the categories in the last dimension. They are float32 or float64, on
the CPU; those that are not contiguous are copied, others are read in place. Without a seed, the noise
comes from PyTorch's global generator (``torch.manual_seed``).
"""

import functools
import inspect

import torch

from . import NAMES, Estimator, Noise, sample, vjp


class _Sample(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, estimator, seed):
        logits = logits.detach().contiguous()
        ctx.estimator, ctx.noise = estimator, Noise(logits.numpy(), seed)
        one_hot = torch.from_numpy(sample(estimator, logits.numpy(), ctx.noise))
        ctx.save_for_backward(logits, one_hot)
        return one_hot

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        logits, one_hot = (tensor.detach().numpy() for tensor in ctx.saved_tensors)
        dlogits = vjp(ctx.estimator, logits, one_hot, ctx.noise, g.contiguous().numpy())
        return torch.from_numpy(dlogits), None, None


@torch.compiler.disable  # what is compiled around it stays compiled
def draw(logits, estimator, seed=None):
    """Draws one-hot samples; their backward pass is that of the ``hardgrad.Estimator``."""
    if not isinstance(logits, torch.Tensor):
        raise TypeError(f"logits: got {type(logits).__name__}, expected a torch.Tensor")
    if logits.dtype not in (torch.float32, torch.float64):
        expected = "torch.float32 or torch.float64: convert it with .float()"
        raise TypeError(f"logits: got {logits.dtype}, expected {expected}")
    if logits.device.type != "cpu":
        raise ValueError(f"logits: got a tensor on {logits.device}, expected one on the CPU: move it with .cpu()")
    if seed is None:
        seed = int(torch.randint(2**63 - 1, ()))
    return _Sample.apply(logits, estimator, seed)


@functools.lru_cache
def _estimator(name, hyperparameters):
    return Estimator(name, **dict(hyperparameters))


def _function(name):
    """The function of an estimator: logits, tau if it has one, the other hyper-parameters by keyword, seed."""
    default = Estimator(name)
    kind = inspect.Parameter
    parameters = [kind("logits", kind.POSITIONAL_OR_KEYWORD)]
    for key, value in sorted(default.hyperparameters.items(), key=lambda item: item[0] != "tau"):
        by = kind.POSITIONAL_OR_KEYWORD if key == "tau" else kind.KEYWORD_ONLY
        parameters.append(kind(key, by, default=value))
    parameters.append(kind("seed", kind.KEYWORD_ONLY, default=None))
    signature = inspect.Signature(parameters)

    @torch.compiler.disable
    def function(*args, **kwargs):
        given = signature.bind(*args, **kwargs).arguments
        logits, seed = given.pop("logits"), given.pop("seed", None)
        return draw(logits, _estimator(name, tuple(given.items())), seed)

    function.__name__ = function.__qualname__ = name.replace("-", "_")
    function.__signature__ = signature
    lines = [f"{key}: {about}" for key, about in default.about.items()]
    function.__doc__ = "\n".join([
        f"Samples whose gradient is the estimator {name!r}: {default.formula}.",
        f"Bias: {default.bias}.",
        "",
        "logits: Tensor [..., C], float32 or float64, on the CPU.",
        *lines,
        "seed: Whole number from 0 to 2**64 - 1; without one, torch's generator draws it.",
    ])
    return function


_FUNCTIONS = {name.replace("-", "_"): _function(name) for name in NAMES}
#: What else the estimators are called.
_FUNCTIONS["straight_through"] = _FUNCTIONS["st"]
_FUNCTIONS["straight_through_gumbel_softmax"] = _FUNCTIONS["stgs"]
_FUNCTIONS["gapped_straight_through"] = _FUNCTIONS["gst"]
globals().update(_FUNCTIONS)
__all__ = ["draw", *_FUNCTIONS]


def __getattr__(name):
    raise AttributeError(f"module 'hardgrad.torch' has no {name!r}, expected one of {', '.join(__all__)}")
