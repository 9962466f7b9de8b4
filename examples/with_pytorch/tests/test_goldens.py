"""The repository's golden vectors, with NumPy only."""

import json
import pathlib

import numpy
import pytest

import hardgrad

DATA = pathlib.Path(__file__).parents[3] / "tests" / "data"
# Those of tests/it/goldens.rs.
TOLERANCES = [("float64", 1e-9), ("float32", 1e-4)]


def estimators(case):
    """The estimators of a case of estimators.json, by their names there."""
    rao = {"tau": case["tau"], "draws": case["K"]}
    make = hardgrad.Estimator
    return {
        "st": make("st", tau=case["tau"]),
        "stgs": make("stgs", tau=case["tau"]),
        "gumbel_rao": make("gumbel-rao", **rao),
        "gst_1.0": make("gst", gap=1.0, tau=case["tau"]),
        "reinmax": make("reinmax", tau=case["tau"]),
        "reinmax_argmax": make("reinmax-argmax", tau=case["tau"]),
        "reinmax_rao": make("reinmax-rao", **rao),
        "rk2_eq27": make("reinmax-rk2", form="eq27", beta=case["beta"]),
        "reinmax_cv_author_code": make("reinmax-cv", form="author-code", eta=case["eta"], **rao),
        "reinmax_cv_printed": make("reinmax-cv", form="printed", eta=case["eta"], **rao),
        "reinmax_cv_shared_noise": make("reinmax-cv", form="shared", eta=case["eta"], **rao),
    }


def field(case):
    """Those of field.json."""
    return {
        "darn": hardgrad.Estimator("darn"),
        "mve": hardgrad.Estimator("mve", lambda_=case["lam"]),
        "mve_limit": hardgrad.Estimator("mve", lambda_=float("inf")),
    }


def cases():
    for file, part, known in [("estimators.json", "cases", estimators), ("field.json", "sample", field)]:
        for case in json.loads((DATA / file).read_text())[part]:
            for name, grad in case["grads"].items():
                shape = "x".join(str(case[size]) for size in "BLC")
                yield pytest.param(case, known(case)[name], grad, id=f"{name}-{shape}")


@pytest.mark.parametrize("dtype, tolerance", TOLERANCES)
@pytest.mark.parametrize("case, estimator, grad", list(cases()))
def test_golden(case, estimator, grad, dtype, tolerance):
    shape = case["B"], case["L"], case["C"]

    def array(numbers, shape=shape):
        return numpy.array(numbers, dtype).reshape(shape)

    logits, g, want = array(case["theta"]), array(case["upstream"]), array(grad)
    exponentials = array(case["exponential"], (case["K"], *shape)) if "exponential" in case else None
    noise = hardgrad.Noise.from_gumbel(array(case["gumbel"]), exponentials)
    one_hot = hardgrad.sample(estimator, logits, noise)
    hot = numpy.array(case["one_hot_index"]).reshape(shape[:2])
    assert (one_hot == numpy.eye(shape[2])[hot]).all()
    got = hardgrad.vjp(estimator, logits, one_hot, noise, g)
    assert (got.dtype, got.shape) == (dtype, shape)
    # Small entries are differences of larger ones, whose rounding they keep.
    assert abs(got - want).max() < tolerance * abs(want).max()
