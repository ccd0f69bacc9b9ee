"""The examples in the docstrings of the pure functions give the numbers that they show."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import recbole_kd.losses
import recbole_kd.ops

PURE = [
    f"{package.__name__}.{info.name}"
    for package in (recbole_kd.losses, recbole_kd.ops)
    for info in pkgutil.iter_modules(package.__path__)
]
OTHERS = ["recbole_kd.backbone.capabilities", "recbole_kd.term.projectors", "recbole_kd.term.schedule"]


@pytest.mark.parametrize("name", PURE + OTHERS)
def test_the_examples_of_a_module(name):
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert attempted > 0 and failed == 0


@pytest.mark.parametrize("name", PURE)
def test_every_public_function_has_an_example(name):
    module = importlib.import_module(name)
    functions = [value for value in vars(module).values() if inspect.isfunction(value) and value.__module__ == name]
    assert not [one.__name__ for one in functions if not one.__name__.startswith("_") and ">>>" not in one.__doc__]
