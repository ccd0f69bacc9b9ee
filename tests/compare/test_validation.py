"""Plans of ``part: validation``: what is compared, and that the test part is never evaluated."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from recbole_kd.compare.expand import plan_runs
from recbole_kd.compare.plan import make_plan
from recbole_kd.compare.report.tables import comparison_text
from recbole_kd.compare.scheduler import compare
from recbole_kd.data.split import Split, prepare_split
from tests.compare.helpers import refused


class Unread:
    """A test part that raises when it is read."""

    def __getattr__(self, name):
        raise AssertionError("the test part was read")

    __iter__ = __len__ = __bool__ = property(lambda self: self.__getattr__(""))


def read_test_part(*_):
    raise AssertionError("the test part was read")


@pytest.fixture
def no_test_part(monkeypatch):
    for module in ("compare.run", "compare.latency", "compare.data_checks", "experiment", "trainer.training"):
        monkeypatch.setattr(
            f"recbole_kd.{module}.prepare_split", lambda config: replace(prepare_split(config), test=Unread())
        )
    # it evaluates a test part of RecBole's loaders only, so Unread would not raise
    monkeypatch.setattr("recbole_kd.compare.run.popularity_recall", read_test_part)
    fresh = Split.fresh
    monkeypatch.setattr(Split, "fresh", lambda self, config: replace(fresh(self, config), test=Unread()))


def test_validation_is_compared_and_the_test_part_is_never_evaluated(done, content, workdir, no_test_part):
    plan = make_plan({**content, "seeds": [1], "part": "validation", "folder": "c"})
    summary = compare(plan)
    rows, tested = (result["datasets"]["toy"]["rows"] for result in (summary, done[1]))
    for run in plan_runs(plan):
        row = run.row()
        assert row["test_result"] == {} and row["popularity"] is None
        # the models are those of the comparison on test, seed 1
        earlier = next(other.row() for other in plan_runs(done[0]) if (other.name, other.seed) == (run.name, 1))
        assert row["valid_result"] == earlier["valid_result"] != earlier["test_result"]
        metrics = {metric: entry["values"]["1"] for metric, entry in rows[run.name]["metrics"].items()}
        assert metrics == row["valid_result"]
    assert rows.keys() == tested.keys() and summary["failed"] == [] and rows["SLD"]["ms_per_user"] > 0
    assert (summary["part"], done[1]["part"]) == ("validation", "test")
    text, page = comparison_text(summary), Path("c/report.html").read_text()
    assert "validation" in text.splitlines()[2] and "test" not in text
    assert "shown first: validation ndcg@10" in page and "test ndcg@10" not in page
    values = [float(line["value"]) for line in csv.DictReader(Path("c/runs.csv").read_text().splitlines())]
    assert values == [value for run in plan_runs(plan) for value in run.row()["valid_result"].values()]


def test_a_plan_on_test_would_read_the_test_part(content, workdir, no_test_part):
    summary = compare(make_plan({**content, "seeds": [1], "folder": "c"}))
    assert "the test part was read" in summary["failed"][0]["reason"] and summary["datasets"] == {}


def test_a_run_file_of_the_other_part_is_not_taken(done, content):
    folder = str(done[0].folder)
    assert all(run.row() for run in plan_runs(make_plan({**content, "folder": folder, "part": "test"})))
    assert not any(run.row() for run in plan_runs(make_plan({**content, "folder": folder, "part": "validation"})))


def test_an_empty_validation_part_is_refused(content, workdir, capsys):
    keys = {"eval_args": {"split": {"RS": [0.8, 0.0, 0.2]}}}
    message = refused(content, {"part": "validation", "keys": keys}, workdir, capsys)
    assert "no valid pair" in message
