"""Keys and layers: which side a key reaches, how values are typed, widths, unknown keys, ranges, what is saved."""

import copy
import importlib.machinery
import itertools
import logging
import os
import pickle
import pickletools
import re
import sys
import types
from pathlib import Path
from unittest import mock

import pytest
import torch
import yaml
from recbole.config import Config as RecBoleConfig

from recbole_kd.compare.plan import flat, read_plan
from recbole_kd.config.configurator import Config, plain_config
from recbole_kd.config.layering import read_layers
from recbole_kd.config.recbole_schema import RECBOLE_PROPERTIES, recbole_keys
from recbole_kd.config.schema import PROPERTIES, explain_keys, method_keys, method_names
from recbole_kd.config.teacher_entries import entries_to_keys
from recbole_kd.config.widths import model_width
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config


def made(*argv, dataset="toy", **sources):
    """The Config of MKD with these keys on the command line; ``sources``: config_dict, config_file_list."""
    return make_config("MKD", dataset, argv=list(argv), **sources)


def layers(*argv, **sources):
    return read_layers("MKD", "toy", argv=list(argv), **sources)


def stock(model="BPR", dataset="toy", **keys):
    """What plain RecBole makes of the same keys."""
    with mock.patch.object(sys, "argv", ["run_recbole.py"]):  # it parses pytest's arguments otherwise
        return RecBoleConfig(model, dataset, config_dict=copy.deepcopy(keys))


def yaml_file(folder, text, name="user.yaml"):
    (folder / name).write_text(text)
    return str(folder / name)


def stock_checkpoint(folder, model, **keys):
    """A file as RecBole's Trainer writes it, without the weights."""
    content = {"config": stock(model, **keys), "epoch": 0, "cur_step": 0, "best_valid_score": 0.1, "state_dict": {}}
    torch.save({**content, "other_parameter": None, "optimizer": {}}, folder / "teacher.pth", pickle_protocol=4)
    return str(folder / "teacher.pth")


def unknown_key_warnings(caplog, key):
    return [record for record in caplog.records if record.levelno == logging.WARNING and key in record.getMessage()]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


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
    "seed": 7, "reproducibility": False, "epochs": 7, "train_batch_size": 64, "eval_batch_size": 128, "eval_step": 2,
    "stopping_step": 3, "metrics": ["MRR"], "topk": [5, 10], "valid_metric": "NDCG@10", "load_col": None,
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
    "metric_decimal_place": 6, "repeatable": True, "USER_ID_FIELD": "who", "field_separator": ",",
    "clip_grad_norm": {"max_norm": 5},
    "val_interval": {"rating": "[3,inf)"}, "user_inter_num_interval": "[5,inf)", "rm_dup_inter": "first",
    "benchmark_filename": ["a", "b", "c"], "checkpoint_dir": "elsewhere", "encoding": "latin-1",
    "train_neg_sample_args": {"distribution": "popularity", "sample_num": 2, "alpha": 0.5, "dynamic": False,
                              "candidate_num": 0},
}  # fmt: skip


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


def by_file(folder, keys):
    return {"config_file_list": [yaml_file(folder, yaml.safe_dump(keys))]}


def by_dict(folder, keys):
    return {"config_dict": keys}


def by_command_line(folder, keys):
    return {"argv": [f"--{key}={value}" for key, value in keys.items()]}


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


# Types

TYPED = {
    "epochs": "7", "learning_rate": "1e-3", "weight_decay": "-0.5", "show_progress": "True", "shuffle": "false",
    "save_dataset": "true", "topk": "[5,10]", "val_interval": "None", "learner": "sgd", "valid_metric": "NDCG@10",
    "clip_grad_norm": "{'max_norm': 5}", "metrics": "['Recall','NDCG']", "user_inter_num_interval": "[5,inf)",
    "worker": "0x10",
}  # fmt: skip

PLACES = {
    "command line": lambda key, text: layers(f"--{key}={text}").plain,
    "config_dict": lambda key, text: layers(config_dict={key: text}).plain,
    "dotted on the command line": lambda key, text: layers(f"--teacher.{key}={text}").block("teacher"),
    "block on the command line": lambda key, text: layers(f"--teacher={ {key: text}!r}").block("teacher"),
    "dotted in config_dict": lambda key, text: layers(config_dict={f"student.{key}": text}).block("student"),
    "block in config_dict": lambda key, text: layers(config_dict={"student": {key: text}}).block("student"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("key", TYPED)
def test_strings_are_typed_as_recbole_types_them(place, key):
    recbole = stock(**{key: TYPED[key]}).external_config_dict[key]
    value = PLACES[place](key, TYPED[key])[key]
    assert value == recbole
    assert type(value) is type(recbole)


def test_some_types_by_name():
    keys = layers("--epochs=7", "--learning_rate=1e-3", "--use_gpu=true", "--topk=[5,10]", "--val_interval=None").plain
    assert keys == {"epochs": 7, "learning_rate": 0.001, "use_gpu": True, "topk": [5, 10], "val_interval": None}
    assert [type(keys[key]) for key in ("epochs", "learning_rate", "use_gpu")] == [int, float, bool]


def test_a_yaml_file_types_its_values_as_recboles_loader_does(tmp_path):
    text = "learning_rate: 1e-3\nteacher:\n  learning_rate: 1e-3\n  shuffle: false\n  val_interval: ~\n"
    config = layers(config_file_list=[yaml_file(tmp_path, text)])
    assert config.plain == {"learning_rate": 0.001}
    assert config.block("teacher") == {"learning_rate": 0.001, "shuffle": False, "val_interval": None}


def test_a_teacher_path_is_never_evaluated_either(tmp_path):
    for value in ("os.pth", "__import__('os').system('touch canary')", "10", "a=b=c.pth", "None.pth"):
        for found in (
            layers(f"--teacher_path={value}"), layers(config_dict={"teacher_path": value}),
            layers(config_file_list=[yaml_file(tmp_path, yaml.safe_dump({"teacher_path": value}))]),
        ):  # fmt: skip
            assert [entry.path for entry in found.teachers] == [value]
    assert [entry.path for entry in layers("--teacher_path=['a.pth', 'os.pth']").teachers] == ["a.pth", "os.pth"]
    with pytest.raises(KDError, match="no list"):
        layers("--teacher_path=[__import__('os').system('touch canary')]")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("key", ["result_file", "data_path", "checkpoint_dir"])
@pytest.mark.parametrize("value", ["os.pth", "__import__('os').system('touch canary')", "10", "a=b=c.pth", "None.pth"])
def test_path_like_keys_are_never_evaluated(key, value, tmp_path):
    assert layers(f"--{key}={value}").plain[key] == value
    assert layers(config_dict={key: value}).plain[key] == value
    assert layers(config_file_list=[yaml_file(tmp_path, yaml.safe_dump({key: value}))]).plain[key] == value
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("key", ["data_path", "checkpoint_dir"])
def test_path_like_keys_are_never_evaluated_inside_blocks(key, tmp_path):
    value = "__import__('os').system('touch canary')"
    assert layers(f"--teacher.{key}={value}").block("teacher")[key] == value
    assert layers(config_dict={"teacher": {key: value}}).block("teacher")[key] == value
    assert not (tmp_path / "canary").exists()


def test_building_the_config_evaluates_no_path_either(tmp_path):
    value = "__import__('os').system('touch canary')"
    config = made(f"--result_file={value}", f"--checkpoint_dir={value}", f"--teacher.dataset_save_path={value}")
    found = (config["result_file"], config["checkpoint_dir"], config.teacher["dataset_save_path"])
    assert found == (value,) * 3
    with pytest.raises(KDError, match="is not there"):
        made(f"--teacher_path={value}")
    assert not (tmp_path / "canary").exists()


def test_a_yaml_file_is_never_evaluated(tmp_path):
    # RecBole evaluates the strings of config_dict and of the command line, never those of a file
    text = yaml.safe_dump({"teacher": "__import__('os').system('touch canary')"})
    with pytest.raises(KDError, match="block"):
        layers(config_file_list=[yaml_file(tmp_path, text)])
    assert not (tmp_path / "canary").exists()


# The command line's spellings


@pytest.mark.parametrize("argv", [
    ["--model=NKD", "--dataset=toy"], ["--model", "NKD", "--dataset", "toy"], ["-m", "NKD", "-d", "toy"],
    ["-d", "toy", "--model=NKD"],
])  # fmt: skip
def test_method_and_dataset_in_every_spelling(argv):
    found = read_layers(argv=argv)
    assert (found.method, found.dataset) == ("NKD", "toy")


def test_a_value_may_hold_equals_signs():
    found = layers("--result_file=a=b=c.json", "--val_interval={'rating': 'a==b'}", "--teacher.data_path=x=y")
    assert found.plain == {"result_file": "a=b=c.json", "val_interval": {"rating": "a==b"}}
    assert found.block("teacher") == {"data_path": "x=y"}


def test_a_value_may_follow_after_a_space_and_be_negative():
    found = layers("--weight_decay", "-0.5", "--teacher.epochs", "-3", "--learning_rate=-1e-3", "--seed", "7")
    assert found.plain == {"weight_decay": -0.5, "learning_rate": -0.001, "seed": 7}
    assert found.block("teacher") == {"epochs": -3}


@pytest.mark.parametrize("argv", [["epochs=5"], ["--epochs"], ["--epochs", "--seed=7"], ["--epochs", "-d", "toy"],
                                  ["--=5"], ["--epochs=5", "--epochs=6"]])  # fmt: skip
def test_what_is_no_key_and_value_is_refused(argv):
    with pytest.raises(KDError, match="on the command line"):
        layers(*argv)


def test_the_same_value_twice_is_taken():
    assert layers("--epochs=5", "--epochs=5").plain == {"epochs": 5}


def test_config_files_on_the_command_line_lie_over_those_of_the_call(tmp_path):
    one, two, three = (yaml_file(tmp_path, f"epochs: {n}\n", f"{n}.yaml") for n in (1, 2, 3))
    assert layers(f"--config_files={two} {three}", config_file_list=[one]).plain["epochs"] == 3
    assert layers("--config_files", two, config_file_list=[one]).plain["epochs"] == 2


@pytest.mark.parametrize("argv", [["pytest", "--cov=x", "--epochs=99", "tests"], ["pytest", "--teacher_path=os.pth"],
                                  ["ipykernel_launcher", "-f", "k.json", "--model=SLD"]])  # fmt: skip
def test_a_foreign_command_line_is_left_alone(argv, monkeypatch):
    before = made().final_config_dict
    monkeypatch.setattr(sys, "argv", list(argv))
    config = make_config("MKD", "toy")
    assert config.final_config_dict == before
    assert config.cmd_config_dict == {}
    assert config.teacher["epochs"] == 300
    assert sys.argv == argv


# Widths

WIDTHS = {
    "nothing given": ([], 20, 200),
    "the student's by a plain key": (["--embedding_size=64"], 64, 640),
    "the student's by its own key": (["--student.embedding_size=64"], 64, 640),
    "the student's own key over the plain one": (["--embedding_size=8", "--student.embedding_size=64"], 64, 640),
    "the teacher's": (["--teacher.embedding_size=640"], 64, 640),
    "a teacher too narrow for a tenth": (["--teacher.embedding_size=4"], 1, 4),
    "both": (["--embedding_size=48", "--teacher.embedding_size=96"], 48, 96),
    "a student wider than its teacher": (["--embedding_size=96", "--teacher.embedding_size=48"], 96, 48),
}


@pytest.mark.parametrize("model", ["BPR", "LightGCN", "SimpleX"])
@pytest.mark.parametrize("case", WIDTHS)
def test_either_width_sets_the_other_at_ten_to_one(case, model):
    argv, student, teacher = WIDTHS[case]
    config = made(f"--student_model={model}", *argv)
    assert (config["embedding_size"], config.teacher["embedding_size"]) == (student, teacher)


def test_a_width_counts_from_whichever_layer_it_comes(tmp_path):
    file = yaml_file(tmp_path, "teacher:\n  embedding_size: 50\n")
    assert made(config_file_list=[file])["embedding_size"] == 5
    assert made(config_dict={"embedding_size": "7"}).teacher["embedding_size"] == 70
    config = made("--teacher.embedding_size=90", config_file_list=[file])
    assert (config["embedding_size"], config.teacher["embedding_size"]) == (9, 90)


@pytest.mark.parametrize("case", WIDTHS)
def test_ngcf_scales_its_hidden_sizes_along(case):
    argv, student, teacher = WIDTHS[case]
    config = made("--student_model=NGCF", *argv)
    assert config["hidden_size_list"] == [student] * 3
    assert config.teacher["hidden_size_list"] == [teacher] * 3


def test_hidden_sizes_of_ngcf_that_the_user_gives_stay():
    assert made("--student_model=NGCF", "--hidden_size_list=[7,7]")["hidden_size_list"] == [7, 7]


@pytest.mark.parametrize("model", ["EASE", "MultiVAE", "NeuMF"])
def test_a_model_without_embedding_size_keeps_its_defaults(model):
    plain = stock(model)
    for argv in ([], ["--embedding_size=64"]):
        config = made(f"--teacher_model={model}", *argv)
        own = yaml.safe_load((RECBOLE_PROPERTIES / "model" / f"{model}.yaml").read_text())
        assert {key: config.teacher[key] for key in own} == {key: plain[key] for key in own}
        assert config.teacher["embedding_size"] is None
        assert config["embedding_size"] == (64 if argv else 20)


def test_a_checkpoint_of_the_teacher_sets_the_students_width(tmp_path):
    path = stock_checkpoint(tmp_path, "LightGCN", embedding_size=96, n_layers=3)
    config = made(f"--teacher_path={path}")
    assert config["embedding_size"] == 9
    assert [config.teacher[key] for key in ("model", "embedding_size", "n_layers")] == ["LightGCN", 96, 3]
    assert made(f"--teacher_path={path}", "--embedding_size=30")["embedding_size"] == 30
    assert made(f"--teacher_path={path}", "--embedding_size=30").teacher["embedding_size"] == 96


@pytest.mark.parametrize("model", ["DMF", "DiffRec", "LDiffRec"])
def test_an_embedding_size_that_is_no_width_sets_none(model, tmp_path):
    """Theirs, 10, is that of features or of a diffusion's step: a tenth of it would be a student of width 1."""
    path = stock_checkpoint(tmp_path, model)
    assert made(f"--teacher_path={path}")["embedding_size"] == 20
    config = made(f"--teacher_model={model}", "--teacher.embedding_size=30")
    assert (config["embedding_size"], config.teacher["embedding_size"]) == (20, 30)
    config = made(f"--teacher_model={model}", "--embedding_size=8")
    assert (model_width(config), model_width(config.teacher)) == (8, None)
    assert config.teacher["embedding_size"] == stock(model)["embedding_size"]


def test_a_checkpoint_of_ngcf_keeps_its_hidden_sizes(tmp_path):
    path = stock_checkpoint(tmp_path, "NGCF", embedding_size=40, hidden_size_list=[40, 20])
    config = made(f"--teacher_path={path}", "--student_model=NGCF")
    assert config.teacher["hidden_size_list"] == [40, 20]
    assert (config["embedding_size"], config["hidden_size_list"]) == (4, [4, 4, 4])


@pytest.mark.parametrize("side", ["", "student.", "teacher."])
@pytest.mark.parametrize("width", ["0", "-3", "2.5", "nan", "True", "None", "[64]", "1e400"])
def test_a_width_out_of_range_is_refused(side, width):
    with pytest.raises(KDError, match="embedding_size"):
        made(f"--{side}embedding_size={width}")


# Layers


def test_the_layers_lie_over_one_another_in_order(tmp_path):
    ours = yaml.safe_load((PROPERTIES / "overall.yaml").read_text())["eval_batch_size"]
    assert ours != stock()["eval_batch_size"]
    assert made()["eval_batch_size"] == made().teacher["eval_batch_size"] == ours
    low, high = (yaml_file(tmp_path, f"eval_batch_size: {n}\nnkd_k: {n}\n", f"{n}.yaml") for n in (11, 12))
    sources = {"config_file_list": [low]}
    for argv, more, value in (
        ([], {}, 11), ([], {"config_file_list": [low, high]}, 12), ([], {"config_dict": {"eval_batch_size": 13}}, 13),
        (["--eval_batch_size=14"], {"config_dict": {"eval_batch_size": 13}}, 14),
    ):  # fmt: skip
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


# Keys that nobody knows


@pytest.mark.parametrize("key, near", [
    ("sld_wieght", "sld_weight"), ("learning_rat", "learning_rate"), ("nkdk", "nkd_k"), ("batch_size", "batch_size"),
    ("teacher.learning_rat", "learning_rate"), ("student.embeding_size", "embedding_size"),
    ("Teacher_path", "teacher_path"),
])  # fmt: skip
def test_the_command_line_refuses_an_unknown_key_and_names_the_nearest(key, near):
    with pytest.raises(KDError, match=rf"(?s){re.escape(key)}.*{near}'"):
        layers(f"--{key}=1")


# the names of a checkpoint's parts, of an argument's inner keys and of columns, not of config keys
@pytest.mark.parametrize("key", ["epoch", "optimizer", "mode", "distribution", "user_id", "state_dict"])
def test_a_name_that_recbole_reads_elsewhere_than_in_the_config_is_no_key(key):
    with pytest.raises(KDError, match=f"'{key}'"):
        layers(f"--{key}=5")


@pytest.mark.parametrize("source", [by_file, by_dict])
@pytest.mark.parametrize("key", ["sld_wieght", "teacher_pth", "student_modle", "resulf_file", "nkd_kk", "SLD_weight"])
def test_files_and_dicts_refuse_a_near_miss_of_ours(source, key, tmp_path):
    with pytest.raises(KDError, match=f"'{key}'.*did you mean"):
        read_layers("MKD", "toy", **source(tmp_path, {key: 1}))


@pytest.mark.parametrize("source", [by_file, by_dict])
@pytest.mark.parametrize("key", ["my_note", "learning_rat", "wandb_entity", "embedding_dim", "hidden_dim"])
def test_files_and_dicts_warn_once_of_any_other_unknown_key(source, key, tmp_path, caplog):
    config = make_config("MKD", "toy", **source(tmp_path, {key: 1}))
    config.warn_unused_keys()  # as a run does when its log begins
    assert len(unknown_key_warnings(caplog, key)) == len(caplog.records) == 1
    assert config[key] == 1  # it stays in the config, as in RecBole


@pytest.mark.parametrize("source", [by_file, by_dict, by_command_line])
@pytest.mark.parametrize("key", ["encoding", "tail_ratio", "token_num_threshold", "training_neg_sample_num"])
def test_keys_that_recbole_reads_but_lists_nowhere_pass(source, key, tmp_path):
    found = read_layers("MKD", "toy", **source(tmp_path, {key: 1}))
    assert found.plain[key] == 1
    assert not found.notes


@pytest.mark.parametrize("source", [by_file, by_dict, by_command_line])
@pytest.mark.parametrize("side", ["teacher", "student"])
def test_blocks_refuse_an_unknown_key_and_name_the_nearest(source, side, tmp_path):
    for keys in ({side: {"learning_rat": 1}}, {f"{side}.learning_rat": 1}):
        with pytest.raises(KDError, match=rf"{side}\.learning_rat'.*'learning_rate'"):
            read_layers("MKD", "toy", **source(tmp_path, keys))


OF_NO_SIDE = ["nkd_k", "teacher_path", "student_model", "baseline", "model", "dataset", "config_files"]


@pytest.mark.parametrize("key", OF_NO_SIDE)  # they would be passed over in silence
def test_blocks_refuse_what_is_no_key_of_one_side(key):
    with pytest.raises(KDError, match=key):
        layers(f"--teacher.{key}=LightGCN")


def test_a_file_that_cannot_be_read_as_yaml_is_refused(tmp_path):
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00epochs: 5")
    yaml_file(tmp_path, "- epochs\n", "list.yaml")
    yaml_file(tmp_path, "epochs: [1\n", "broken.yaml")
    for name in ("bytes.yaml", "list.yaml", "broken.yaml", "missing.yaml", "."):
        with pytest.raises(KDError, match=re.escape(f"the config file '{name}'")):
            layers(config_file_list=[name])


def test_an_empty_file_sets_nothing(tmp_path):
    assert layers(config_file_list=[yaml_file(tmp_path, "# nothing yet\nteacher:\n")]) == layers()


@pytest.mark.parametrize("argv, near", [
    (["--model=MDK"], "MKD"), (["--model=mkd"], "MKD"), (["--model=MKDD"], "MKD"), (["--teacher_model=bpr"], "BPR"),
    (["--student_model=LightGCM"], "LightGCN"), (["--student_model=lightgcn"], "LightGCN"),
])  # fmt: skip
def test_an_unknown_method_or_model_is_refused_with_the_nearest_name(argv, near):
    with pytest.raises(KDError, match=f"did you mean '{near}'"):
        layers(*argv)


@pytest.mark.parametrize("terms", ["['FOO']", "NKD", "[]", "['NKD', 'NKD']", "5", "[5]", "['MKD']", "['Distiller']"])
def test_a_free_mix_takes_terms_by_their_names_each_once(terms):
    with pytest.raises(KDError, match="terms"):
        make_config(argv=["--model=Distiller", "--dataset=ml-100k", f"--terms={terms}"])


def test_a_free_mix_needs_its_terms():
    with pytest.raises(KDError, match="takes a list of different terms"):
        make_config(argv=["--model=Distiller", "--dataset=ml-100k"])


def test_a_free_mix_has_the_keys_of_its_terms_and_no_others():
    config = make_config(argv=["--model=Distiller", "--dataset=ml-100k", "--terms=['SLD', 'NKD']", "--nkd_k=3"])
    assert config["terms"] == ["SLD", "NKD"] and config["nkd_k"] == 3 and config["sld_k"] == 50
    assert config["cpd_k"] is None
    with pytest.raises(KDError, match="nkd_k=0"):
        make_config(argv=["--model=Distiller", "--dataset=ml-100k", "--terms=['NKD']", "--nkd_k=0"])


@pytest.mark.parametrize("terms", ["['FOO']", "NKD", "[]", "['NKD']", "5", "[5]"])
def test_terms_that_do_not_make_up_the_method_are_refused(terms):
    with pytest.raises(KDError, match="terms"):
        made(f"--terms={terms}")


# What is saved


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


# The keys' own documentation

LINE = re.compile(
    r"^\w+:\s*(?P<default>.*?)\s*# \((?P<type>\w+)\)(?: (?P<range>[\[({].*?[\])}]))? (?P<meaning>[^ ].*)$"
)
OUR_LINES = {
    f"{file.stem}.{line.partition(':')[0]}": line
    for file in (PROPERTIES / "overall.yaml", *sorted((PROPERTIES / "method").glob("*.yaml")))
    for line in file.read_text().splitlines()
    if line and not line.startswith("#")
}


@pytest.mark.parametrize("key", OUR_LINES)
def test_a_key_has_type_range_and_meaning_and_a_default_within_its_range(key):
    line = LINE.match(OUR_LINES[key])
    assert line, OUR_LINES[key]
    assert line["type"] in {"int", "float", "str", "path", "bool", "list", "names", "paths"}
    assert len(line["meaning"].split()) > 2
    default, wanted = yaml.safe_load(line["default"]), line["range"]
    if line["type"] in ("int", "float"):
        assert wanted[0] in "[(" and wanted[-1] in "])"
        low, high = (float(bound) for bound in wanted[1:-1].split(","))
        assert low <= default <= high
        assert (default > low or wanted[0] == "[") and (default < high or wanted[-1] == "]")
        assert type(default) in ((int,) if line["type"] == "int" else (int, float))
    if wanted and wanted.startswith("{"):
        assert default in wanted[1:-1].split(", ")


@pytest.mark.parametrize("method", [name for name in method_names() if name != "Distiller"])
def test_the_properties_are_found_and_explained(method):
    assert method in method_names()
    own = set(yaml.safe_load((PROPERTIES / "method" / f"{method}.yaml").read_text()))
    explained = {name: rest for name, *rest in explain_keys(method)}
    assert own | set(yaml.safe_load((PROPERTIES / "overall.yaml").read_text())) <= set(explained)
    assert all(meaning for _, _, meaning in explained.values())
    config = make_config(method, "toy")
    assert {name: str(config[name]) for name in own} == {name: explained[name][0] for name in own}


def test_a_composed_method_has_the_keys_of_its_terms():
    files = [
        PROPERTIES / "overall.yaml",
        *(PROPERTIES / "method" / f"{name}.yaml" for name in ("NKD", "CPD", "SLD", "MKD")),
    ]
    assert set(method_keys("MKD")) == {name for file in files for name in yaml.safe_load(file.read_text())}
    assert not {name for name in method_keys("NKD") if name.startswith(("sld_", "cpd_", "mkd_"))}


# Ranges


def values_out_of_range(line):
    kind, wanted = line["type"], line["range"] or ""
    if kind == "bool":
        return [1, 0, "yes", None]
    if wanted.startswith("{"):
        return ["nonsense", 1, True, None, [wanted[1:-1].split(", ")[0]]]
    if kind in ("int", "float"):
        low, high = (float(bound) for bound in wanted[1:-1].split(","))
        bad = [float("nan"), float("inf"), -float("inf"), low - 1, "1", True, [1], None]
        bad += [low] if wanted[0] == "(" else []
        bad += [high] if wanted[-1] == ")" else [high + 1]
        return bad + ([1.5, 2.0] if kind == "int" else [])
    if kind in ("names", "paths"):
        return [5, True, [5], ["x", None]]
    return [5, True] if kind in ("str", "path") else [5, "x"]


@pytest.mark.parametrize("key", OUR_LINES)
def test_every_key_refuses_what_is_out_of_its_range(key):
    line = LINE.match(OUR_LINES[key])
    method, _, key = key.partition(".")
    checked = method_keys("MKD" if method == "overall" else method)[key]
    assert checked.check(yaml.safe_load(line["default"])) == yaml.safe_load(line["default"])
    for value in values_out_of_range(line):
        if value is None and line["default"] == "~":
            continue
        with pytest.raises(KDError, match=key):
            checked.check(value)


@pytest.mark.parametrize("value", [5, True, ["a.pth"]])
def test_a_teacher_path_that_is_no_path_is_refused(value):
    with pytest.raises(KDError, match=r"teacher_path|is not there"):
        made(config_dict={"teacher_path": value})


def test_a_teacher_path_that_is_a_folder_or_empty_says_so(tmp_path):
    for path, said in ((str(tmp_path), "is a folder, not a file"), ("", "an empty name")):
        with pytest.raises(KDError, match=said):
            made(f"--teacher_path={path}")


@pytest.mark.parametrize("student", ["BPR", "LightGCN", "NGCF", "SimpleX"])
def test_the_students_of_today_pass(student):
    config = made(f"--student_model={student}")
    assert isinstance(config, Config)
    assert config["model"] == student


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
        ({"eval_args": {"splitt": {"RS": [8, 1, 1]}}}, "the key 'splitt' in eval_args; did you mean 'split'"),
        ({"eval_args": {"x": 1}}, "the key 'x' in eval_args: it takes split, group_by, order, mode"),
        ({"train_neg_sample_args": {"sample_nums": 2}}, "'sample_nums' in .*; did you mean 'sample_num'"),
        ({"teacher": {"train_neg_sample_args": {"dynamical": True}}}, "'dynamical' in train_neg_sample_args"),
    ],
)  # fmt: skip
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


# Recipes


RECIPES = [
    file
    for file in sorted((PROPERTIES / "recipe").rglob("*.yaml"))
    if file.stem != "common"  # which several methods share
]


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_recipe_is_taken_as_it_stands(file):
    config = make_config(file.stem.partition("-")[0], "toy", [str(file)])
    content = yaml.safe_load(file.read_text())
    block = content.pop("teacher", {})
    assert {key: config[key] for key in content} == content
    for plan, entry in zip(config.teachers, content.get("teachers", [{}]), strict=True):
        keys = {**block, **entry}
        for key, value in keys.items():  # RecBole fills up what is nested
            own = plan.config[key]
            assert ({name: own[name] for name in value} if isinstance(value, dict) else own) == value
    assert re.search(rf"--config_files=.*properties/recipe/{file.parent.name}/{file.name}", file.read_text())
    assert not set(content) - set(method_keys(config.method, content.get("terms", ()))) - recbole_keys()


def test_the_plan_of_protocol_a_is_its_recipes():
    plan = read_plan(PROPERTIES.parent / "benchmarks/accuracy/plans/protocol-a.yaml")
    shared = yaml.safe_load((PROPERTIES / "recipe/protocol-a.yaml").read_text())
    theirs = {
        file.name.removesuffix("-protocol-a.yaml"): file for file in (PROPERTIES / "recipe").glob("*-protocol-a.yaml")
    }
    assert plan.keys == flat(shared) and {method.name for method in plan.methods} == set(theirs)
    for method in plan.methods:
        assert method.keys == yaml.safe_load(theirs[method.name].read_text())
        assert method.what == method.name.partition("-")[0]
    for name, file in theirs.items():
        keys = yaml.safe_load(file.read_text())
        config = make_config(
            name.partition("-")[0], "toy", [str(PROPERTIES / "recipe/protocol-a/common.yaml"), str(file)]
        )
        assert {key: config[key] for key in keys} == keys
        assert (config["embedding_size"], config.teacher["embedding_size"]) == (20, 400)
        assert (config.teacher["kd_reduction"], config.teacher["weight_decay"]) == ("sum", 0.001)


def test_a_teacher_that_scores_pair_by_pair_is_evaluated_in_smaller_batches():
    assert made("--teacher_model=NeuMF").teacher["eval_batch_size"] == 100_000
    assert made("--teacher_model=NeuMF", "--eval_batch_size=5000").teacher["eval_batch_size"] == 5000
    assert made("--teacher_model=LightGCN").teacher["eval_batch_size"] == 2_000_000


@pytest.mark.parametrize("text", [
    "[{model: BPR, learning_rate: 1e-3}, {scores: a.tsv}]",
    "[{'model': 'BPR', 'learning_rate': 1e-3}, {'scores': 'a.tsv'}]",
])  # fmt: skip
def test_teachers_on_the_command_line_are_written_as_in_a_file(text, tmp_path):
    found = layers(f"--teachers={text}").teachers
    assert found == layers(config_file_list=[yaml_file(tmp_path, f"teachers: {text}")]).teachers
    assert [entry.name for entry in found] == ["BPR learning_rate=0.001", "a.tsv"]


@pytest.mark.parametrize("text", ["[{model: BPR", "__import__('os').system('touch canary')", "!!python/name:os.system"])
def test_teachers_on_the_command_line_are_never_evaluated(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KDError, match=r"teachers=.*list"):
        layers(f"--teachers={text}")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("keys", [
    {}, {"teacher_model": "EASE"}, {"teacher_path": "a.pth"}, {"teacher_model": ["BPR", "EASE"]},
    {"teacher_path": ["a.pth", "b.pth"]}, {"teachers": [{"model": "BPR", "embedding_size": 5}, {"scores": "a.tsv"}]},
    {"teachers": [{"path": "a.pth", "states": ["b.pth"]}]},
    {"teachers": [{"model": "BPR", "weight_decay": 0.0}, {"model": "LightGCN", "require_pow": False}]},
])  # fmt: skip
def test_teachers_come_to_keys_that_come_to_them_again(keys):
    entries = layers(config_dict=keys).teachers
    assert entries_to_keys(entries) == keys
    assert layers(config_dict=entries_to_keys(entries)).teachers == entries


@pytest.mark.parametrize(
    ("method", "rows"), [("MKD", 128), ("DERRD", 128), ("IRRRD", 128), ("PCKD", 128), ("SLD", 512), ("HTD", 96)]
)
def test_a_method_of_several_terms_does_not_take_the_rows_of_one_of_them(method, rows):
    assert make_config(method, "toy")["kd_rows"] == rows


def test_the_rows_of_a_mix_do_not_hang_on_the_order_of_its_terms():
    for terms, rows in ((["RRD", "HTD"], 96), (["SLD", "RCEKD"], 512), (["SLD", "NKD"], 128)):
        for order in (terms, terms[::-1]):
            assert method_keys("Distiller", order)["kd_rows"].default == rows


@pytest.mark.parametrize("mode", ["uni10", {"valid": "pop10", "test": "full"}])
def test_sampled_items_are_evaluated_in_smaller_batches(mode):
    config = make_config("SLD", "toy", config_dict={"eval_args": {"mode": mode}})
    assert (config["eval_batch_size"], config.teacher["eval_batch_size"]) == (100_000, 100_000)
    own = {"eval_args": {"mode": mode}, "eval_batch_size": 200_000}
    assert make_config("SLD", "toy", config_dict=own)["eval_batch_size"] == 200_000
