"""The stub of ``hardgrad.torch`` against the registry, that of the compiled part against the module, and the docs.

``HARDGRAD_WRITE_STUBS=1 pytest tests/test_stubs.py`` writes the stub of ``hardgrad.torch`` anew.
"""

import ast
import doctest
import inspect
import os
import pathlib

import pytest

import hardgrad
from hardgrad import _hardgrad

HERE = pathlib.Path(__file__).parents[1] / "python" / "hardgrad"
HEAD = '''"""A differentiable sample for each estimator, as functions of PyTorch."""

from torch import Tensor

from . import Estimator

def draw(logits: Tensor, estimator: Estimator, seed: int | None = None) -> Tensor: ...
'''


def torch_stub():
    lines = [HEAD]
    for name in hardgrad.torch.__all__[1:]:
        parts = []
        for parameter in inspect.signature(getattr(hardgrad.torch, name)).parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
                parts.append("*")
            key, default = parameter.name, parameter.default
            if key == "logits":
                parts.append("logits: Tensor")
            elif key == "seed":
                parts.append("seed: int | None = None")
            else:
                # A gap may also be a word.
                kind = "float | str" if key == "gap" else type(default).__name__
                parts.append(f"{key}: {kind} = {default!r}")
        lines.append(f"def {name}({', '.join(parts)}) -> Tensor: ...\n")
    return "".join(lines)


def test_the_stub_of_the_functions_is_the_registry():
    pytest.importorskip("torch")
    path = HERE / "torch.pyi"
    if os.environ.get("HARDGRAD_WRITE_STUBS"):
        path.write_text(torch_stub())
    assert path.read_text() == torch_stub()


def test_the_stub_of_the_compiled_part_names_what_it_has():
    declared = {"NAMES"}
    members = {}
    for node in ast.parse((HERE / "_hardgrad.pyi").read_text()).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            declared.add(node.name)
        if isinstance(node, ast.ClassDef):
            members[node.name] = {item.name for item in node.body if not item.name.startswith("__")}
        if isinstance(node, ast.FunctionDef):
            there = inspect.signature(getattr(_hardgrad, node.name))
            assert list(there.parameters) == [argument.arg for argument in node.args.args], node.name
    assert declared == {name for name in vars(_hardgrad) if not name.startswith("__")}
    for name, stub in members.items():
        assert stub == {item for item in vars(getattr(_hardgrad, name)) if not item.startswith("__")}
    for name in hardgrad.__all__[1:]:
        assert getattr(hardgrad, name).__doc__, name


def test_the_examples_of_the_docs():
    failed, run = doctest.testmod(hardgrad)
    assert failed == 0 and run > 4
    pytest.importorskip("torch")
    failed, run = doctest.testmod(hardgrad.torch)
    assert failed == 0 and run > 3
