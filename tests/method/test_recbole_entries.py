"""RecBole finds every method and its trainer by name; a program that uses none does not import their classes."""

import subprocess
import sys
from pathlib import Path

import pytest
import recbole.trainer
from recbole.utils import ModelType, get_model, get_trainer

from recbole_kd.config.schema import method_names
from recbole_kd.method.registry import method_class
from recbole_kd.trainer.kd_trainer import KDTrainer

REPO = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["MKD", "PCKD", "SLD", "Distiller"])
def test_recbole_finds_a_method_and_its_trainer(name):
    assert get_model(name) is method_class(name) and get_model(name).__name__ == name
    assert get_trainer(ModelType.GENERAL, name) is KDTrainer


def test_all_methods_are_entered_and_nothing_else_has_a_trainer_of_ours():
    assert all(get_trainer(ModelType.GENERAL, name) is KDTrainer for name in method_names())
    assert get_trainer(ModelType.GENERAL, "BPR") is recbole.trainer.Trainer
    assert get_trainer(ModelType.KNOWLEDGE, "CKE") is recbole.trainer.KGTrainer
    for name in ("mkdTrainer", "MKD", "NoneTrainer"):
        with pytest.raises(AttributeError, match=f"no attribute '{name}'"):
            getattr(recbole.trainer, name)
    with pytest.raises(AttributeError, match="no attribute 'SLD'"):
        _ = sys.modules["recbole.model.general_recommender.mkd"].SLD


def test_the_package_alone_imports_no_method():
    program = (
        "import sys, recbole_kd\n"
        "print(sorted(name for name in sys.modules if name.startswith(('recbole_kd.term', 'recbole_kd.knowledge'))))\n"
        "from recbole.utils import get_model\n"
        "print(get_model('SLD').__mro__[1])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, cwd=REPO)
    assert done.stdout == "[]\n<class 'recbole_kd.method.distiller.Distiller'>\n", done.stderr
