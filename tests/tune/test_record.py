"""The files of a search: the trials, from which it continues, and the recipe."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from recbole_kd.cli import main
from recbole_kd.config.layering import read_layers
from recbole_kd.errors import KDError, NonFiniteLoss
from recbole_kd.experiment import Experiment
from recbole_kd.quick_start import objective_function, run_kd
from recbole_kd.testing.datasets import write_dataset
from recbole_kd.tune.record import SearchRecord, command_line, user_keys
from recbole_kd.tune.searchers import best_until
from recbole_kd.tune.tuner import tune
from tests.tune.helpers import command_words, search, without_seconds


def test_the_defaults_come_first_and_the_recipe_gives_what_was_measured(settings, workdir):
    result = search(settings, 4)
    alone = objective_function(settings | {"model": "SLD"})["best_valid_score"]
    assert result["trials"][0]["value"] == alone
    assert result["trials"][0]["settings"] == {"sld_weight": 1.0, "sld_tau": 1.0, "sld_gamma": 0.3}
    best = result["trials"][result["best"]]
    assert best["value"] == max(one["value"] for one in result["trials"]) == best_until(best["curve"], 99)
    recipe = yaml.safe_load(Path("out.yaml").read_text())
    assert {key: recipe[key] for key in best["settings"]} == best["settings"]
    assert set(recipe) == {
        "epochs",
        "learning_rate",
        "embedding_size",
        "train_batch_size",
        "teacher",
        *best["settings"],
    }
    assert all(recipe[key] == settings[key] for key in set(recipe) - set(best["settings"]))
    left = {key: value for key, value in settings.items() if key not in recipe}
    again = run_kd("SLD", config_file_list=["out.yaml"], config_dict={**left, "baseline": False})
    assert again["distilled"]["valid_result"]["mrr@10"] == best["value"]


def test_a_recipe_of_a_mix_is_complete(settings, workdir):
    keys = {"terms": ["SLD", "KD"], "teachers": [{"model": "BPR", "embedding_size": 12, "weight_decay": 0.0}]}
    result = tune("Distiller", config_dict={**settings, **keys}, trials=2, output="out.yaml")
    recipe = yaml.safe_load(Path("out.yaml").read_text())
    assert {key: recipe[key] for key in keys} == keys
    left = {key: value for key, value in settings.items() if key not in recipe}
    again = run_kd("Distiller", config_file_list=["out.yaml"], config_dict={**left, "baseline": False})
    assert again["distilled"]["valid_result"]["mrr@10"] == result["trials"][result["best"]]["value"]


def test_the_files_hold_it_all_and_nothing_else_is_left(settings, workdir):
    result = search(settings)
    content = json.loads(Path("out.json").read_text())
    assert (
        content["trials"] == result["trials"]
        and content["best"] == result["best"]
        and content["search"] == result["search"]
    )
    head = [line for line in Path("out.yaml").read_text().splitlines() if line.startswith("#")]
    assert len(head) == 4 and "seed 2020, 3 trials" in head[0]
    for number in (result["best"], 0):
        assert f"{result['trials'][number]['value']:.4f}" in head[1]
    assert "run_kd.py tune --model=SLD" in head[2] and "--trials=3" in head[2] and "--config_files=out.yaml" in head[3]
    assert all("--data_path=" in line for line in head[2:])  # or the commands would not find the data


def test_the_recipe_s_commands_leave_out_what_they_would_refuse(settings, workdir):
    keys = {**settings, "n_layers": 3, "my_note": "a"}
    head = search(keys, 1)["search"]
    assert not [line for line in (head["command"], head["run"]) if "n_layers" in line or "my_note" in line]
    assert not list(Path("saved", "tune").iterdir()) and not list(Path().rglob("*.partial"))


def test_an_interrupted_search_goes_on_to_the_same_trials(settings, workdir, monkeypatch):
    full = search(settings, 5)
    Path("out.json").rename("full.json")
    Path("out.yaml").rename("full.yaml")
    train, count = Experiment.train_side, []

    def killed(*args):
        count.append(1)
        if len(count) == 3:
            args[-1](0, 0.5, True)  # half a trial
            raise KeyboardInterrupt
        return train(*args)

    monkeypatch.setattr(Experiment, "train_side", killed)
    with pytest.raises(KeyboardInterrupt):
        search(settings, 5)
    assert len(json.loads(Path("out.json").read_text())["trials"]) == 2 and not Path("out.yaml").exists()
    assert without_seconds(search(settings, 5)) == without_seconds(full)
    assert len(count) == 6, "stored trials are not run again"
    assert Path("out.yaml").read_text() == Path("full.yaml").read_text().replace("full", "out")
    assert without_seconds(search(settings, 6))[:5] == without_seconds(full), "more trials go on likewise"


def test_no_recipe_is_written_if_every_trial_diverges(settings, workdir, monkeypatch):
    def breaking(*_):
        raise NonFiniteLoss("the SLD loss is not finite")

    monkeypatch.setattr(Experiment, "train_side", breaking)
    with pytest.raises(NonFiniteLoss, match="no trial ended"):
        search(settings, 2)
    assert not Path("out.yaml").exists()


def test_files_of_something_else_are_not_overwritten(settings, capsys, workdir):
    for name, content in (("out.yaml", "sld_tau: 2\n"), ("out.json", "{}"), ("out.json", "not JSON")):
        Path(name).write_text(content)
        assert main(command_words(settings)) == 2
        assert "not of this search" in capsys.readouterr().err and Path(name).read_text() == content
        Path(name).unlink()
    search(settings, 1)
    with pytest.raises(KDError, match="not of this search"):
        search({**settings, "seed": 1}, 1)


def test_a_search_of_the_first_version_continues(settings, workdir):
    """``tests/files/0.1/tuned`` has the files of a search at 307b002."""
    files = Path(__file__).parents[1] / "files" / "0.1" / "tuned"
    shutil.copytree(files, workdir, dirs_exist_ok=True)
    write_dataset(workdir / "data", "toy")
    keys = {**settings, "data_path": "data", "checkpoint_dir": "saved"}
    earlier = json.loads((files / "out.json").read_text())
    result = search(keys, 3)
    assert result["trials"][:2] == earlier["trials"] and len(result["trials"]) == 3
    assert result["search"]["key"] == earlier["search"]["key"]
    recipe = yaml.safe_load(Path("out.yaml").read_text())
    assert recipe.keys() == yaml.safe_load((files / "out.yaml").read_text()).keys()


def test_commands_can_be_pasted_whatever_their_values_hold(tmp_path):
    keys = {
        "additional_feat_suffix": "1e3",
        "clip_grad_norm": {"max_norm": 5},
        "data_path": "my data/it's",
        "transform": "a\nb",
    }
    layers = read_layers("MKD", "my data", config_dict=keys, typed=True)
    command = command_line(layers, user_keys(layers, ()) | {"data_path": keys["data_path"]})
    words = shlex.split(command)
    assert words[:2] == ["python", "run_kd.py"] and "\n" not in command
    again = read_layers(argv=words[2:])
    assert (again.method, again.dataset, again.plain) == ("MKD", "my data", keys)


def test_a_recipe_with_spaces_in_its_name_can_be_pasted(tmp_path):
    search = {"side": "method", "method": "MKD", "dataset": "d", "seed": 1, "valid_metric": "ndcg@10", "bigger": True}
    record = SearchRecord(tmp_path / "my  recipe.yaml", search | {"keys": {}, "key": "k", "command": "c", "run": "run"})
    trial = {
        "number": 0,
        "settings": {"learning_rate": 0.3},
        "state": "finished",
        "value": 0.5,
        "reason": None,
        "curve": [],
    }
    record.add({**trial, "seconds": 1.0})
    record.write_recipe()
    last = record.recipe.read_text().splitlines()[3]
    word = shlex.split(last.removeprefix("# "))[1]
    assert word == f"--config_files={record.recipe}"
    assert read_layers("MKD", "d", argv=[word]).plain == {"learning_rate": 0.3}
