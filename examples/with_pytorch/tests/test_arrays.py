"""Seeds, refusals, and what is not a number, with NumPy only."""

import copy
import multiprocessing
import pickle
import sys
import threading

import numpy
import pytest

import hardgrad

SHAPE = (50, 4, 8)


def normal(seed, shape=SHAPE, dtype="float32"):
    return numpy.random.default_rng(seed).standard_normal(shape).astype(dtype)


def gradient(name, seed=1, dtype="float32", **hyperparameters):
    estimator, logits = hardgrad.Estimator(name, **hyperparameters), normal(0, dtype=dtype)
    noise = hardgrad.Noise(logits, seed)
    one_hot = hardgrad.sample(estimator, logits, noise)
    return one_hot, hardgrad.vjp(estimator, logits, one_hot, noise, normal(1, dtype=dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", hardgrad.NAMES)
def test_a_seed_gives_the_same_bits_on_any_number_of_threads(name, dtype):
    one_hot, dlogits = gradient(name, 7, dtype)
    assert one_hot.dtype == dlogits.dtype == dtype and one_hot.shape == dlogits.shape == SHAPE
    assert numpy.allclose(one_hot.sum(-1), 1) and (dlogits != 0).any(-1).all()
    for threads in (1, 3):
        hardgrad.set_num_threads(threads)
        assert hardgrad.get_num_threads() == threads
        again = gradient(name, 7, dtype)
        assert again[0].tobytes() == one_hot.tobytes() and again[1].tobytes() == dlogits.tobytes()
    assert gradient(name, 8, dtype)[0].tobytes() != one_hot.tobytes()


def test_the_sample_has_the_probabilities_of_the_softmax():
    pi = numpy.array([0.1, 0.2, 0.7])
    logits = numpy.ascontiguousarray(numpy.broadcast_to(numpy.log(pi), (40_000, 3)))
    one_hot = hardgrad.sample(hardgrad.Estimator("st"), logits, hardgrad.Noise(logits, 3))
    error = numpy.sqrt(pi * (1 - pi) / len(logits))
    assert (abs(one_hot.mean(0) - pi) < 5 * error).all()


def test_names_are_the_estimators_of_a_sample():
    assert {"st", "gumbel-rao", "reinmax", "reinmax-cv", "mve", "gumbel-softmax"} <= set(hardgrad.NAMES)
    assert "reinforce" not in hardgrad.NAMES
    names = ", ".join(hardgrad.NAMES)
    with pytest.raises(ValueError) as e:
        hardgrad.Estimator("gumbel")
    assert str(e.value) == f'estimator: got "gumbel", expected one of {names}'
    with pytest.raises(ValueError, match="because this one needs the loss itself"):
        hardgrad.Estimator("reinforce")


def test_hyperparameters():
    estimator = hardgrad.Estimator("gumbel-rao", tau=0.5)
    assert estimator.hyperparameters == {"tau": 0.5, "draws": 100}
    assert repr(estimator) == 'Estimator("gumbel-rao", tau=0.5, draws=100)'
    assert hardgrad.Estimator("mve", lambda_=3).hyperparameters == {"lambda_": 3.0}
    assert hardgrad.Estimator("gst", gap="probability").hyperparameters["gap"] == "probability"
    for same in (copy.deepcopy(estimator), pickle.loads(pickle.dumps(estimator))):
        assert repr(same) == repr(estimator)
    with pytest.raises(ValueError, match="^tau: got -1, expected a finite number > 0$"):
        hardgrad.Estimator("reinmax", tau=-1.0)
    with pytest.raises(ValueError, match="^draws: got 2.5, expected a whole number$"):
        hardgrad.Estimator("gumbel-rao", draws=2.5)
    with pytest.raises(TypeError, match="^beta: gumbel-rao has no such hyper-parameter, only tau, draws$"):
        hardgrad.Estimator("gumbel-rao", beta=1)


def call(logits=None, noise=None, one_hot=None, g=None):
    """vjp with one argument replaced."""
    fine = normal(0)
    noise = hardgrad.Noise(fine, 1) if noise is None else noise
    one_hot = hardgrad.sample(hardgrad.Estimator("st"), fine, hardgrad.Noise(fine, 1)) if one_hot is None else one_hot
    logits, g = fine if logits is None else logits, fine if g is None else g
    return hardgrad.vjp(hardgrad.Estimator("st"), logits, one_hot, noise, g)


def unaligned():
    array = numpy.frombuffer(b"\0" * (4 * 1600 + 1), numpy.uint8)[1:].view("float32").reshape(SHAPE)
    assert array.flags.c_contiguous and not array.flags.aligned
    return array


@pytest.mark.parametrize("arguments, error, message", [
    ({"g": normal(1, (50, 4, 7))}, ValueError, r"g: got shape \(50, 4, 7\), expected \(50, 4, 8\), the shape of logits"),
    ({"one_hot": normal(1, (1600,))}, ValueError, r"one_hot: got shape \(1600,\), expected \(50, 4, 8\)"),
    ({"noise": hardgrad.Noise(normal(0, (50, 32)), 1)}, ValueError, r"noise: got shape \(50, 32\), expected \(50, 4, 8\)"),
    ({"noise": hardgrad.Noise(normal(0, dtype="float64"), 1)}, TypeError, "noise: got dtype float64, expected float32"),
    ({"g": normal(1, dtype="float64")}, TypeError, r"g: got dtype float64, expected float32, .*\.astype\(numpy\.float32\)"),
    ({"logits": normal(0).astype("float16")}, TypeError, r"logits: got dtype float16, expected float32 or float64"),
    ({"logits": normal(0).astype("int64")}, TypeError, "logits: got dtype int64"),
    ({"logits": normal(0).astype(">f4")}, TypeError, "logits: got dtype >f4"),
    ({"logits": [[1.0, 2.0]]}, TypeError, "logits: got list, expected a numpy.ndarray"),
    ({"g": "text"}, TypeError, "g: got str, expected a numpy.ndarray"),
    ({"logits": numpy.asfortranarray(normal(0))}, ValueError, "logits: .* not contiguous and aligned"),
    ({"g": numpy.asfortranarray(normal(0))}, ValueError, "g: .* not contiguous and aligned"),
    ({"g": normal(0, (50, 4, 16))[..., ::2]}, ValueError, "g: .* not contiguous and aligned"),
    ({"g": normal(0)[::-1]}, ValueError, "g: .* not contiguous and aligned"),
    ({"g": unaligned()}, ValueError, "g: .* not contiguous and aligned"),
    ({"logits": numpy.array(1.0, "float32")}, ValueError, r"logits: got shape \(\), expected \(\.\.\., C\)"),
    ({"logits": normal(0, (3, 0))}, ValueError, r"logits: got shape \(3, 0\), expected \(\.\.\., C\)"),
])
def test_wrong_arguments_are_refused(arguments, error, message):
    call()
    with pytest.raises(error, match=message):
        call(**arguments)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "one", None])
def test_wrong_seeds_are_refused(seed):
    with pytest.raises(ValueError, match=r"seed: got .*, expected a whole number from 0 to 2\*\*64 - 1"):
        hardgrad.Noise(normal(0), seed)
    hardgrad.Noise(normal(0), 2**64 - 1)


def test_wrong_noise_is_refused():
    gumbel = normal(0)
    with pytest.raises(ValueError, match=r"exponentials: got shape \(50, 4, 8\), expected K conditional draws"):
        hardgrad.Noise.from_gumbel(gumbel, abs(gumbel))
    with pytest.raises(ValueError, match="exponentials: expected numbers > 0"):
        hardgrad.Noise.from_gumbel(gumbel, normal(1, (2, *SHAPE)))
    with pytest.raises(TypeError, match="exponentials: got dtype float64"):
        hardgrad.Noise.from_gumbel(gumbel, abs(normal(1, (2, *SHAPE), "float64")))
    assert (hardgrad.Noise.from_gumbel(gumbel).gumbel == gumbel).all()


@pytest.mark.parametrize("name", hardgrad.NAMES)
def test_nan_stays_in_its_variable(name):
    logits = numpy.array([[0.0, numpy.nan, 1.0], [0.0, -numpy.inf, 1.0]])
    noise = hardgrad.Noise(logits, 1)
    one_hot = hardgrad.sample(hardgrad.Estimator(name), logits, noise)
    dlogits = hardgrad.vjp(hardgrad.Estimator(name), logits, one_hot, noise, numpy.array([[1.0, 2, 3]] * 2))
    assert numpy.isnan(one_hot[0]).all() and numpy.isnan(dlogits[0]).all()
    assert one_hot[1, 1] == dlogits[1, 1] == 0 and numpy.isfinite(dlogits[1]).all() and dlogits[1, 0] != 0


def test_arguments_are_not_changed_and_an_empty_batch_is_empty():
    logits = normal(0)
    before = logits.copy()
    call(logits=logits, g=logits)
    assert (logits == before).all()
    empty = normal(0, (0, 4, 8))
    noise = hardgrad.Noise(empty, 1)
    assert hardgrad.sample(hardgrad.Estimator("st"), empty, noise).shape == (0, 4, 8)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own():
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system has no fork")
    hardgrad.set_num_threads(2)
    want = gradient("gumbel-rao")[1]  # the threads of this process run
    with multiprocessing.get_context("fork").Pool(1) as pool:
        got = pool.apply_async(gradient, ("gumbel-rao",)).get(timeout=60)[1]
    assert got.tobytes() == want.tobytes()


def test_the_gil_is_released():
    """Threads of Python take turns when one of them releases the GIL, and here only then."""
    logits = normal(0, (2000, 64, 8))
    estimator, noise = hardgrad.Estimator("gumbel-rao", draws=200), hardgrad.Noise(logits, 1)
    one_hot, go, ran = hardgrad.sample(estimator, logits, noise), threading.Event(), []
    thread = threading.Thread(target=lambda: (go.wait(), ran.append(True)))
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        thread.start()
        go.set()
        assert not ran  # the GIL is still this thread's
        hardgrad.vjp(estimator, logits, one_hot, noise, logits)
        assert ran
    finally:
        sys.setswitchinterval(before)
        thread.join()
