"""The committed result files: their schema, their plans, and what pages and recipes say by them."""

import copy
import dataclasses
import importlib
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from benchmarks.accuracy.analysis import plan_settings
from benchmarks.result import FOLDER, read_result, result, result_files, topic_file
from benchmarks.schema import as_text, find_problems, main, make_record, make_result
from recbole_kd.compare.expand import plan_runs
from recbole_kd.compare.plan import flat, make_plan, read_plan
from recbole_kd.config.schema import PROPERTIES
from recbole_kd.config.yaml_loader import read_yaml

ROOT = FOLDER.parent
RESULTS = result_files()
ACCURACY = [file for file in RESULTS if json.loads(file.read_text())["kind"] == "accuracy"]
PLANS = sorted(FOLDER.glob("*/plans/*.yaml"))
RUN_PLANS = sorted(FOLDER.glob("*/run_plans/*.yaml"))


def plan_name(label):
    """A row's name as a plan may hold it: without brackets and quotes."""
    return re.sub(r'"?\[([^\]]*)\]"?', lambda match: match[1].replace("'", "").replace(",", "+"), label)


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.stem)
def test_a_committed_result_follows_the_schema(file):
    text = file.read_text(encoding="utf-8")
    content = json.loads(text)
    assert find_problems(content) == []
    assert as_text(content) == text
    assert len(list(FOLDER.glob(f"*/results/{file.name}"))) == 1, "pages name files without their folder"


VALID = make_result("accuracy", ["python x.py"], {}, [make_record("a", 1, {"test_ndcg@10": 0.1})], {"device": "cpu"})


def changed(path, value):
    content = copy.deepcopy(VALID)
    *parents, last = path
    place = content
    for key in parents:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return content


@pytest.mark.parametrize(("content", "words"), [
    ([], "a list, not an object"),
    (changed(["kind"], None), "'kind' is missing"),
    ({**VALID, "rows": []}, "'rows' is not in the schema"),
    (changed(["settings"], []), "'settings' is a list, not a dict"),
    (changed(["schema_version"], 2), "schema_version is 2"),
    (changed(["command"], []), "'command'"),
    (changed(["environment", "host"], "x"), "'environment' holds 'host'"),
    (changed(["records"], []), "'records' is empty"),
    (changed(["records", 0, "seed"], "1"), "record 0: 'seed' is neither"),
    (changed(["records", 0, "name"], ""), "record 0: 'name'"),
    (changed(["records", 0, "values"], {}), "record 0: 'values'"),
    (changed(["records", 0, "values", "x"], "text"), "the value of 'x' is 'text'"),
    (changed(["records", 0, "values", "x"], float("nan")), "the value of 'x' is nan"),
    (changed(["records", 0, "values", "x"], [1, [None, "a"]]), "the value of 'x'"),
    (changed(["records", 0, "note"], "x"), "nothing else"),
    ({**VALID, "records": VALID["records"] * 2}, "two records of 'a', seed 1"),
])  # fmt: skip
def test_what_the_schema_does_not_allow_is_named(content, words):
    problems = find_problems(content)
    assert len(problems) == 1 and words in problems[0]
    assert find_problems(VALID) == []


def test_the_validator_names_the_file(tmp_path, capsys):
    (tmp_path / "bad.json").write_text(json.dumps(changed(["records"], [])))
    assert main([str(RESULTS[0]), str(tmp_path / "bad.json")]) == 1
    assert capsys.readouterr().out == f"{tmp_path / 'bad.json'}: 'records' is empty\n"
    assert main([str(RESULTS[0])]) == 0
    with pytest.raises(ValueError, match="'records' is empty"):
        read_result(tmp_path / "bad.json")


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.stem)
def test_the_command_of_a_result_names_scripts_and_plans_that_exist(file):
    for line in read_result(file).command:
        words = shlex.split(line)
        assert words[0] == "python"
        if words[1] == "-m":
            assert importlib.util.find_spec(words[2]), words[2]
        else:
            assert (ROOT / words[1]).is_file()
        for word in words:
            if word.endswith(".yaml") and word.startswith("benchmarks/"):
                assert (ROOT / word).is_file(), word
            if word.startswith(("--output=", "--result_file=")) and "benchmarks/" in word:
                assert word.partition("=")[2] == file.relative_to(ROOT).as_posix()


@pytest.mark.parametrize(
    "file", [file for file in ACCURACY if "run.json" not in file.read_text()], ids=lambda f: f.stem
)
def test_a_plan_holds_exactly_the_runs_of_its_result(file):
    source = read_result(file)
    (plan,) = (one for one in (*PLANS, *RUN_PLANS) if one.stem == file.stem)
    settings = {name: source.settings.get(name, {}) for name in ("dataset", "seeds", "keys", "alone", "methods")}
    settings["methods"] = {plan_name(label): entry for label, entry in settings["methods"].items()}
    assert plan_settings(read_yaml(plan, "plan")) == settings
    measured = {record["name"] for record in source.records}
    assert set(source.settings["methods"]) <= measured
    assert source.seeds() == source.settings["seeds"]


@pytest.mark.parametrize("file", PLANS, ids=lambda file: file.stem)
def test_compare_accepts_a_plan_and_its_runs_are_those_of_the_result(file, tmp_path):
    """No data is needed: a plan is checked before the dataset's pairs are read."""
    plan = read_plan(file)
    (dataset,) = plan.datasets
    (tmp_path / dataset.what).mkdir()
    (tmp_path / dataset.what / f"{dataset.what}.inter").write_text("user_id:token\titem_id:token\n1\t1\n")
    dataset = dataclasses.replace(dataset, keys={**dataset.keys, "data_path": str(tmp_path)})
    runs = plan_runs(dataclasses.replace(plan, datasets=(dataset,), folder=tmp_path))
    assert plan.folder == Path("compare") / file.stem or file.stem in ("compare-citeulike", "compare-ml-100k")
    if "-alone-" not in file.stem:
        rows = {(record["seed"], plan_name(record["name"])) for record in result(file.stem).records if record["seed"]}
        rows = {row for row in rows if not row[1].startswith("student alone ")}  # of a plan of their own
        later = {"tune-neighbours-citeulike"}  # measured before the teacher with its neighbours had a row
        names = {(run.seed, run.name) for run in runs if file.stem not in later or run.name != "with its neighbours"}
        assert rows == names


@pytest.mark.parametrize("file", RUN_PLANS, ids=lambda file: file.stem)
def test_a_run_plan_has_keys_that_compare_would_know(file):
    content = read_yaml(file, "plan")
    keys = {name: value for name, value in content["keys"].items() if name != "nproc"} if "keys" in content else {}
    methods = [entry for entry in content["methods"] if "teachers" not in entry]  # ``best`` is not a key of a run
    make_plan({"datasets": [content["dataset"]], "seeds": content["seeds"], "methods": [
        {**entry, "name": plan_name(entry.get("name", entry["model"]))} if isinstance(entry, dict) else entry
        for entry in methods
    ], "keys": keys, "alone": content.get("alone")})  # fmt: skip


RECIPES = sorted((PROPERTIES / "recipe").rglob("*.yaml"))
OURS = [file for file in RECIPES if file.parent.name in ("citeulike", "ml-1m")]


def looked_at(name, method, seed, metric="ndcg@10"):
    """The settings of a result file's rows of a method as a recipe has them, and their value on validation."""
    source = result(name)
    if source.kind != "accuracy":
        return
    for label, entry in source.settings["methods"].items():
        value = source.by_seed(label, f"valid_{metric}").get(seed)
        if entry["model"] == method and value is not None:
            keys = {**source.settings["keys"], **{key: one for key, one in entry.items() if key != "model"}}
            yield keys, f"{value:.4f}"


def test_there_are_recipes_of_ours():
    assert len(OURS) > 40


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.stem)
def test_a_recipe_of_ours_names_its_command_its_seed_and_where_its_validation_value_stands(file):
    head = " ".join(line.lstrip("# ") for line in file.read_text().splitlines() if line.startswith("#"))
    value, seed = re.search(r"on validation of seed (\d): (0\.\d{4})", head).group(2, 1)
    assert f"--data_path=data --seed={seed}" in head
    names = re.findall(r"([\w-]+)\.json", head)
    texts = [(ROOT / topic_file(name)).read_text() for name in names]
    figures = {f"{float(figure):.4f}" for figure in re.findall(r"\b0\.\d+", " ".join(texts))}
    assert set(re.findall(r"\b0\.\d{4}\b", head)) <= figures
    content = flat(yaml.safe_load(file.read_text()))
    if "teachers" in content:  # the rest is partly the method's own default
        content = {"teachers": content["teachers"]}
    same = []
    for name in names:
        for keys, reached in looked_at(name, file.stem.partition("-")[0], int(seed)):
            if ({"teachers": keys.get("teachers")} if "teachers" in content else keys) == content:
                same.append(reached)
    assert value in same, f"{value} is not what these keys reached: {same}"


def test_the_figures_of_the_search_are_those_of_its_trials():
    page = (ROOT / "docs/tune.md").read_text(encoding="utf-8")
    tuned, alone = (result(f"tune-{name}-ml-100k") for name in ("RRD", "alone"))
    for source, pruned in ((tuned, 10), (alone, 9)):
        trials = [{**record["setting"], **record["values"]} for record in source.records]
        best = max((trial for trial in trials if trial["state"] == "finished"), key=lambda trial: trial["value"])
        assert best is trials[source.settings["best"]]
        assert f"{best['value']:.4f}" in page and f"{trials[0]['value']:.4f}" in page
        assert len(trials) == 20 and sum(trial["state"] == "pruned" for trial in trials) == pruned
    assert alone.settings["best"] == 0
    slow = [record["setting"] for record in alone.records if record["setting"]["settings"]["learning_rate"] < 0.001]
    assert slow and all(trial["state"] == "pruned" for trial in slow)
    over_seeds = result("tune-RRD-ml-100k-seeds")
    (name,) = (name for name in over_seeds.names() if name.startswith("RRD "))
    best = tuned.records[tuned.settings["best"]]["setting"]["settings"]
    assert {key: over_seeds.settings["methods"][name][key] for key in best} == best
    for row in (name, "RRD"):
        assert f" {over_seeds.mean(row, 'epochs'):.0f}" in page
