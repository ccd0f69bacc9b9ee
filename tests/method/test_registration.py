"""A method, a model and a backbone of another package: found by its entry points, they pass the conformance suite."""

import importlib
import sys
from pathlib import Path

import pytest
import recbole.trainer

import recbole_kd.backbone
from recbole_kd import KDError, Term, method_names, register, register_backbone, register_method
from recbole_kd.cli import main
from recbole_kd.config import plugins
from recbole_kd.testing import BackboneConformance, MethodConformance

PACKAGE = Path(__file__).resolve().parents[1] / "files" / "other_package"


def forget_entry_points():
    importlib.invalidate_caches()
    plugins.clear_caches()
    recbole_kd.backbone._installed_families.cache_clear()


@pytest.fixture(scope="module", autouse=True)
def installed():
    """The package as if pip had installed it."""
    sys.path.insert(0, str(PACKAGE))
    forget_entry_points()
    register()
    yield
    sys.path.remove(str(PACKAGE))
    forget_entry_points()
    for name in [name for name in sys.modules if name.startswith("kd_extras") or name.endswith(".pull")]:
        del sys.modules[name]
    vars(recbole.trainer).pop("PullTrainer", None)


class TestPull(MethodConformance):
    method = "Pull"


class TestPullIntoAModelOfThePackage(MethodConformance):
    method = "Pull"
    student = "kd_extras.models:TinyMF"


class TestTinyMF(BackboneConformance):
    model = "kd_extras.models:TinyMF"


def test_the_method_is_listed_and_explained(capsys):
    assert "Pull" in method_names()
    assert main(["--list"]) == 0 and "| Pull " in capsys.readouterr().out
    assert main(["--model=Pull", "--explain"]) == 0 and "pull_k" in capsys.readouterr().out


def test_a_method_is_registered_by_a_call_too(tmp_path):
    class Push(Term):
        layer = "output"

    yaml = tmp_path / "Push.yaml"
    yaml.write_text("# Push: pushes.\n# Paper: none.\n# Sure: a toy.\npush_weight: 1.0  # (float) [0, inf) Weight.\n")
    try:
        register_method(Push, yaml=yaml)
        assert "Push" in method_names()
    finally:
        plugins._added.pop("Push", None)
        plugins.clear_caches()


@pytest.mark.parametrize("target", [object, "Pull", int])
def test_what_is_no_method_is_refused(target):
    with pytest.raises(KDError, match="a subclass of Term or Distiller"):
        register_method(target)


def test_a_name_that_is_taken_is_refused(tmp_path):
    taken = type("SLD", (Term,), {"layer": "output"})
    yaml = tmp_path / "SLD.yaml"
    yaml.write_text("# SLD: again.\n# Paper: none.\n# Sure: a toy.\nsld_weight: 1.0  # (float) [0, inf) Weight.\n")
    with pytest.raises(KDError, match="SLD"):
        register_method(taken, yaml=yaml)


def test_what_is_no_backbone_is_refused():
    with pytest.raises(KDError, match="a subclass of Backbone"):
        register_backbone(dict)
