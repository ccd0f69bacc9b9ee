"""Recipes by name: below the user's own files, bit-equal with the file, found by a short name, listed."""

import logging
import re
from pathlib import Path

import pytest
import torch
import yaml

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.cli import main
from recbole_kd.compare.plan import flat, read_plan
from recbole_kd.config.configurator import plain_config
from recbole_kd.config.layering import read_layers
from recbole_kd.config.recbole_schema import recbole_keys
from recbole_kd.config.recipes import Recipe, find_recipe, list_recipes, recipe_files, recipe_method
from recbole_kd.config.schema import PROPERTIES, method_keys
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from recbole_kd.quick_start import run_kd
from recbole_kd.trainer.cache_key import run_key
from tests.config.helpers import yaml_file

RECIPES = recipe_files()
METHOD_RECIPES = [name for name in RECIPES if recipe_method(name)]  # common.yaml is shared by several methods


def parts_of(config):
    """Everything that a run and its checkpoints take from a Config."""
    teachers = [(teacher.label, vars(plain_config(teacher.config))) for teacher in config.teachers if teacher.config]
    return config.method, config.final_config_dict, vars(plain_config(config)), teachers


def test_every_recipe_but_the_shared_one_names_its_method():
    assert set(RECIPES) - set(METHOD_RECIPES) == {"protocol-a/common"}
    assert len(RECIPES) > 90


@pytest.mark.parametrize("name", METHOD_RECIPES)
def test_a_recipe_is_taken_without_a_change(name):
    config = make_config(recipe_method(name), "toy", [str(RECIPES[name])])
    text = RECIPES[name].read_text()
    content = yaml.safe_load(text)
    block = content.pop("teacher", {})
    assert {key: config[key] for key in content} == content
    for teacher, entry in zip(config.teachers, content.get("teachers", [{}]), strict=True):
        for key, value in {**block, **entry}.items():
            setting = teacher.config[key]  # RecBole completes nested values
            assert ({inner: setting[inner] for inner in value} if isinstance(value, dict) else setting) == value
    assert re.search(rf"--recipe=(protocol-a/common,)?{name}( |$)", text, re.M)
    assert not set(content) - set(method_keys(config.method, content.get("terms", ()))) - recbole_keys()


@pytest.mark.parametrize("name", ["citeulike/MKD-neighbours", "citeulike/HetComp-five", "ml-1m/Distiller"])
def test_a_recipe_by_name_is_its_file(name, data_path):
    split = {"data_path": str(data_path)}
    by_name = make_config(dataset="toy", config_dict=split, argv=[f"--recipe={name}"])
    by_file = make_config(recipe_method(name), "toy", config_dict=split, argv=[f"--config_files={RECIPES[name]}"])
    by_dict = make_config(dataset="toy", config_dict={**split, "recipe": name})
    assert str(parts_of(by_name)) == str(parts_of(by_file)) == str(parts_of(by_dict))
    for config in (by_name, by_dict):
        assert "recipe" not in config.final_config_dict
        assert not config.unused_keys
    fingerprint = prepare_split(plain_config(by_file)).fingerprint
    assert run_key(by_name, fingerprint) == run_key(by_file, fingerprint)


def test_the_run_of_a_recipe_has_the_bits_and_the_names_of_its_file_s_run(workdir, data_path):
    files = {}
    settings = {"data_path": str(data_path), "epochs": 2, "show_progress": False, "baseline": False, "state": "ERROR"}
    for source in ("--recipe=citeulike/SLD", f"--config_files={RECIPES['citeulike/SLD']}"):
        folder = source[2:8]
        result = run_kd("SLD", "toy", config_dict={**settings, "checkpoint_dir": folder}, argv=[source])
        checkpoint = read_checkpoint(result["distilled"]["checkpoint"])
        files[folder] = sorted(path.relative_to(folder) for path in Path(folder).rglob("*.pth")), checkpoint
        assert "recipe" not in result["config"] and "recipe" not in checkpoint["config"]
    (names, by_name), (same_names, by_file) = files.values()
    assert names == same_names and len(names) > 1
    assert all(torch.equal(by_name["state_dict"][key], weight) for key, weight in by_file["state_dict"].items())
    assert {**by_name["config"], "checkpoint_dir": ""} == {**by_file["config"], "checkpoint_dir": ""}


def test_the_user_s_files_and_keys_win_over_a_recipe(tmp_path):
    assert yaml.safe_load(RECIPES["citeulike/SLD"].read_text())["learning_rate"] == 0.003
    file = yaml_file(tmp_path, "learning_rate: 0.25\n")
    recipe = "--recipe=citeulike/SLD"
    assert read_layers("SLD", "toy", argv=[recipe]).plain["learning_rate"] == 0.003
    assert read_layers("SLD", "toy", [file], argv=[recipe]).plain["learning_rate"] == 0.25
    assert read_layers("SLD", "toy", argv=[recipe, f"--config_files={file}"]).plain["learning_rate"] == 0.25
    keys = {"learning_rate": 0.5}
    assert read_layers("SLD", "toy", [file], keys, [recipe]).plain["learning_rate"] == 0.5
    assert read_layers("SLD", "toy", [file], keys, [recipe, "--learning_rate=1"]).plain["learning_rate"] == 1


def test_a_block_of_a_recipe_merges_key_by_key():
    block = read_layers(dataset="toy", argv=["--recipe=citeulike/SLD", "--teacher.eval_step=7"]).block("teacher")
    assert block == {"eval_step": 7, "stopping_step": 10}


def test_of_several_recipes_the_later_wins_and_names_the_method():
    found = read_layers(dataset="toy", argv=["--recipe=protocol-a/common,protocol-a/RRD"])
    content = {**yaml.safe_load(RECIPES["protocol-a/common"].read_text())}
    content |= yaml.safe_load(RECIPES["protocol-a/RRD"].read_text())
    assert found.method == "RRD"
    assert found.plain == {key: value for key, value in content.items() if key != "teacher"}
    listed = read_layers(dataset="toy", config_dict={"recipe": ["protocol-a/common", "protocol-a/RRD"]})
    assert listed == found
    reverse = read_layers(dataset="toy", argv=["--recipe=citeulike/SLD, citeulike/MKD"])
    assert reverse.method == "MKD"


def test_the_method_of_a_recipe_is_said_in_the_log_and_gives_way_to_the_user(caplog):
    config = make_config(dataset="toy", argv=["--recipe=citeulike/Distiller-neighbours"])
    assert (config.method, config["terms"]) == ("Distiller", ["SLD", "RCEKD"])
    with caplog.at_level(logging.INFO):
        config.warn_unused_keys()
    [record] = caplog.records
    assert record.levelno == logging.INFO
    assert "Distiller" in record.getMessage() and "citeulike/Distiller-neighbours" in record.getMessage()
    layers = read_layers("RRD", "toy", argv=["--recipe=citeulike/CD"])
    assert layers.method == "RRD" and not layers.choices


def test_a_recipe_without_a_method_leaves_it_to_the_user():
    with pytest.raises(KDError, match="no method was given"):
        read_layers(dataset="toy", argv=["--recipe=protocol-a/common"])


def test_a_short_name_works_where_one_group_has_it():
    assert find_recipe("HetComp-five") == "citeulike/HetComp-five"
    with pytest.raises(KDError, match=r"'MKD-neighbours' is in several groups: .*citeulike/MKD-neighbours, ml-1m/MKD"):
        find_recipe("MKD-neighbours")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("citeulike/MKD-neighbors", "citeulike/MKD-neighbours"),
        ("HetComp-fiv", "HetComp-five"),
        ("cite/SLD-ensemble", "citeulike/SLD-ensemble"),
        ("../overall", None),
        ("zzz", None),
    ],
)
def test_an_unknown_recipe_is_refused_with_the_nearest(name, nearest):
    with pytest.raises(KDError, match=f"unknown recipe '{re.escape(name)}'.*{nearest or '--list-recipes'}"):
        read_layers(dataset="toy", argv=[f"--recipe={name}"])


@pytest.mark.parametrize("value", [5, True, [5], "a,,b", "", {"a": 1}])
def test_a_recipe_that_is_no_name_is_refused(value):
    with pytest.raises(KDError, match="recipe="):
        read_layers("MKD", "toy", config_dict={"recipe": value})


def test_a_recipe_in_a_file_is_refused(tmp_path):
    with pytest.raises(KDError, match=r"recipe in .*command line"):
        read_layers("MKD", "toy", [yaml_file(tmp_path, "recipe: citeulike/MKD\n")])


def test_the_list_of_recipes_says_what_their_heads_say(capsys):
    recipes = {recipe.name: recipe for recipe in list_recipes()}
    assert set(recipes) == set(RECIPES)
    assert recipes["citeulike/MKD-neighbours"] == Recipe(
        "citeulike/MKD-neighbours", "MKD", "citeulike", "BPR 20", "BPR 200", "0.1007"
    )
    assert recipes["citeulike/HetComp-five"].teacher == "5 teachers"
    assert recipes["paper/CPD"] == Recipe("paper/CPD", "CPD", "Foursquare", "BPR 10", "BPR 800")
    assert main(["--list-recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    for recipe in recipes.values():
        [line] = [line for line in lines if line.split(maxsplit=1)[0] == recipe.name]
        assert recipe.method in line and recipe.student in line and recipe.validation in line


@pytest.mark.parametrize("group", ["citeulike", "ml-1m"])
def test_each_recipe_of_ours_is_listed_without_a_blank(group):
    for recipe in list_recipes():
        if recipe.name.startswith(group):
            assert recipe.dataset == group
            assert all((recipe.method, recipe.student, recipe.teacher)), recipe
            assert 0 < float(recipe.validation) < 1


def test_explain_takes_the_method_from_a_recipe(capsys):
    assert main(["--recipe=citeulike/SLD", "--explain"]) == 0
    assert "| sld_tau " in capsys.readouterr().out


def test_the_plan_of_protocol_a_is_its_recipes():
    plan = read_plan(PROPERTIES.parent / "benchmarks/accuracy/plans/protocol-a.yaml")
    shared = RECIPES["protocol-a/common"]
    recipes = {name.partition("/")[2]: name for name in METHOD_RECIPES if name.startswith("protocol-a/")}
    assert plan.keys == flat(yaml.safe_load(shared.read_text()))
    assert {method.name for method in plan.methods} == set(recipes)
    for method in plan.methods:
        assert method.keys == yaml.safe_load(RECIPES[recipes[method.name]].read_text())
        assert method.what == recipe_method(recipes[method.name])
    for name in recipes.values():
        keys = yaml.safe_load(RECIPES[name].read_text())
        config = make_config(recipe_method(name), "toy", [str(shared), str(RECIPES[name])])
        assert {key: config[key] for key in keys} == keys
        assert (config["embedding_size"], config.teacher["embedding_size"]) == (20, 400)
        assert (config.teacher["kd_reduction"], config.teacher["weight_decay"]) == ("sum", 0.001)
