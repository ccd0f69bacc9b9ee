"""What a Config holds, and what of it is saved."""

import itertools
import os
import pickle
import pickletools

import pytest
import yaml
from recbole.config import Config as RecBoleConfig

from recbole_kd.config.configurator import Config, plain_config
from recbole_kd.config.schema import PROPERTIES
from recbole_kd.experiment import make_config
from tests.config.helpers import made, stock, yaml_file


def strings_in(value, seen=None):
    """Every string in a value, down through dicts, lists and attributes: keys as well as values."""
    seen = set() if seen is None else seen
    if isinstance(value, str):
        return {value}
    if id(value) in seen or isinstance(value, type):
        return set()
    seen.add(id(value))
    inner = value if isinstance(value, (list, tuple, set, frozenset)) else []
    inner = itertools.chain(value, value.values()) if isinstance(value, dict) else inner
    inner = itertools.chain(inner, [vars(value)] if hasattr(value, "__dict__") else [])
    return set().union(*(strings_in(item, seen) for item in inner))


def names_of_ours():
    names = {"kd_method", "teacher", "student"}
    for file in (PROPERTIES / "overall.yaml", *(PROPERTIES / "method").glob("*.yaml")):
        names |= set(yaml.safe_load(file.read_text()))
    return names - {"eval_batch_size", "learning_rate"}  # RecBole's own


def everything_of_ours(folder):
    file = yaml_file(folder, "sld_tau: 2.0\nteacher:\n  epochs: 4\nstudent.train_batch_size: 32\nbaseline: False\n")
    own = {"nkd_k": 3, "teacher": {"n_layers": 4}, "student": {"n_layers": 1}, "result_file": "r.json"}
    argv = ["--student_model=LightGCN", "--cpd_k=5", "--teacher.seed=7", "--epochs=6", "--learning_rate=0.5"]
    return made(*argv, config_file_list=[file], config_dict=own)


def test_a_methods_own_learning_rate_is_its_students_and_below_the_users():
    config = made("--model=HetComp", "--dataset=ml-100k")
    assert config["learning_rate"] == 0.005 and config.teacher["learning_rate"] == 0.001
    assert plain_config(config)["learning_rate"] == 0.005  # of the student alone
    config = made("--model=HetComp", "--dataset=ml-100k", "--learning_rate=0.002", "--teacher.learning_rate=0.01")
    assert config["learning_rate"] == 0.002 and config.teacher["learning_rate"] == 0.01


def test_a_saved_config_holds_nothing_of_ours(tmp_path):
    config = everything_of_ours(tmp_path)
    assert "sld_tau" in strings_in(config)  # the walk sees what is there
    for plain in (plain_config(config), config.teacher):
        assert type(plain) is RecBoleConfig
        assert not strings_in(plain) & names_of_ours()
        stored = pickle.dumps(plain, protocol=4)
        words = {word for _, word, _ in pickletools.genops(stored) if isinstance(word, str)}
        assert not words & names_of_ours()
        assert not [word for word in words if word.startswith(("recbole_kd", "teacher.", "student."))]


def test_a_saved_config_is_what_recbole_makes_of_the_same_keys(tmp_path):
    config = everything_of_ours(tmp_path)
    ours = yaml.safe_load((PROPERTIES / "overall.yaml").read_text())
    shared = {"epochs": 6, "eval_batch_size": ours["eval_batch_size"], "gpu_id": os.environ["CUDA_VISIBLE_DEVICES"]}
    student = {"embedding_size": 20, "learning_rate": 0.5, "n_layers": 1, "train_batch_size": 32}
    teacher = {"embedding_size": 200, "n_layers": 4, "epochs": 4, "seed": 7}
    for mine, keys in ((plain_config(config), student), (config.teacher, teacher)):
        theirs = stock("LightGCN", **{**shared, **keys})
        assert mine.final_config_dict == theirs.final_config_dict
        assert set(vars(mine)) == set(vars(theirs))
        again = pickle.loads(pickle.dumps(mine, protocol=4))
        assert again.final_config_dict == theirs.final_config_dict


def test_taking_ours_out_of_a_config_leaves_the_config_itself_as_it_was(tmp_path):
    config = everything_of_ours(tmp_path)
    before = dict(config.final_config_dict)
    plain_config(config)["sld_tau"] = 99
    assert config.final_config_dict == before


@pytest.mark.parametrize("student", ["BPR", "LightGCN", "NGCF", "SimpleX"])
def test_the_students_of_today_pass(student):
    config = made(f"--student_model={student}")
    assert isinstance(config, Config)
    assert config["model"] == student


def test_a_teacher_that_scores_pair_by_pair_is_evaluated_in_smaller_batches():
    assert made("--teacher_model=NeuMF").teacher["eval_batch_size"] == 100_000
    assert made("--teacher_model=NeuMF", "--eval_batch_size=5000").teacher["eval_batch_size"] == 5000
    assert made("--teacher_model=LightGCN").teacher["eval_batch_size"] == 2_000_000


@pytest.mark.parametrize("mode", ["uni10", {"valid": "pop10", "test": "full"}])
def test_sampled_items_are_evaluated_in_smaller_batches(mode):
    config = make_config("SLD", "toy", config_dict={"eval_args": {"mode": mode}})
    assert (config["eval_batch_size"], config.teacher["eval_batch_size"]) == (100_000, 100_000)
    own = {"eval_args": {"mode": mode}, "eval_batch_size": 200_000}
    assert make_config("SLD", "toy", config_dict=own)["eval_batch_size"] == 200_000
