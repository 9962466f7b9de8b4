"""Gradient estimators for discrete choices, on NumPy arrays and PyTorch tensors, on the CPU.

    >>> import hardgrad, numpy
    >>> logits = numpy.log(numpy.array([[0.25, 0.75]]))
    >>> reinmax = hardgrad.Estimator("reinmax", tau=1.0)
    >>> noise = hardgrad.Noise(logits, seed=1)
    >>> one_hot = hardgrad.sample(reinmax, logits, noise)
    >>> one_hot
    array([[0., 1.]])
    >>> g = numpy.array([[0.0, 4.0]])  # the gradient of the loss with respect to the sample
    >>> hardgrad.vjp(reinmax, logits, one_hot, noise, g).round(12)
    array([[-0.5,  0.5]])

``hardgrad.torch`` has a differentiable function of PyTorch for each estimator. It is imported when it
is first used, so that the rest needs NumPy only.
"""

import importlib

from ._hardgrad import NAMES, Estimator, Noise, get_num_threads, sample, set_num_threads, vjp

__all__ = ["NAMES", "Estimator", "Noise", "get_num_threads", "sample", "set_num_threads", "vjp"]


def __getattr__(name):
    if name == "torch":
        return importlib.import_module(".torch", __name__)
    raise AttributeError(f"module 'hardgrad' has no attribute {name!r}")
