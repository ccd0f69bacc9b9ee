"""The latencies of a comparison's models."""

import json
from pathlib import Path

from recbole_kd.cli import main
from recbole_kd.compare.latency import time_models
from recbole_kd.compare.plan import make_plan
from recbole_kd.compare.scheduler import compare
from tests.compare.helpers import NAMES


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
