"""A comparison from its plan to its files: which runs are executed, and what happens when one fails."""

import json
import logging
import re
import time
from html import unescape
from pathlib import Path

import pytest

import recbole_kd
from recbole_kd.cli import main
from recbole_kd.compare.expand import plan_runs
from recbole_kd.compare.plan import make_plan, read_plan
from recbole_kd.compare.report.tables import comparison_text
from recbole_kd.compare.run import load_trained
from recbole_kd.compare.scheduler import compare
from recbole_kd.trainer.resumable import ResumableTrainer
from tests.compare.helpers import NAMES, refused, untimed
from tests.processes import forked_workers


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


def test_each_seed_has_one_split_which_all_its_runs_share(done):
    splits = {seed: {run.row()["split"] for run in plan_runs(done[0]) if run.seed == seed} for seed in (1, 2)}
    assert all(len(fingerprints) == 1 for fingerprints in splits.values()) and splits[1] != splits[2]


def test_a_repeated_comparison_runs_nothing(done, monkeypatch, workdir):
    plan, summary = done
    for name in ("execute_run", "time_models", "check_datasets"):
        monkeypatch.setattr(f"recbole_kd.compare.scheduler.{name}", lambda *_: None)
    assert compare(plan) == summary


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


def test_what_was_logged_before_a_comparison_is_logged_after_it(done):
    assert logging.root.manager.disable == 0


def test_entries_that_differ_in_name_only_are_trained_once(content, workdir):
    methods = ["KD", {"model": "KD", "kd_reduction": "mean", "name": "a"}, {"model": "KD", "kd_k": 100, "name": "b"}]
    plan = make_plan({**content, "methods": methods, "seeds": [1], "folder": "c", "processes": 3})
    with forked_workers():
        compare(plan)
    rows = [run.row() for run in plan_runs(plan) if run.method]
    assert [row["checkpoint"] for row in rows] == [rows[0]["checkpoint"]] * 3
    assert [row["test_result"] for row in rows] == [rows[0]["test_result"]] * 3


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

    def break_teacher(config, name, data):
        if name == "teacher":
            raise RuntimeError("out of memory")
        return load_trained(config, name, data)

    monkeypatch.setattr("recbole_kd.compare.run.load_trained", break_teacher)
    assert main(["compare", "plan.yaml"]) == 1
    out, err = capsys.readouterr()
    assert "failed: toy, SLD, seed 1: its teacher failed: RuntimeError: out of memory (the same command" in out
    assert err.splitlines()[-1] == (
        "recbole_kd: 3 runs failed without having diverged: the same command tries them again"
    )
    monkeypatch.setattr("recbole_kd.compare.run.load_trained", load_trained)
    assert compare("plan.yaml")["failed"] == []


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


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"folder": "a_file"}, ["a_file"]),
        ({"metric": "ndcg@7"}, ["ndcg@7", "toy"]),
        ({"metric": "ndcg"}, ["'ndcg'", "ndcg@10"]),
        ({"datasets": ["nowhere"]}, ["nowhere"]),
    ],
)
def test_a_wrong_folder_dataset_or_metric_is_refused_in_one_sentence(changed, words, content, workdir, capsys):
    Path("a_file").write_text("not a folder")
    message = refused(content, changed, workdir, capsys)
    assert all(word in message for word in words), message
