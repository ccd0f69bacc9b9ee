"""Tests of a comparison from its plan to its report: runs, numbers, refused plans."""

import base64
import csv
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from html import unescape
from pathlib import Path

import numpy as np
import pytest

import recbole_kd
from recbole_kd.cli import main
from recbole_kd.compare import run as run_module
from recbole_kd.compare.expand import plan_runs
from recbole_kd.compare.plan import flat, make_plan, merged, read_plan
from recbole_kd.compare.progress import Progress, clock, time_left
from recbole_kd.compare.report.charts import gains
from recbole_kd.compare.report.findings import findings
from recbole_kd.compare.report.formats import format_number, format_p_value, format_percent, format_signed, mean_sd
from recbole_kd.compare.report.markup import table
from recbole_kd.compare.report.tables import accuracy, comparison_text
from recbole_kd.compare.run import _measured, load_trained, read_row, time_models
from recbole_kd.compare.scheduler import compare
from recbole_kd.compare.summary import _compared, complete, ranked
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError
from recbole_kd.evaluation.popularity_recall import popularity_recall
from recbole_kd.evaluation.result import recovered_share
from recbole_kd.evaluation.statistics import describe, holm
from recbole_kd.experiment import make_config
from recbole_kd.trainer.resumable import ResumableTrainer

REPO = Path(__file__).resolve().parents[2]
NAMES = ["teacher", "student alone", "SLD", "RRD, half"]


@pytest.fixture(autouse=True)
def loud():
    """Enable logging again, which a comparison in this process disables."""
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def content(data_path):
    """A plan of two methods and two seeds on the small data."""
    keys = {
        "data_path": str(data_path), "epochs": 3, "train_batch_size": 128, "learning_rate": 0.01, "embedding_size": 4,
        "teacher": {"embedding_size": 12}, "resume_interval": 0, "state": "ERROR",
    }  # fmt: skip
    methods = ["SLD", {"model": "RRD", "rrd_weight": 0.5, "name": "RRD, half"}]
    return {"datasets": ["toy"], "seeds": [1, 2], "methods": methods, "keys": keys, "alone": {"learning_rate": 0.02}}


@pytest.fixture(scope="module")
def done(content, tmp_path_factory):
    """The plan after its comparison in one process: (plan, summary)."""
    folder = tmp_path_factory.mktemp("compared")
    before = os.getcwd()
    os.chdir(folder)
    try:
        plan = make_plan({**content, "folder": str(folder / "serial")})
        return plan, compare(plan)
    finally:
        os.chdir(before)
        logging.disable(logging.NOTSET)


def untimed(summary):
    """A summary without its times."""
    return json.loads(re.sub(r'"(ms_per_user|seconds)": [-+.\de]+', r'"\1": 0', json.dumps(summary)))


# What is run, and what is kept


def test_every_run_has_a_file_and_the_summary_holds_their_metrics_unrounded(done):
    plan, summary = done
    runs = plan_runs(plan)
    assert [(run.seed, run.name) for run in runs] == [(seed, name) for seed in (1, 2) for name in NAMES]
    rows = summary["datasets"]["toy"]["rows"]
    for run in runs:
        row = run.row()
        assert row["test_result"] == {
            metric: entry["values"][str(run.seed)] for metric, entry in rows[run.name]["metrics"].items()
        }
        assert len(row["valid_scores"]) == row["epochs"] == 3
        best = max(score for _, score in row["valid_scores"])
        assert [row["best_epoch"], best] in row["valid_scores"]
    values = [value for run in runs for value in run.row()["test_result"].values()]
    assert any(value != round(value, 6) for value in values)
    assert rows["teacher"]["parameters"] == 3 * rows["SLD"]["parameters"] and rows["SLD"]["ms_per_user"] > 0
    assert json.loads((plan.folder / "summary.json").read_text()) == summary


def test_files_have_a_schema_version_and_files_without_it_are_version_1(done, tmp_path):
    run = plan_runs(done[0])[0]
    row = run.row()
    assert row["schema_version"] == done[1]["schema_version"] == 1
    file = tmp_path / "run.json"
    earlier = {name: value for name, value in row.items() if name != "schema_version"}
    file.write_text(json.dumps(earlier))
    assert read_row(file, run.key) == earlier
    file.write_text(json.dumps({**row, "schema_version": 2}))
    assert read_row(file, run.key) is None


def test_each_seed_has_one_split_which_all_its_runs_share(done):
    splits = {seed: {run.row()["split"] for run in plan_runs(done[0]) if run.seed == seed} for seed in (1, 2)}
    assert all(len(fingerprints) == 1 for fingerprints in splits.values()) and splits[1] != splits[2]


def test_keys_apply_to_the_runs_that_they_are_for(done):
    made = {run.name: make_config(config_dict=run.keys) for run in plan_runs(done[0])}
    assert [made[name]["learning_rate"] for name in NAMES] == [0.01, 0.02, 0.01, 0.01]
    assert [made[name]["rrd_weight"] for name in ("RRD, half",)] == [0.5]
    assert {made[name].teacher["embedding_size"] for name in NAMES} == {12}


def test_the_teacher_stores_the_trajectory_that_a_later_method_needs(content, workdir):
    plan = make_plan({**content, "folder": "both", "methods": ["RD", "HetComp"]})
    made = {run.name: make_config(config_dict=run.keys) for run in plan_runs(plan)}
    assert made["RD"]["teacher_states"] == 1 and made["teacher"]["teacher_states"] == 4


def test_the_teachers_line_is_drawn_over_the_seeds_that_it_shares_with_the_student_alone(done):
    part = json.loads(json.dumps(done[1]["datasets"]["toy"]))
    rows = {name: part["rows"][name]["metrics"]["ndcg@10"] for name in ("teacher", "student alone")}
    gap = rows["teacher"]["values"]["1"] - rows["student alone"]["values"]["1"]
    del rows["student alone"]["values"]["2"]
    lines = [shape.x0 for shape in gains(part, "ndcg@10").layout.shapes]
    assert lines == pytest.approx([0, gap])


def test_a_repeated_comparison_runs_nothing(done, monkeypatch, workdir):
    plan, summary = done
    for name in ("execute_run", "time_models", "check_datasets"):
        monkeypatch.setattr(f"recbole_kd.compare.scheduler.{name}", lambda *_: None)
    assert compare(plan) == summary


def test_only_what_a_change_reaches_is_run_again(done, content):
    plan, _ = done

    def missing(**changed):
        return [
            run.name
            for run in plan_runs(make_plan({**content, "folder": str(plan.folder), **changed}))
            if not run.row()
        ]

    assert missing() == missing(processes=3) == missing(seeds=[2]) == []
    assert missing(methods=["SLD", {"model": "RRD", "rrd_weight": 0.25, "name": "RRD, half"}]) == ["RRD, half"] * 2
    assert missing(alone={"learning_rate": 0.03}) == ["student alone"] * 2
    assert missing(seeds=[1, 3]) == NAMES
    for one in ({"epochs": 4}, {"metrics": ["NDCG", "MRR"]}):
        assert missing(keys={**content["keys"], **one}) == NAMES * 2
    assert missing(keys={**content["keys"], "resume_interval": 7}) == []


def test_teachers_combined_differently_are_another_teacher(content, workdir):
    def keys(**more):
        keys = {**content["keys"], "teacher_model": ["BPR", "ItemKNN"], **more}
        plan = make_plan({**content, "methods": ["RRD"], "folder": "c", "keys": keys})
        return {run.name: run.key for run in plan_runs(plan)}

    settings = ({}, {"ensemble": "score"}, {"ensemble_weights": [1, 2]}, {"ensemble_weights": [2, 1]})
    keys_by_setting = [keys(**more) for more in settings]
    for name in ("teacher", "RRD"):
        assert len({run_keys[name] for run_keys in keys_by_setting}) == len(settings)
    assert len({run_keys["student alone"] for run_keys in keys_by_setting}) == 1
    methods = [{"model": "RRD", "ensemble_weights": [1, 2]}]
    with pytest.raises(KDError, match="another teacher"):
        plan_runs(
            make_plan({**content, "methods": methods, "keys": {**content["keys"], "teacher_model": ["BPR", "EASE"]}})
        )


def test_a_given_teacher_is_known_by_what_is_in_its_file(done, content, workdir):
    first, second = (next((done[0].folder / f"models/toy/seed-{seed}/teacher").glob("*.pth")) for seed in (1, 2))

    def keys(file):
        (workdir / "t.pth").write_bytes(file.read_bytes())
        given = {key: value for key, value in content["keys"].items() if key != "teacher"} | {"teacher_path": "t.pth"}
        return {run.name: run.key for run in plan_runs(make_plan({**content, "folder": "c", "keys": given}))}

    one, again, other = keys(first), keys(first), keys(second)
    assert one == again and all(one[name] != other[name] for name in ("teacher", "SLD", "RRD, half"))


def test_a_teacher_of_scores_is_measured_again_when_the_metrics_change(content, workdir):
    (workdir / "s.tsv").write_text("u1\ti1\t0.5\n")
    keys = {key: value for key, value in content["keys"].items() if key != "teacher"}

    def key(**more):
        settings = {**keys, "teachers": [{"scores": "s.tsv"}], **more}
        runs = plan_runs(make_plan({**content, "methods": ["RRD"], "folder": "c", "keys": settings}))
        return next(run.key for run in runs if run.name == "teacher")

    split = {"eval_args": {"split": {"RS": [0.5, 0.2, 0.3]}}}
    assert key() == key() and len({key(), key(**split), key(topk=[5, 20], valid_metric="MRR@5")}) == 3


def test_a_teacher_that_has_seen_test_pairs_is_named_in_every_summary(done, content, workdir):
    first = next((done[0].folder / "models/toy/seed-1/teacher").glob("*.pth"))
    keys = {key: value for key, value in content["keys"].items() if key != "teacher"}
    keys |= {"teacher_path": str(first), "teacher_check": "warn"}
    summary = compare(make_plan({**content, "methods": ["RRD"], "folder": "c", "keys": keys}))
    assert len(summary["warnings"]) == 1 and re.match(r"toy, seed 2: .* test pairs", summary["warnings"][0])
    assert summary["warnings"][0] in comparison_text(summary) and summary["warnings"][0] in unescape(
        Path("c/report.html").read_text()
    )
    assert done[1]["warnings"] == [] and "may have seen" not in (done[0].folder / "report.html").read_text()


SAMPLED = {"eval_args": {"mode": "uni10"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alone": SAMPLED}, "student alone: it would be measured by mode .*uni10"),
        ({"alone": {"repeatable": True}}, "student alone: it would be measured by repeatable True"),
        ({"alone": {"metrics": ["MRR"], "valid_metric": "MRR@10"}}, "student alone: it would be measured by metrics"),
        ({"methods": [{"model": "SLD", "student.repeatable": True}]}, "SLD: it would be measured by repeatable True"),
    ],
)
def test_a_row_that_would_be_measured_otherwise_is_refused(change, message, content, workdir):
    with pytest.raises(KDError, match=rf"^toy, {message}"):
        compare(make_plan({**content, "folder": "c", **change}))
    assert not Path("c").exists()


def test_the_seed_of_a_teacher_decides_its_runs(content, workdir):
    """A teacher may have a fixed seed where the split does not depend on the seed."""

    def keys(*seeds):
        fixed = {"eval_args": {"order": "TO"}, "load_col": {"inter": ["user_id", "item_id", "timestamp"]}}
        fixed |= {key: value for key, value in content["keys"].items() if key not in ("teacher", *fixed)}
        fixed["teachers"] = [{"model": "BPR", "seed": seed} for seed in seeds]
        runs = plan_runs(make_plan({**content, "methods": ["RRD"], "folder": "c", "keys": fixed}))
        return {(run.name, run.seed): run.key for run in runs}

    one, other = keys(11, 12), keys(11, 13)
    assert {name for (name, _), key in one.items() if other[name, _] != key} == {"teacher", "RRD"}


def test_methods_along_unlike_numbers_of_states_are_refused(content, workdir):
    methods = ["HetComp", {"model": "HetComp", "teacher_states": 3, "name": "three"}]
    with pytest.raises(KDError, match="differ in teacher_states"):
        plan_runs(make_plan({**content, "methods": methods, "folder": "c"}))


def test_what_was_logged_before_a_comparison_is_logged_after_it(done):
    assert logging.root.manager.disable == 0


def test_a_given_teacher_is_refused_before_anything_is_trained(done, content, workdir):
    first = next((done[0].folder / "models/toy/seed-1/teacher").glob("*.pth"))
    keys = {key: value for key, value in content["keys"].items() if key != "teacher"}
    plan = {**content, "methods": ["RRD"], "folder": "c"}
    with pytest.raises(KDError, match=r"^toy, seed 2: .* test pairs: seed 1, here 2"):
        compare(make_plan({**plan, "keys": {**keys, "teacher_path": str(first)}}))
    Path("s.tsv").write_text("user\titem\tscore\nu1\ti1\t1.0\n")
    keys |= {"teachers": [{"scores": "s.tsv"}], "teacher_check": "warn"}
    with pytest.raises(KDError, match=r"^toy, RRD: 's.tsv' holds fewer than \d+ items"):
        compare(make_plan({**plan, "keys": keys}))
    assert not Path("c").exists()


def test_entries_that_differ_in_name_only_are_trained_once(content, workdir):
    methods = ["KD", {"model": "KD", "kd_reduction": "mean", "name": "a"}, {"model": "KD", "kd_k": 100, "name": "b"}]
    plan = make_plan({**content, "methods": methods, "seeds": [1], "folder": "c", "processes": 3})
    compare(plan)
    rows = [run.row() for run in plan_runs(plan) if run.method]
    assert [row["checkpoint"] for row in rows] == [rows[0]["checkpoint"]] * 3
    assert [row["test_result"] for row in rows] == [rows[0]["test_result"]] * 3


def test_a_changed_dataset_is_noticed(content, tmp_path):
    (tmp_path / "toy").mkdir()
    for file in (Path(content["keys"]["data_path"]) / "toy").iterdir():
        (tmp_path / "toy" / file.name).write_bytes(file.read_bytes())
    plan = make_plan(
        {**content, "keys": {**content["keys"], "data_path": str(tmp_path)}, "folder": str(tmp_path / "c")}
    )
    before = [run.key for run in plan_runs(plan)]
    with open(tmp_path / "toy" / "toy.inter", "a") as stream:
        stream.write("u1\ti1\t99\n")
    after = [run.key for run in plan_runs(plan)]
    assert not set(before) & set(after)


def test_killed_half_way_with_two_processes_and_repeated_it_is_the_same(done, content, workdir):
    plan = {**content, "processes": 2, "folder": "killed"}
    Path("plan.yaml").write_text(json.dumps(plan))  # JSON is YAML
    words = [sys.executable, "-m", "recbole_kd", "compare", "plan.yaml"]
    with open("output.txt", "w") as output:
        process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(REPO)}, stdout=output, stderr=output)
    limit = time.monotonic() + 60
    while len(list(Path("killed").glob("runs/*/*/*.json"))) < 2 and time.monotonic() < limit and process.poll() is None:
        time.sleep(0.005)
    workers = children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    gone = time.monotonic() + 10
    while any(alive(worker) for worker in workers) and time.monotonic() < gone:
        time.sleep(0.02)
    assert len(workers) >= 2 and not any(alive(worker) for worker in workers), "no process outlives the first one"
    finished = {file: file.stat().st_mtime_ns for file in Path("killed").glob("runs/*/*/*.json")}
    assert 2 <= len(finished) < 8, Path("output.txt").read_text()
    summary = compare("plan.yaml")
    assert untimed(summary) == untimed(done[1])
    assert {file: file.stat().st_mtime_ns for file in finished} == finished


def children(pid):
    """The processes that a process has started (Linux)."""
    return [int(word) for file in Path(f"/proc/{pid}/task").glob("*/children") for word in file.read_text().split()]


def alive(pid):
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_ctrl_c_inside_a_run_and_repeated_it_is_the_same(done, content, workdir, monkeypatch):
    plan = make_plan({**content, "folder": "stopped"})
    begin = ResumableTrainer._start_epoch

    def stop(self, epoch):
        begin(self, epoch)
        time.sleep(0.4 if epoch == 0 else 0)
        if epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(ResumableTrainer, "_start_epoch", stop)
    for _ in range(2):  # the second one continues at the last epoch of the first run, and stops there again
        with pytest.raises(KeyboardInterrupt):
            compare(plan)
    assert not list(plan.folder.glob("runs/**/*.json"))
    monkeypatch.undo()
    monkeypatch.chdir(workdir)
    summary = compare(plan)
    assert untimed(summary) == untimed(done[1])
    curves = [
        {run.name: run.row()["valid_scores"] for run in plan_runs(one) if run.seed == 1} for one in (plan, done[0])
    ]
    assert curves[0] == curves[1]
    assert plan_runs(plan)[0].row()["seconds"] > 0.4, "what it took before it was stopped counts"


# What fails


def test_a_run_that_diverges_is_noted_and_the_others_go_on(content, workdir, capsys):
    wild = {"model": "KD", "learning_rate": 1e30, "name": "KD wild"}
    plan = {**content, "seeds": [1], "methods": [wild, "SLD"], "folder": "wild"}
    Path("plan.yaml").write_text(json.dumps(plan).replace("1e+30", "1.0e+30"))
    assert main(["compare", "plan.yaml"]) == 0
    out = capsys.readouterr().out
    assert "failed: toy, KD wild, seed 1: " in out and "not finite" in out and "wild/report.html" in out
    summary = json.loads(Path("wild/summary.json").read_text())
    assert list(summary["datasets"]["toy"]["rows"]) == ["teacher", "student alone", "SLD"]
    assert [(one["name"], one["diverged"]) for one in summary["failed"]] == [("KD wild", True)]
    assert summary["failed"][0]["reason"] in unescape(Path("wild/report.html").read_text())
    assert all(run.row() for run in plan_runs(read_plan("plan.yaml"))), "it is not tried again"


def test_a_run_that_fails_otherwise_is_tried_again_and_a_method_waits_for_its_teacher(
    content, workdir, monkeypatch, capsys
):
    Path("plan.yaml").write_text(json.dumps({**content, "seeds": [1], "folder": "broken"}))
    measured = _measured

    def break_teacher(run):
        if run.name == "teacher":
            raise RuntimeError("out of memory")
        return measured(run)

    monkeypatch.setattr(run_module, "_measured", break_teacher)
    assert main(["compare", "plan.yaml"]) == 1
    out, err = capsys.readouterr()
    assert "failed: toy, SLD, seed 1: its teacher failed: RuntimeError: out of memory (the same command" in out
    assert err.splitlines()[-1] == (
        "recbole_kd: 3 runs failed without having diverged: the same command tries them again"
    )
    monkeypatch.setattr(run_module, "_measured", measured)
    assert compare("plan.yaml")["failed"] == []


def test_models_that_cannot_be_timed_cost_no_other_number(content, workdir, monkeypatch, capsys):
    Path("plan.yaml").write_text(json.dumps({**content, "seeds": [1], "folder": "untimed"}))
    timed = time_models
    monkeypatch.setattr("recbole_kd.compare.scheduler.time_models", out_of_memory)
    assert main(["compare", "plan.yaml"]) == 1
    assert "failed: toy, milliseconds, seed 1: RuntimeError: no memory (the same command" in capsys.readouterr().out
    rows = json.loads(Path("untimed/summary.json").read_text())["datasets"]["toy"]["rows"]
    assert list(rows) == NAMES and all(row["ms_per_user"] is None for row in rows.values())
    assert "no memory" in Path("untimed/report.html").read_text()
    monkeypatch.setattr("recbole_kd.compare.scheduler.time_models", timed)
    assert main(["compare", "plan.yaml"]) == 0
    monkeypatch.setattr("recbole_kd.compare.scheduler.time_models", out_of_memory)
    keys = {**content["keys"], "embedding_size": 2}
    summary = compare(make_plan({**content, "keys": keys, "seeds": [1], "folder": "untimed"}))
    assert {row["ms_per_user"] for row in summary["datasets"]["toy"]["rows"].values()} == {None}, "of the plan before"


def out_of_memory(*_):
    return "RuntimeError: no memory"


def test_a_teacher_with_neighbours_is_shown_as_it_teaches(content, workdir):
    keys = {**content["keys"], "neighbour_weight": 1.0}
    plan = make_plan({**content, "keys": keys, "methods": ["SLD"], "seeds": [1], "folder": "near"})
    rows = compare(plan)["datasets"]["toy"]["rows"]
    assert list(rows) == ["teacher", "student alone", "with its neighbours", "SLD"]
    near, teacher = rows["with its neighbours"], rows["teacher"]
    assert near["metrics"]["ndcg@10"]["mean"] != teacher["metrics"]["ndcg@10"]["mean"]
    assert (near["method"], near["parameters"], near["epochs"]) == (None, teacher["parameters"], None)
    assert near["ms_per_user"] is None and teacher["ms_per_user"]
    assert "against_alone" not in near["metrics"]["ndcg@10"]
    run = next(run for run in plan_runs(plan) if run.name == "with its neighbours")
    result = recbole_kd.run_kd(config_dict={**run.keys, "baseline": False})
    assert result["with_neighbours"]["test_result"]["ndcg@10"] == pytest.approx(
        near["metrics"]["ndcg@10"]["mean"], abs=1e-4
    )


def test_a_method_on_fewer_seeds_is_no_rival_and_not_the_best():
    rows = {
        name: {"seeds": [1, 2, 3], "values": values}
        for name, values in {"teacher": [3, 4, 5], "student alone": [2, 3, 4], "good": [2.9, 3.9, 4.9]}.items()
    }
    rows["wild"] = {"seeds": [3], "values": [4.4]}
    by_name = {
        name: {
            seed: {"test_result": {"ndcg@10": value}} for seed, value in zip(row["seeds"], row["values"], strict=True)
        }
        for name, row in rows.items()
    }
    entries = {name: {"metrics": {}, "parameters": 1} for name in rows}
    _compared(entries, by_name, "ndcg@10")
    part = {"rows": entries}
    assert entries["good"]["metrics"]["ndcg@10"]["against_rival"]["rival"] is None
    assert entries["wild"]["metrics"]["ndcg@10"]["against_rival"]["rival"] == "good"
    text = " ".join(findings(part, "ndcg@10"))
    assert "good has the best mean ndcg@10 of 1 method" in text and "wild (1)" in text
    header, lines = accuracy(part, "ndcg@10")
    assert header[1] == "seeds" and [line[1] for line in lines] == ["3 of 3", "3 of 3", "3 of 3", "1 of 3"]
    assert complete({"A": [1, 2], "B": [2, 3], "C": [1, 2]}) == ["A", "C"]


# What is refused


@pytest.mark.parametrize("changed, words", [
    ({"methods": ["RRD", "HetComp"], "keys": {"learning_rate": None}, "alone": {}},
     ["the student alone", "learning_rate", "'HetComp'", "'alone'"]),
    ({"sedes": [1]}, ["'sedes'", "'seeds'"]), ({"seeds": []}, ["'seeds'"]), ({"methods": None}, ["'methods'"]),
    ({"datasets": "toy"}, ["'datasets'"]), ({"seeds": [1, 1]}, ["1 twice"]), ({"seeds": [True]}, ["True"]),
    ({"seeds": [-1]}, ["-1"]), ({"seeds": ["a"]}, ["'a'"]), ({"methods": ["SDL"]}, ["'SDL'", "'SLD'"]),
    ({"methods": ["SLD", "SLD"]}, ["two entries", "'SLD'"]), ({"methods": [{"name": "x"}]}, ["model"]),
    ({"methods": [{"model": "SLD", "name": "rrd"}, {"model": "RRD"}]}, ["two entries", "'RRD'"]),
    ({"methods": [{"model": "SLD", "name": "../x"}]}, ["'../x'"]), ({"methods": [3]}, ["3"]),
    ({"methods": [{"model": "SLD", "name": "Teacher"}]}, ["'Teacher'"]), ({"datasets": ["toy", "toy"]}, ["'toy'"]),
    ({"methods": [{"model": "SLD", "sld_wieght": 1}]}, ["'sld_wieght'", "'sld_weight'", "methods: SLD"]),
    ({"methods": [{"model": "SLD", "sld_weight": -1}]}, ["toy, SLD", "sld_weight=-1"]),
    ({"methods": ["SLD", {"model": "RRD", "epochs": 9}]}, ["'RRD'", "another teacher", "epochs 9", "teacher.epochs"]),
    ({"alone": {"student": {"seed": 5}}}, ["'seed'", "'alone'", "'seeds'"]),
    ({"alone": {"learning_rate": 0.1, "student": {"learning_rate": 0.2}}}, ["'student.learning_rate'", "the same key"]),
    ({"methods": ["SLD", {"model": "RRD", "teacher_model": "LightGCN"}]}, ["another teacher", "under 'keys'"]),
    ({"methods": ["HetComp", {"model": "HetComp", "name": "near", "neighbour_weight": 1.0}]},
     ["differ in neighbour_weight", "under 'keys'"]),
    ({"methods": [{"model": "SLD", "name": "milliseconds"}]}, ["'milliseconds'"]),
    ({"alone": {"teacher": {"epochs": 9}}}, ["'teacher.epochs'", "'alone'", "no teacher"]),
    ({"keys": {"epoch": 3}}, ["'epoch'", "'epochs'"]), ({"keys": {"seed": 3}}, ["'seed'", "'seeds'"]),
    ({"keys": {"checkpoint_dir": "x"}}, ["'checkpoint_dir'", "folder"]), ({"keys": [1]}, ["'keys'"]),
    ({"alone": {"learning_rat": 3}}, ["'learning_rat'", "'alone'"]), ({"processes": 0}, ["'processes'"]),
    ({"alone": {"eval_args": {"split": {"RS": [6, 2, 2]}}}}, ["student alone", "another split"]),
    ({"processes": True}, ["'processes'"]), ({"folder": 3}, ["'folder'"]), ({"folder": "a_file"}, ["a_file"]),
    ({"metric": "ndcg@7"}, ["ndcg@7", "toy"]), ({"metric": "ndcg"}, ["'ndcg'", "ndcg@10"]),
    ({"datasets": ["nowhere"]}, ["nowhere"]),
    ({"keys": {"teacher_model": "EASE"}, "methods": ["DE"]}, ["toy, DE", "factors", "EASE"]),
    ({"methods": [{"model": "SLD", "rrd_weight": 1}, "RRD"]}, ["toy, SLD", "rrd_weight", "RRD"]),
    ({"methods": ["KD"], "keys": {"rrd_weight": 1}}, ["toy", "rrd_weight", "RRD"]),
    ({"alone": {"n_layers": 3}}, ["student alone", "n_layers", "BPR"]),
    ({"keys": {"teacher_model": "LightGCN", "n_layers": 3}}, ["toy", "teacher.n_layers", "LightGCN"]),
    ({"methods": ["SLD", {"model": "RRD", "teacher.n_layers": 3}]}, ["toy, RRD", "teacher.n_layers", "BPR has no"]),
])  # fmt: skip
def test_a_plan_that_cannot_work_is_refused_in_one_sentence(changed, words, content, workdir, capsys):
    Path("a_file").write_text("not a folder")
    if isinstance(changed.get("keys"), dict):
        keys = {**content["keys"], **changed["keys"]}
        changed = {**changed, "keys": {key: value for key, value in keys.items() if value is not None}}
    Path("plan.yaml").write_text(json.dumps({**content, **changed}))
    assert main(["compare", "plan.yaml"]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("recbole_kd: ") and err.count("\n") == 1 and not out, err
    assert all(word in err for word in words), err
    assert not list(workdir.rglob("*.pth")) and not list(workdir.rglob("*.html"))


def test_a_missing_or_damaged_plan_is_refused(workdir, capsys):
    Path("bad.yaml").write_text("seeds: [1\n")
    Path("list.yaml").write_text("- 1\n")
    for argv in (["no.yaml"], ["bad.yaml"], ["list.yaml"], [], ["a.yaml", "b.yaml"]):
        assert main(["compare", *argv]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and (argv[0] if len(argv) == 1 else "one plan") in err


def test_the_keys_of_the_student_alone_may_be_in_a_block(content):
    plan = make_plan({**content, "alone": {"student": {"learning_rate": 0.02}}})
    assert plan.alone == content["alone"] == make_plan(content).alone


def test_students_of_several_widths_have_one_teacher_when_its_width_is_set(content):
    methods = ["SLD", {"model": "SLD", "embedding_size": 2, "name": "SLD, narrow"}]
    runs = plan_runs(make_plan({**content, "methods": methods}))
    assert [run.keys["embedding_size"] for run in runs if run.method and run.seed == 1] == [4, 2]


def test_a_later_key_wins_over_an_earlier_one_of_the_student_alone():
    lower = flat({"student": {"learning_rate": 0.1, "epochs": 3}, "teacher": {"learning_rate": 0.2}, "x": 1})
    assert lower == {"student.learning_rate": 0.1, "student.epochs": 3, "teacher.learning_rate": 0.2, "x": 1}
    assert merged(lower, {"learning_rate": 0.3, "x": 2}) == {
        "student.epochs": 3, "teacher.learning_rate": 0.2, "learning_rate": 0.3, "x": 2,
    }  # fmt: skip


# The statistics


def test_means_shares_and_ranks_by_hand():
    assert describe([1.0, 2.0, 6.0]) == {"n": 3, "mean": 3.0, "sd": pytest.approx(7**0.5)}
    assert describe([1.0])["sd"] is None and describe([]) == {"n": 0, "mean": None, "sd": None}
    assert recovered_share([0.3, 0.5], [0.2, 0.2], [0.5, 0.5]) == pytest.approx(2 / 3)
    assert recovered_share([0.3], [0.2], [0.1]) is None and recovered_share([], [], []) is None
    assert recovered_share([0.2], [0.3], [0.1], smaller=True) == pytest.approx(0.5)
    rows = {
        name: {"metrics": {metric: {"mean": mean, "values": "123"[:n]} for metric in ("recall@10", "giniindex@10")}}
        for name, mean, n in (("teacher", 9, 3), ("A", 1, 3), ("B", 2, 3), ("C", 1, 3), ("D", 5, 2), ("E", 0, 2))
    }
    assert ranked(rows, "recall@10") == ["B", "A", "C", "D", "E"]
    assert ranked(rows, "giniindex@10") == ["A", "C", "B", "E", "D"]


def test_the_summary_compares_with_the_student_alone_and_the_best_rival(done):
    rows = done[1]["datasets"]["toy"]["rows"]
    for metric, entry in rows["SLD"]["metrics"].items():
        other = rows["RRD, half"]["metrics"][metric]
        values, rival, alone, teacher = (
            np.array(list(one["values"].values()))
            for one in (entry, other, rows["student alone"]["metrics"][metric], rows["teacher"]["metrics"][metric])
        )
        assert entry["against_alone"]["difference"] == pytest.approx(np.mean(values - alone))
        assert entry["against_teacher"]["difference"] == pytest.approx(np.mean(values - teacher))
        assert entry["against_rival"]["rival"] == "RRD, half"
        assert entry["against_rival"]["difference"] == pytest.approx(np.mean(values - rival))
        for against in ("against_alone", "against_teacher", "against_rival"):
            pair = [one[against]["p"] for one in (entry, other)]
            assert [one[against]["p_holm"] for one in (entry, other)] == holm(pair)
        gap = teacher.mean() - alone.mean()
        wanted = (values.mean() - alone.mean()) / gap if gap > 0 else None
        assert entry["share"] == (pytest.approx(wanted) if wanted is not None else None)


# Popularity


def test_the_hits_by_popularity_are_those_of_recboles_precision(done):
    for run in plan_runs(done[0]):
        row = run.row()
        hits = sum(one["hits"] for one in row["popularity"])
        assert hits == pytest.approx(row["test_result"]["precision@10"] * 10 * row["users"])


def test_recall_by_popularity_is_that_of_any_batch_size(done):
    run = plan_runs(done[0])[0]
    config = make_config(config_dict=run.keys)
    data = prepare_split(plain_config(config))
    loaded = load_trained(config, run.name, data)
    results = []
    for size in (2_000_000, 300, 64):  # all users at once, a few, and less than the catalogue
        loaded.config["eval_batch_size"] = size
        results.append(popularity_recall(loaded.config, loaded.model, data))
    assert results[0] == results[1] == results[2] == run.row()["popularity"]


# What is shown


def shown(page):
    """The cells of a page's tables as text."""
    return {unescape(cell) for cell in re.findall(r"<td>(.*?)</td>", page)}


def test_the_report_holds_every_number_of_the_summary(done):
    plan, summary = done
    page = (plan.folder / "report.html").read_text()
    cells = shown(page)
    for name, row in summary["datasets"]["toy"]["rows"].items():
        wanted = {name, f"{row['parameters']:,}", f"{row['bytes']:,}", format_number(row["ms_per_user"])}
        wanted |= {
            format_number(row["epochs"], 1),
            format_number(row["seconds"], 1),
            *(mean_sd(one) for one in row["popularity"]),
        }
        for entry in row["metrics"].values():
            wanted |= {mean_sd(entry), *(format_number(value) for value in entry["values"].values())}
            for test in (entry[key] for key in ("against_alone", "against_rival") if key in entry):
                wanted |= {
                    format_signed(test["difference"]),
                    format_number(test["t"], 2),
                    format_p_value(test["p"]),
                    format_p_value(test["p_holm"]),
                }
                wanted |= {
                    f"[{format_signed(test[low])}, {format_signed(test[high])}]"
                    for low, high in (("low", "high"), ("t_low", "t_high"))
                }
        wanted.add(format_percent(row["metrics"]["ndcg@10"].get("share")))
        assert wanted <= cells, wanted - cells
    carried = re.search(r'download="summary.json" href="data:text/plain;base64,([^"]+)"', page)[1]
    assert json.loads(base64.b64decode(carried)) == summary


def test_the_report_needs_nothing_else(done):
    page = (done[0].folder / "report.html").read_text()
    assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(?!data:)', page)
    assert page.count('class="plotly-graph-div"') == 4 and "Plotly.newPlot" in page
    assert page.isascii() or '<meta charset="utf-8">' in page


def test_the_csv_files_and_the_text_hold_the_summary(done):
    plan, summary = done
    rows = summary["datasets"]["toy"]["rows"]
    lines = list(csv.DictReader((plan.folder / "summary.csv").read_text().splitlines()))
    assert len(lines) == 4 * 5
    for line in lines:
        entry = rows[line["name"]]["metrics"][line["metric"]]
        assert float(line["mean"]) == entry["mean"] and int(line["parameters"]) == rows[line["name"]]["parameters"]
        if line["method"]:
            assert float(line["against_rival_p_holm"]) == entry["against_rival"]["p_holm"]
    singles = list(csv.DictReader((plan.folder / "runs.csv").read_text().splitlines()))
    assert (
        len(singles) == 8 * 5 and float(singles[0]["value"]) == rows["teacher"]["metrics"]["recall@10"]["values"]["1"]
    )
    printed, tex = comparison_text(summary), (plan.folder / "summary.tex").read_text()
    for line in accuracy(summary["datasets"]["toy"], "ndcg@10")[1]:
        assert all(cell in printed for cell in line) and all(cell.replace("%", r"\%") in tex for cell in line)


def test_a_name_is_not_markup():
    assert "<b>" not in table(["<b>"], [["<b>", "<i>"]])


# The line on the terminal


def test_the_time_left_is_that_of_runs_of_the_same_name():
    a, b = ("toy", "A"), ("toy", "B")
    assert time_left({}, [a], [], 1) is None
    known = {a: [10.0, 20.0], b: [3.0]}
    assert time_left(known, [a, b], [], 1) == pytest.approx(18)
    assert time_left(known, [a, b], [(a, 5.0)], 2) == pytest.approx(14)
    assert time_left(known, [("toy", "new")], [], 1) == pytest.approx(9)
    assert time_left(known, [], [(a, 99.0)], 2) == 0


def test_the_time_left_on_other_data_is_scaled_to_it():
    known = {("toy", "A"): [10.0, 20.0], ("toy", "B"): [3.0]}
    assert time_left(known, [("large", "A"), ("large", "B")], [], 1) == pytest.approx(18)  # nothing is known of it yet
    known["large", "A"] = [150.0]
    assert time_left(known, [("large", "A"), ("large", "B")], [], 1) == pytest.approx(180)
    assert time_left(known, [("large", "new")], [], 1) == pytest.approx(150)
    assert time_left(known, [("other", "new")], [], 1) == pytest.approx((60 + 3) / 2)
    assert (clock(59.6), clock(61), clock(3661)) == ("1:00", "1:01", "1:01:01")


def test_the_line_says_what_runs_and_what_is_left(done):
    class Terminal(list):
        write = list.append

        def isatty(self):
            return True

        def flush(self):
            pass

    first, second = plan_runs(done[0])[:2]
    stream = Terminal()
    line = Progress(8, 2, 1, {("toy", "student alone"): [90.0]}, stream)
    line.show([second], {first: 30.0})
    assert stream[-1] == "\r2/8 | 0:00 elapsed, about 2:30 left | toy, seed 1, teacher"
    line.ended(first, 45.0, "it diverged")
    line.show([], {})
    assert stream[-1].startswith("\r3/8, 1 failed") and len(stream[-1]) >= len(stream[0])
    line.close()
    assert stream[-1] == "\n"
