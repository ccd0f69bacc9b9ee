"""The layers and their order: which side a key reaches, dotted keys and blocks."""

import os
import sys
from pathlib import Path
from unittest import mock

import pytest
import yaml
from recbole.config import Config as RecBoleConfig

from recbole_kd.config.layering import read_layers
from recbole_kd.config.recbole_schema import RECBOLE_PROPERTIES
from recbole_kd.config.schema import PROPERTIES, method_keys
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from tests.config.helpers import by_command_line, by_dict, by_file, layers, made, stock, yaml_file

# Which side a key reaches


@pytest.mark.parametrize(("given", "expected"), [({}, "3"), ({"gpu_id": "0,1"}, "0,1"), ({"gpu_id": ""}, "")])
def test_the_environments_gpus_stay_where_none_are_given(given, expected, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    config = make_config("MKD", "toy", config_dict=given)
    assert config["gpu_id"] == config.teacher["gpu_id"] == os.environ["CUDA_VISIBLE_DEVICES"] == expected


def test_a_gpu_that_one_config_asked_for_is_not_the_next_ones(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    found = [
        make_config("MKD", "toy", config_dict=given)["gpu_id"] for given in ({"gpu_id": ""}, {}, {"gpu_id": 2}, {})
    ]
    assert found == ["", "3", "2", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")  # named anew
    assert make_config("MKD", "toy")["gpu_id"] == "5"


@pytest.mark.parametrize("key", ["gpu_id", "use_gpu"])
def test_all_models_of_a_run_share_a_device(key):
    with pytest.raises(KDError, match=f"'{key}' in the block 'teacher' of config_dict is no key of one side"):
        make_config("MKD", "toy", config_dict={"teacher": {key: "1"}})
    with pytest.raises(KDError, match=f"'{key}' in teachers is no key of one teacher"):
        make_config("RRD", "toy", config_dict={"teachers": [{"model": "BPR", key: "1"}]})


def test_recboles_gpu_is_taken_where_the_environment_names_none(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert make_config("MKD", "toy")["gpu_id"] == "0"


BOTH = {
    "seed": 7,
    "reproducibility": False,
    "epochs": 7,
    "train_batch_size": 64,
    "eval_batch_size": 128,
    "eval_step": 2,
    "stopping_step": 3,
    "metrics": ["MRR"],
    "topk": [5, 10],
    "valid_metric": "NDCG@10",
    "load_col": None,
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
    "metric_decimal_place": 6,
    "repeatable": True,
    "USER_ID_FIELD": "who",
    "field_separator": ",",
    "clip_grad_norm": {"max_norm": 5},
    "val_interval": {"rating": "[3,inf)"},
    "user_inter_num_interval": "[5,inf)",
    "rm_dup_inter": "first",
    "benchmark_filename": ["a", "b", "c"],
    "checkpoint_dir": "elsewhere",
    "encoding": "latin-1",
    "train_neg_sample_args": {
        "distribution": "popularity",
        "sample_num": 2,
        "alpha": 0.5,
        "dynamic": False,
        "candidate_num": 0,
    },
}


@pytest.mark.parametrize("key", BOTH)
def test_keys_of_data_evaluation_and_budget_reach_both_sides(key):
    config = made(config_dict={key: BOTH[key]})
    plain = stock(**{key: BOTH[key]})[key]
    assert plain != stock()[key]
    assert config[key] == plain
    assert config.teacher[key] == plain


STUDENT_ONLY = {"n_layers": 3, "reg_weight": 0.5, "learner": "sgd", "learning_rate": 0.5, "weight_decay": 0.1}


@pytest.mark.parametrize("key", STUDENT_ONLY)
def test_keys_of_model_and_learner_reach_the_student_alone(key):
    config = made("--student_model=LightGCN", config_dict={key: STUDENT_ONLY[key]})
    plain = stock("LightGCN")
    assert plain[key] != STUDENT_ONLY[key]
    assert config[key] == STUDENT_ONLY[key]
    assert config.teacher[key] == plain[key]


@pytest.mark.parametrize("key", {**BOTH, **STUDENT_ONLY})
def test_a_key_of_one_side_reaches_that_side_alone(key):
    value = {**BOTH, **STUDENT_ONLY}[key]
    plain = stock("LightGCN", eval_batch_size=made()["eval_batch_size"])
    there = stock("LightGCN", **{key: value})[key]
    teacher = made("--student_model=LightGCN", config_dict={f"teacher.{key}": value})
    assert (teacher[key], teacher.teacher[key]) == (plain[key], there)
    student = made("--student_model=LightGCN", config_dict={f"student.{key}": value})
    assert (student[key], student.teacher[key]) == (there, plain[key])


def test_the_config_names_the_student_as_model_and_the_method_apart():
    config = made("--student_model=LightGCN", "--teacher_model=NGCF")
    assert (config["model"], config["kd_method"], config.method) == ("LightGCN", "MKD", "MKD")
    assert config.teacher["model"] == "NGCF"
    assert made("--student_model=LightGCN").teacher["model"] == "LightGCN"
    assert made()["model"] == "BPR"


@pytest.mark.parametrize("kind", [str, Path])
def test_a_single_file_needs_no_list(tmp_path, kind):
    file = kind(yaml_file(tmp_path, "learning_rate: 0.25"))
    assert make_config("MKD", "toy", config_file_list=file)["learning_rate"] == 0.25


# Dotted keys and blocks


@pytest.mark.parametrize("source", [by_file, by_dict, by_command_line])
@pytest.mark.parametrize("side", ["teacher", "student"])
def test_a_dotted_key_and_a_block_are_the_same_thing(source, side, tmp_path):
    dotted = read_layers("MKD", "toy", **source(tmp_path, {f"{side}.epochs": 9, f"{side}.learning_rate": 0.5}))
    block = read_layers("MKD", "toy", **source(tmp_path, {side: {"epochs": 9, "learning_rate": 0.5}}))
    assert dotted.block(side) == {"epochs": 9, "learning_rate": 0.5}
    assert block == dotted


def test_blocks_merge_key_by_key_over_all_layers(tmp_path):
    low = yaml_file(tmp_path, "teacher:\n  epochs: 1\n  seed: 1\n  eval_step: 1\n  stopping_step: 1\n", "low.yaml")
    high = yaml_file(tmp_path, "teacher:\n  seed: 2\nteacher.eval_step: 2\n", "high.yaml")
    own = {"teacher": {"stopping_step": 3}, "teacher.train_batch_size": 3}
    config = made("--teacher.train_batch_size=4", config_file_list=[low, high], config_dict=own).teacher
    keys = ("epochs", "seed", "eval_step", "stopping_step", "train_batch_size")
    assert [config[key] for key in keys] == [1, 2, 2, 3, 4]


def test_a_block_on_the_command_line_leaves_the_blocks_below_it_in_place(tmp_path):
    config = made("--teacher={'seed': 2}", config_dict={"teacher": {"epochs": 5, "seed": 1}})
    assert (config.teacher["epochs"], config.teacher["seed"]) == (5, 2)


@pytest.mark.parametrize("value", ["5", "[1]", "MKD"])
def test_a_block_that_holds_no_keys_is_refused(value):
    with pytest.raises(KDError, match=r"'teacher'.*block"):
        layers(f"--teacher={value}")


# Layers


def test_the_layers_lie_over_one_another_in_order(tmp_path):
    ours = yaml.safe_load((PROPERTIES / "overall.yaml").read_text())["eval_batch_size"]
    assert ours != stock()["eval_batch_size"]
    assert made()["eval_batch_size"] == made().teacher["eval_batch_size"] == ours
    low, high = (yaml_file(tmp_path, f"eval_batch_size: {n}\nnkd_k: {n}\n", f"{n}.yaml") for n in (11, 12))
    sources = {"config_file_list": [low]}
    for argv, more, value in (
        ([], {}, 11),
        ([], {"config_file_list": [low, high]}, 12),
        ([], {"config_dict": {"eval_batch_size": 13}}, 13),
        (["--eval_batch_size=14"], {"config_dict": {"eval_batch_size": 13}}, 14),
    ):
        config = made(*argv, **{**sources, **more})
        assert (config["eval_batch_size"], config.teacher["eval_batch_size"]) == (value, value)


def test_the_methods_keys_are_layered_too(tmp_path):
    default = method_keys("MKD")["nkd_k"].default
    file = yaml_file(tmp_path, "nkd_k: 11\n")
    assert made()["nkd_k"] == default
    assert made(config_file_list=[file])["nkd_k"] == 11
    assert made(config_file_list=[file], config_dict={"nkd_k": 12})["nkd_k"] == 12
    assert made("--nkd_k=13", config_file_list=[file], config_dict={"nkd_k": 12})["nkd_k"] == 13


def test_recboles_yaml_of_a_dataset_lies_below_the_users(tmp_path):
    own = yaml.safe_load((RECBOLE_PROPERTIES / "dataset" / "ml-100k.yaml").read_text())
    config = made(dataset="ml-100k")
    for side in (config, config.teacher):
        assert {key: side[key] for key in own} == {key: stock(dataset="ml-100k")[key] for key in own}
    assert stock(dataset="ml-100k")["load_col"] != stock()["load_col"]
    config = made(dataset="ml-100k", config_file_list=[yaml_file(tmp_path, "load_col: ~\n")])
    assert config["load_col"] is None
    assert config["normalize_all"] == own["normalize_all"]


def test_the_command_line_names_the_method_over_the_arguments():
    assert read_layers("MKD", "toy", argv=["--model=SLD", "--dataset=other"]).method == "SLD"
    assert read_layers("MKD", "toy", config_dict={"model": "SLD"}).method == "MKD"  # as in RecBole
    assert read_layers(config_dict={"model": "SLD", "dataset": "toy"}).method == "SLD"


# An existing RecBole YAML


EXISTING = """
# dataset config
field_separator: "\\t"
USER_ID_FIELD: user_id
ITEM_ID_FIELD: item_id
load_col:
    inter: [user_id, item_id]
user_inter_num_interval: "[10,inf)"
# model config
model: LightGCN
dataset: toy
embedding_size: 32
n_layers: 3
# training and evaluation
epochs: 50
train_batch_size: 4096
learning_rate: 1e-3
train_neg_sample_args:
    distribution: uniform
    sample_num: 1
eval_args:
    split: {'RS': [0.7, 0.1, 0.2]}
    order: RO
    mode: full
metrics: ['Recall', 'NDCG', 'TailPercentage']
topk: 20
valid_metric: NDCG@20
tail_ratio: 0.2
encoding: utf-8
"""


def test_an_existing_recbole_yaml_works_unchanged(tmp_path, caplog):
    file = yaml_file(tmp_path, EXISTING)
    config = made("--student_model=LightGCN", config_file_list=[file])
    with mock.patch.object(sys, "argv", ["run_recbole.py"]):
        theirs = RecBoleConfig("LightGCN", "toy", config_file_list=[file])
    for key in theirs.external_config_dict:
        assert config[key] == theirs[key]
    assert config.teacher["embedding_size"] == 320
    assert not caplog.records


def test_every_yaml_that_recbole_ships_is_taken_without_a_word(caplog):
    # not the lists of download addresses, and not KD_DAGFM's: its key `teacher` has the name of our block
    files = [file for file in RECBOLE_PROPERTIES.rglob("*.yaml") if file.stem not in ("url", "kg_url", "KD_DAGFM")]
    assert len(files) > 90
    for file in files:
        layers(config_file_list=[str(file)])
    assert not caplog.records


def test_the_file_of_interactions_in_place_of_a_name_gives_both_keys():
    for path, folder in (("a/toy/toy.inter", "a"), ("toy/toy.inter", ".")):
        with pytest.raises(KDError, match=f"write --data_path={folder} --dataset=toy$"):
            read_layers("MKD", path)
