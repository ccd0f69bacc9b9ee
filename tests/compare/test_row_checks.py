"""A run's file that is not what the run writes is made again; no field is missed in the report."""

import json
from pathlib import Path

from recbole_kd.compare.expand import plan_runs
from recbole_kd.compare.latency import speed_file
from recbole_kd.compare.row_checks import is_run_row, is_speed_row
from recbole_kd.compare.scheduler import compare

OTHERS = (None, "x", -1, [1], {"x": "y"}, True, [[0]], 1e400)


def asked(run):
    return {"dataset": run.dataset, "seed": run.seed, "name": run.name, "method": run.method}


def test_each_field_is_checked(done):
    for run in plan_runs(done[0]):
        row = run.row()
        assert is_run_row(row, asked(run), run.part, run.metrics) and run.complete_row() == row
        for name in set(row) - {"key", "schema_version", "warnings"}:
            left = {key: value for key, value in row.items() if key != name}
            assert not is_run_row(left, asked(run), run.part, run.metrics) or row[name] is None, name
            accepted = [
                value for value in OTHERS if is_run_row({**row, name: value}, asked(run), run.part, run.metrics)
            ]
            for value in accepted:
                is_same_kind = value == row[name] or type(value) is type(row[name])
                is_none = value is None and name in (
                    "checkpoint",
                    "epochs",
                    "seconds",
                    "best_epoch",
                    "popularity",
                    "method",
                )
                assert is_same_kind or is_none or (name == "best_epoch" and value == -1), (name, value)
        wrong = {**row, "test_result": {**row["test_result"], "ndcg@10": "0.1"}}
        assert not is_run_row(wrong, asked(run), run.part, run.metrics)
        fewer = {**row, "test_result": dict(list(row["test_result"].items())[1:])}
        assert not is_run_row(fewer, asked(run), run.part, run.metrics)
    assert is_run_row({**asked(run), "keys": {}, "failed": "nan"}, asked(run), run.part, run.metrics)
    assert not is_run_row({**asked(run), "keys": {}, "failed": 3}, asked(run), run.part, run.metrics)


def test_speeds_name_their_models():
    assert is_speed_row({"ms_per_user": {"a": 0.1, "b": 0}}, ["b", "a"])
    for speeds in (None, [], {"a": 0.1}, {"a": 0.1, "b": "0"}, {"a": 0.1, "b": -1.0}, {"a": 0.1, "b": True}):
        assert not is_speed_row({"ms_per_user": speeds}, ["a", "b"])


def test_damaged_files_of_a_comparison_are_made_again(done):
    plan, summary = done
    runs = plan_runs(plan)
    rows = {run: run.row() for run in runs}
    for run, field in zip(runs, ("valid_scores", "interactions", "seconds", "test_result"), strict=False):
        Path(run.file).write_text(json.dumps({key: value for key, value in rows[run].items() if key != field}))
    Path(runs[-1].file).write_text("[" * 3000)
    changed = {**json.loads(Path(runs[-2].file).read_text()), "seconds": 7.0}  # right in type, wrong in its number
    assert is_run_row(changed, asked(runs[-2]), runs[-2].part, runs[-2].metrics)
    Path(runs[-2].file).write_text(json.dumps(changed))
    assert runs[-2].row() is None
    speeds = Path(speed_file(runs[0].file))
    content = json.loads(speeds.read_text())
    speeds.write_text(json.dumps({**content, "ms_per_user": {"teacher": "fast"}}))
    again = compare(plan)
    assert not again["failed"]
    for run in runs:
        assert run.row()["test_result"] == rows[run]["test_result"]
    values = lambda summary: [row["metrics"] for row in summary["datasets"]["toy"]["rows"].values()]  # noqa: E731
    assert values(again) == values(summary)
