"""Strings as typed values, and the spellings of a command line."""

import sys

import pytest
import yaml

from recbole_kd.config.layering import read_layers
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from tests.config.helpers import layers, made, stock, yaml_file

# Types


TYPED = {
    "epochs": "7",
    "learning_rate": "1e-3",
    "weight_decay": "-0.5",
    "show_progress": "True",
    "shuffle": "false",
    "save_dataset": "true",
    "topk": "[5,10]",
    "val_interval": "None",
    "learner": "sgd",
    "valid_metric": "NDCG@10",
    "clip_grad_norm": "{'max_norm': 5}",
    "metrics": "['Recall','NDCG']",
    "user_inter_num_interval": "[5,inf)",
    "worker": "0x10",
}

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
            layers(f"--teacher_path={value}"),
            layers(config_dict={"teacher_path": value}),
            layers(config_file_list=[yaml_file(tmp_path, yaml.safe_dump({"teacher_path": value}))]),
        ):
            assert [entry.path for entry in found.teachers] == [value]
    assert [entry.path for entry in layers("--teacher_path=['a.pth', 'os.pth']").teachers] == ["a.pth", "os.pth"]
    with pytest.raises(KDError, match="not a list"):
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


@pytest.mark.parametrize(
    "argv",
    [
        ["--model=NKD", "--dataset=toy"],
        ["--model", "NKD", "--dataset", "toy"],
        ["-m", "NKD", "-d", "toy"],
        ["-d", "toy", "--model=NKD"],
    ],
)
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


@pytest.mark.parametrize(
    "argv",
    [
        ["epochs=5"],
        ["--epochs"],
        ["--epochs", "--seed=7"],
        ["--epochs", "-d", "toy"],
        ["--=5"],
        ["--epochs=5", "--epochs=6"],
    ],
)
def test_what_is_no_key_and_value_is_refused(argv):
    with pytest.raises(KDError, match="on the command line"):
        layers(*argv)


def test_the_same_value_twice_is_taken():
    assert layers("--epochs=5", "--epochs=5").plain == {"epochs": 5}


def test_config_files_on_the_command_line_lie_over_those_of_the_call(tmp_path):
    one, two, three = (yaml_file(tmp_path, f"epochs: {n}\n", f"{n}.yaml") for n in (1, 2, 3))
    assert layers(f"--config_files={two} {three}", config_file_list=[one]).plain["epochs"] == 3
    assert layers("--config_files", two, config_file_list=[one]).plain["epochs"] == 2


@pytest.mark.parametrize(
    "argv",
    [
        ["pytest", "--cov=x", "--epochs=99", "tests"],
        ["pytest", "--teacher_path=os.pth"],
        ["ipykernel_launcher", "-f", "k.json", "--model=SLD"],
    ],
)
def test_a_foreign_command_line_is_left_alone(argv, monkeypatch):
    before = made().final_config_dict
    monkeypatch.setattr(sys, "argv", list(argv))
    config = make_config("MKD", "toy")
    assert config.final_config_dict == before
    assert config.cmd_config_dict == {}
    assert config.teacher["epochs"] == 300
    assert sys.argv == argv
