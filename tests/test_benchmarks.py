"""The scripts behind the published figures run on the toy dataset and write results that follow the schema."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks.accuracy import analysis, run_plan
from benchmarks.cost import epoch as epoch_cost
from benchmarks.cost import equal_time, payback, profile_epoch, waits
from benchmarks.inspection import initial, neighbours, preferences, walk
from benchmarks.result import Result, read_result
from benchmarks.scale import synthetic
from benchmarks.search import decay, trials
from benchmarks.serving import latency
from recbole_kd.compare.scheduler import compare
from recbole_kd.evaluation.statistics import paired
from recbole_kd.tune.tuner import tune_argv


@pytest.fixture
def toy_keys(data_path):
    return {"data_path": str(data_path), "embedding_size": 4, "epochs": 2}


@pytest.fixture
def run(data_path, workdir, monkeypatch):
    """Runs a script's main with a command line over the toy dataset; returns its result file."""

    def run_script(module, *argv, on_data=True, folder=True, epochs=2):
        toy = ["--dataset=toy", f"--data_path={data_path}", f"--epochs={epochs}"] if on_data else []
        toy += ["--checkpoint_dir=saved"] if on_data and folder else []  # some scripts choose one themselves
        monkeypatch.setattr(sys, "argv", ["script", *argv, *toy, "--result_file=result.json"])
        module.main()
        return read_result("result.json")

    return run_script


def write_plan(file, **content):
    Path(file).write_text(yaml.safe_dump(content))
    return str(file)


def test_a_comparison_becomes_a_result_file_with_its_summary(workdir, toy_keys, capsys):
    folder = toy_keys.pop("data_path")
    plan = {
        "datasets": [{"dataset": "toy", "data_path": folder}], "seeds": [1, 2], "alone": {"learning_rate": 0.003},
        "methods": ["MKD", {"model": "Distiller", "terms": ["SLD", "RCEKD"], "name": "the mix", "sld_weight": 3}],
        "keys": {**toy_keys, "neighbour_weight": 1.0, "teacher": {"embedding_size": 12}}, "folder": "compare/toy-plan",
    }  # fmt: skip
    compare(write_plan("toy-plan.yaml", **plan))
    words = ["compare/toy-plan", "--plan=toy-plan.yaml", "--output=toy.json"]
    assert analysis.main(words) == 0
    result = read_result("toy.json")
    names = ["teacher", "student alone", "with its neighbours", "MKD", "the mix"]
    assert sorted(result.names()) == sorted(names) and result.seeds() == [1, 2]
    assert result.settings["alone"] == {"learning_rate": 0.003} and "data_path" not in result.settings["dataset"]
    assert result.settings["methods"]["the mix"] == {"model": "Distiller", "terms": ["SLD", "RCEKD"], "sld_weight": 3}
    runs = {seed: json.loads(Path(f"compare/toy-plan/runs/toy/seed-{seed}/MKD.json").read_text()) for seed in (1, 2)}
    scores = {seed: row["test_result"]["ndcg@10"] for seed, row in runs.items()}
    assert result.by_seed("MKD", "test_ndcg@10") == scores
    summary = analysis.summarise(result, "test_ndcg@10")
    summarised = json.loads(Path("compare/toy-plan/summary.json").read_text())["datasets"]["toy"]["rows"]
    for name in ("MKD", "the mix"):  # as compare itself has it
        expected = summarised[name]["metrics"]["ndcg@10"]
        for field in ("mean", "sd", "share", "against_alone", "against_teacher"):
            assert summary[name][field] == pytest.approx(expected[field]), field
    assert "the mix" in capsys.readouterr().out


def test_a_second_comparison_gives_another_student_alone_under_its_own_name(workdir, toy_keys, capsys):
    folder = toy_keys.pop("data_path")
    plan = {"datasets": [{"dataset": "toy", "data_path": folder}], "seeds": [1], "methods": ["SLD"], "keys": toy_keys}
    for name, alone in (("one", {}), ("other", {"weight_decay": 0.001})):
        compare(write_plan(f"{name}.yaml", **plan, alone=alone, folder=f"compare/{name}"))
        assert analysis.main([f"compare/{name}", f"--plan={name}.yaml", f"--output={name}.json"]) == 0
    assert analysis.main(["one.json", "other.json"]) == 2 and "'student alone'" in capsys.readouterr().err
    words = ["one.json", "other.json", "--relabel=other.json=student alone=student alone, decay", "--output=both.json"]
    assert analysis.main(words) == 0
    assert sorted(read_result("both.json").names()) == ["SLD", "student alone", "student alone, decay", "teacher"]


def test_a_run_plan_measures_several_teachers_one_by_one(workdir, toy_keys):
    folder = toy_keys.pop("data_path")
    plan = {
        "dataset": {"dataset": "toy", "data_path": folder}, "seeds": [1], "alone": {"learning_rate": 0.003},
        "keys": {**toy_keys, "teachers": [{"model": "BPR", "embedding_size": 12}, {"model": "ItemKNN", "k": 5}]},
        "methods": [
            "HetComp", {"model": "HetComp", "teacher_states": 1, "name": "last states only"},
            {"model": "HetComp", "teachers": "best", "name": "best teacher only"},
            {"model": "SLD", "ensemble": "score", "ensemble_weights": [1, 0.3]},
        ],
    }  # fmt: skip
    run_plan.main([write_plan("several.yaml", **plan), "--output=several.json"])
    result = read_result("several.json")
    ends = ["teacher BPR", "teacher ItemKNN", "ensemble", "student alone"]
    assert result.names() == [*ends, "HetComp", "last states only", "best teacher only", "SLD"]
    assert all(0 <= value <= 1 for name in result.names() for value in result.values(name, "test_ndcg@10"))


def test_without_keys_for_it_the_student_alone_is_that_of_the_first_run(workdir, toy_keys):
    folder = toy_keys.pop("data_path")
    dataset = {"dataset": "toy", "data_path": folder}
    plan = write_plan("p.yaml", dataset=dataset, seeds=[1, 2], methods=["SLD"], keys=toy_keys)
    run_plan.main([plan, "--output=p.json"])
    result = read_result("p.json")
    assert [name for name in result.names() if name != "neighbour advice"] == ["teacher", "student alone", "SLD"]
    assert result.values("student alone", "parameters") == result.values("SLD", "parameters")


@pytest.mark.parametrize(("text", "words"), [("{}", "distilled"), (None, "0 datasets")])
def test_a_source_that_is_no_run_is_refused(workdir, text, words, capsys):
    if text is None:
        Path("empty").mkdir()
        plan = write_plan("p.yaml", dataset="toy", seeds=[1], methods=["SLD"])
        assert analysis.main(["empty", f"--plan={plan}"]) == 2
        assert words in capsys.readouterr().err
    else:
        Path("x.json").write_text(text)
        with pytest.raises(KeyError, match=words):
            analysis.main(["x.json"])


def test_weight_decay_by_width_and_a_second_command_adds_to_the_file(run):
    assert len(run(decay, "--settings=[[4, 0.01, 0]]", "--seed=1").records) == 1
    result = run(decay, "--settings=[[4, 0.01, 0.001]]", "--seed=1")
    assert [record["setting"]["weight_decay"] for record in result.records] == [0.0, 0.001]
    assert all(record["seed"] == 1 and record["name"] == "BPR" for record in result.records)


def test_neighbour_weights_and_starts(run):
    result = run(neighbours, "--weights=0,1", "--seeds=1")
    assert [record["setting"]["neighbour_weight"] for record in result.records] == [0.0, 1.0]
    result = run(initial, "--method=SLD", "--seeds=1", "--embedding_size=4", "--teacher.embedding_size=12")
    assert result.names() == ["random", "teacher"] and 0 < result.values("teacher", "share")[0] <= 1


def test_preferences_and_trajectories(run, monkeypatch):
    monkeypatch.setattr(preferences, "LIST", 20)  # of the toy dataset's 90 items
    result = run(preferences, "--methods=PCKD;PCKD --cpd_weight=0", "--seeds=1", "--embedding_size=4")
    assert len(result.names()) == 2 and all(0 <= value <= 1 for value in result.values("PCKD", "uniform"))
    result = run(walk, "--seeds=1", "--teacher_model=['BPR','ItemKNN']", "--teacher_states=2", epochs=12)
    assert result.names() == ["BPR", "student"] and 0 <= result.values("BPR", "shares")[0][0] <= 1


def test_costs_of_an_epoch_by_time_memory_and_device(run):
    result = run(epoch_cost, "--methods=SLD", "--pairs=1", folder=False)
    assert result.names() == ["plain", "SLD"] and result.values("SLD", "ratio")[0] > 0
    result = run(waits, "--methods=SLD", "--train_batch_size=32", folder=False)
    assert result.names() == ["plain", "SLD"] and result.values("SLD", "operations")[0] > 0
    result = run(profile_epoch, "--methods=SLD", "--epochs=1")
    assert result.values("SLD", "loss of SLD")[0] > 0


def test_costs_until_a_score_is_reached_and_after_equal_time(run):
    result = run(payback, "--methods=SLD", "--seeds=1", "--alone=--learning_rate=0.001")
    assert result.names() == ["plain", "SLD"] and result.settings["alone"] == {"learning_rate": 0.001}
    result = run(equal_time, "--pairs=SLD; --kd_rows=0", "--seeds=1", "--seconds=0.2")
    assert result.names() == ["SLD", "SLD --kd_rows=0"] and result.records[0]["setting"] == {"at_seconds": 0.2}


def test_synthetic_data_and_serving(run):
    small = ("--users=300", "--items=300", "--interactions=3000", "--steps=1")
    assert run(synthetic, "--method=SLD", *small, on_data=False).settings["users"] == 300
    result = run(latency, "--items", "100", "--batch", "1", "4", "--rounds=4", on_data=False)
    assert [record["setting"]["batch"] for record in result.records] == [1, 4]


def test_the_trials_of_a_search(workdir, data_path):
    keys = ["--model=SLD", "--dataset=toy", f"--data_path={data_path}", "--epochs=1", "--embedding_size=4"]
    tune_argv([*keys, "--trials=2", "--output=t.yaml"])
    trials.main(["t.json", "--output=trials.json"])
    result = read_result("trials.json")
    assert result.names() == ["trial 0", "trial 1"] and result.records[0]["setting"]["state"] == "finished"


def test_holms_correction_is_over_the_methods_of_the_file():
    rows = (("teacher", 0.3, 0.001), ("student alone", 0.2, 0.003), ("A", 0.25, 0.002), ("B", 0.22, 0.0))
    records = [
        {"name": name, "seed": seed, "values": {"test_ndcg@10": value + step * seed**2}}
        for name, value, step in rows
        for seed in (1, 2, 3)
    ]  # fmt: skip
    result = Result("toy", "accuracy", ["x"], {}, {}, records)
    rows = analysis.summarise(result, "test_ndcg@10")
    tests = {name: paired(*(list(result.by_seed(one, "test_ndcg@10").values()) for one in (name, "student alone")))
             for name in ("A", "B")}  # fmt: skip
    small, large = sorted(test["p"] for test in tests.values())
    assert {rows[name]["against_alone"]["p_holm"] for name in "AB"} == {2 * small, max(large, 2 * small)}
    assert rows["A"]["share"] == pytest.approx((0.25 - 0.2 - 0.001 * 14 / 3) / (0.3 - 0.2 - 0.002 * 14 / 3))
