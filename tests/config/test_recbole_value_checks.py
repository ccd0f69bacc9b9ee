"""Values of RecBole's own keys that it would take without a check."""

import importlib.machinery
import sys
import types

import pytest

from recbole_kd.config.layering import read_layers
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from tests.config.helpers import made, yaml_file


@pytest.mark.parametrize(
    "key", ["seed", "epochs", "train_batch_size", "learning_rate", "weight_decay", "stopping_step"]
)
def test_recboles_numbers_are_numbers(key):
    with pytest.raises(KDError, match=f"{key}='abc' is out of range: it takes a"):
        make_config("SLD", "ml-100k", config_dict={key: "abc"})


@pytest.mark.parametrize("key", ["epochs", "train_batch_size"])
def test_recboles_counts_are_at_least_one(key):
    with pytest.raises(KDError, match=f"{key}=0 is out of range"):
        make_config("SLD", "ml-100k", config_dict={key: 0})


@pytest.mark.parametrize("key", ["enable_amp", "use_gpu", "shuffle", "repeatable", "show_progress", "log_wandb"])
def test_recboles_switches_are_true_or_false(key):
    """RecBole takes any word for True."""
    for said in ("maybe", "no", "None1"):
        with pytest.raises(KDError, match=f"{key}='{said}' is out of range: it takes True or False"):
            made(f"--{key}={said}")
    for said, value in (("false", False), ("0", 0), ("None", None)):
        assert made(f"--{key}={said}")[key] == value


@pytest.mark.parametrize("name", ["2020", "1e3", "007"])
def test_a_dataset_may_be_called_by_a_number(name, tmp_path):
    file = yaml_file(tmp_path, f"dataset: '{name}'\n")
    for keys in ({"argv": [f"--dataset={name}"]}, {"config_dict": {"dataset": name}}, {"config_file_list": [file]}):
        assert read_layers("MKD", **keys).dataset == name
    assert read_layers("MKD", config_dict={"dataset": 2020}).dataset == "2020"


def test_log_wandb_without_its_package_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # as where it is not installed
    with pytest.raises(KDError, match="log_wandb=True needs the package wandb"):
        made("--log_wandb=True")
    there = types.ModuleType("wandb")
    there.__spec__ = importlib.machinery.ModuleSpec("wandb", None)
    monkeypatch.setitem(sys.modules, "wandb", there)
    assert made("--log_wandb=True")["log_wandb"] is True


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"eval_args": {"splitt": {"RS": [8, 1, 1]}}}, "unknown key 'splitt' in eval_args; did you mean 'split'"),
        ({"eval_args": {"x": 1}}, "unknown key 'x' in eval_args: it takes split, group_by, order, mode"),
        ({"train_neg_sample_args": {"sample_nums": 2}}, "'sample_nums' in .*; did you mean 'sample_num'"),
        ({"teacher": {"train_neg_sample_args": {"dynamical": True}}}, "'dynamical' in train_neg_sample_args"),
    ],
)
def test_unknown_keys_inside_recboles_dicts_are_refused(keys, said):
    with pytest.raises(KDError, match=said):
        made(config_dict=keys)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"sample_num": True}, "sample_num: True is out of range"),
        ({"distribution": "popularity", "alpha": "x"}, "alpha: 'x' is out of range: it takes a number"),
        ({"distribution": "popularity", "alpha": float("inf")}, "alpha: inf is out of range"),
        ({"dynamic": True, "candidate_num": "x"}, "candidate_num: 'x' is out of range: it takes an int in"),
        ({"dynamic": True}, "candidate_num: 0 is out of range"),
    ],
)
def test_numbers_inside_the_negatives_are_checked_before_anything_is_trained(keys, said):
    with pytest.raises(KDError, match=f"train_neg_sample_args: {said}"):
        made(config_dict={"train_neg_sample_args": {"distribution": "uniform", "sample_num": 1} | keys})
    made(config_dict={"train_neg_sample_args": {"distribution": "popularity", "sample_num": 1, "alpha": -0.5}})
    made(config_dict={"train_neg_sample_args": {"dynamic": True, "candidate_num": 3}})
