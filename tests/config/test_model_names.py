"""Models of other packages, as ``package.module:Class``: resolved, given defaults, and found again."""

import subprocess
import sys
from pathlib import Path

import pytest
from recbole.model.general_recommender import BPR
from recbole.utils import get_model

from recbole_kd.config import plugins  # noqa: F401  (the methods are known before the modules are)
from recbole_kd.config.configurator import Config, plain_config
from recbole_kd.config.layering import read_layers
from recbole_kd.config.model_names import is_known_model, is_model_path, model_class_of, model_reference, resolve_model
from recbole_kd.config.unused_keys import find_unused_keys
from recbole_kd.errors import KDError

REPO = Path(__file__).resolve().parents[2]
MODULE = """
from recbole.model.general_recommender import BPR as RecBoleBPR

class Dot(RecBoleBPR):
    def __init__(self, config, dataset):
        self.hops = config["hops"]
        super().__init__(config, dataset)

class BPR(RecBoleBPR):
    pass

class NoModel:
    pass

Alias = Dot
"""
NAME = "dot_package.models:Dot"
RECBOLE_MODELS = ["BPR", "LightGCN", "EASE"]


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "site" / "dot_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "models.py").write_text(MODULE)
    (folder / "Dot.yaml").write_text("embedding_size: 64\nhops: 2\nsharp: False\n")
    (folder / "broken.py").write_text("raise RuntimeError('out of\\norder')\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "dot_package"]:
        del sys.modules[name]


def made(*argv, **keys):
    return Config(read_layers("MKD", "toy", config_dict=keys, argv=argv))


@pytest.mark.parametrize(
    ("name", "is_path"),
    [
        ("a:B", True),
        ("a.b_1:C", True),
        ("BPR", False),
        ("a.b.C", False),
        ("a:b:C", False),
        ("a b:C", False),
        (5, False),
    ],
)
def test_a_path_has_a_module_and_a_class(name, is_path):
    assert is_model_path(name) is is_path


def test_both_kinds_of_names_come_to_a_class(package):
    assert resolve_model("BPR") is BPR
    assert resolve_model(NAME).__module__ == "dot_package.models"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere.models:Dot", r"the module 'nowhere.models' cannot be imported \(ModuleNotFoundError"),
        ("dot_package.broken:Dot", r"cannot be imported \(RuntimeError: out of order\)"),
        ("dot_package.models:Dat", "has no Dat"),
        ("dot_package.models:NoModel", "not a subclass of RecBole's AbstractRecommender"),
        ("dot_package.models:BPR", "has the name of a RecBole model"),
        ("dot_package.models:Alias", "is an alias of the class Dot"),
    ],
)
@pytest.mark.parametrize("key", ["student_model", "teacher_model"])
def test_one_that_is_no_model_is_refused(key, name, words, package):
    with pytest.raises(KDError, match=words) as caught:
        read_layers("MKD", "toy", argv=[f"--{key}={name}"])
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_the_config_of_such_a_student(package):
    config = made(f"--student_model={NAME}")
    assert (config["model"], config["model_path"], config["student_model"]) == ("Dot", NAME, NAME)
    assert config.model_class is resolve_model(NAME)
    assert (config["hops"], config["sharp"]) == (2, False)  # of its own file
    assert (config["embedding_size"], config.teacher["embedding_size"]) == (20, 200)  # it has a width
    assert config["learning_rate"] == 0.001  # RecBole's, as for every model
    assert (config.teacher["model"], config.teacher["model_path"]) == ("Dot", NAME)
    assert vars(config).keys() & {"_defaults", "_model_yaml"} == set()


def test_its_keys_lie_below_the_user_s_and_reach_one_side(package):
    config = made(f"--student_model={NAME}", "--hops=5", "--teacher.hops=7", "--teacher.embedding_size=70")
    assert (config["hops"], config.teacher["hops"]) == (5, 7)
    assert (config["embedding_size"], config.teacher["embedding_size"]) == (7, 70)
    plain = made(f"--student_model={NAME}", "--hops=5")
    assert plain.teacher["hops"] == 2  # a key of a model is the student's alone
    with pytest.raises(KDError, match="hops='x' is not a number, and Dot's hops is one, 2 by default"):
        made(f"--student_model={NAME}", "--hops=x")
    with pytest.raises(KDError, match="sharp='no' is out of range"):
        made(f"--student_model={NAME}", "--sharp=no")


def test_its_keys_are_nobody_else_s(package):
    with pytest.raises(KDError, match="unknown key 'hops'"):
        made("--hops=5")
    with pytest.raises(KDError, match=r"hops reaches the student, and BPR has no such key: write teacher.hops for"):
        made(f"--teacher_model={NAME}", "--hops=5")
    with pytest.raises(KDError, match=r"unknown key 'hobs'.*did you mean 'hops'"):
        made(f"--student_model={NAME}", "--hobs=5")
    layers = read_layers("MKD", "toy", argv=[f"--student_model={NAME}", "--hops=5", "--n_layers=3"])
    assert list(find_unused_keys(layers, (NAME, [NAME]), [None])) == ["n_layers"]


def test_such_a_teacher_in_every_notation(package):
    entry = {"model": NAME, "hops": 9}
    for keys in ({"teacher_model": NAME}, {"teachers": [NAME]}, {"teachers": [entry]}):
        config = made(**keys)
        assert (config["model"], config["model_path"]) == ("BPR", None)
        assert (config.teacher["model"], config.teacher["model_path"]) == ("Dot", NAME)
        assert config.teachers[0].label == "Dot"
    assert config.teacher["hops"] == 9
    config = made(teacher_model=["LightGCN", NAME])
    assert [teacher.config["model"] for teacher in config.teachers] == ["LightGCN", "Dot"]
    assert config["teacher_model"] == ["LightGCN", NAME]


def test_a_checkpoint_s_config_is_found_again(package):
    plain = plain_config(made(f"--student_model={NAME}"))
    assert plain["model_path"] == NAME
    for config in (plain, dict(plain.final_config_dict)):  # a Config, and the dict that a checkpoint is read into
        assert model_reference(config) == NAME
        assert model_class_of(config) is resolve_model(NAME)
        assert is_known_model(config)
    layers = read_layers("MKD", "toy", config_dict={"teacher_path": "t.pth"})
    config = Config(layers, [{**plain.final_config_dict, "hops": 4, "embedding_size": 30}])
    assert (config.teacher["model_path"], config.teacher["hops"], config["embedding_size"]) == (NAME, 4, 3)


def test_a_config_from_a_file_imports_nothing(package):
    config = {"model": "Dot", "model_path": NAME}
    assert not is_known_model(config)
    with pytest.raises(KDError, match=r"import dot_package.models first"):
        model_class_of(config)
    assert "dot_package" not in sys.modules
    for path in ("os:system", "dot_package.models:Nobody", "x y", 5):
        assert not is_known_model({"model": "Dot", "model_path": path})


@pytest.mark.parametrize("model", RECBOLE_MODELS)
def test_a_recbole_model_has_no_such_key(model):
    config = made(f"--teacher_model={model}")
    assert "model_path" not in config.final_config_dict and "model_path" not in config.teacher.final_config_dict
    for side in (config.teacher, dict(config.teacher.final_config_dict)):
        assert model_reference(side) == model and model_class_of(side) is get_model(model) and is_known_model(side)
    assert not is_known_model({"model": "MyOwnNet"}) and not is_known_model({"model": "MKD"})


def test_a_model_in_the_working_directory_is_found_by_the_command_line(package):
    code = f"from recbole_kd.config.model_names import resolve_model; print(resolve_model({NAME!r}).__name__)"
    environment = {"PYTHONPATH": f"{package.parent}:{REPO}", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment)
    assert done.stdout == "Dot\n", done.stderr
