"""The census of RecBole's models, and its table in docs/families.md."""

import pytest

from benchmarks.families import census
from benchmarks.result import read_result
from recbole_kd.errors import KDError
from tools.docs import families


def test_the_census_has_the_models_of_three_packages():
    known = census.models()
    assert len(known) == 73
    assert (known["BPR"], known["EASE"], known["KGAT"], known["DIN"]) == (
        "general",
        "traditional",
        "knowledge",
        "sequential",
    )
    assert not {"FM", "DeepFM", "LightGBM"} & set(known)


def test_one_model_and_a_refused_one_become_records_that_a_later_run_keeps(workdir, capsys):
    words = ["--models=EASE,BPR", "--side=student", "--output=census.json"]
    assert census.main(words) == 0
    assert census.main(["--models=EASE", "--side=teacher", "--output=census.json"]) == 0
    result = read_result("census.json")
    outcomes = {(record["name"], record["setting"]["side"]): record for record in result.records}
    assert [outcome["values"]["taken"] for outcome in outcomes.values()] == [False, True, True]
    assert "EASE" in outcomes["EASE", "student"]["setting"]["reason"]
    assert len(result.command) == 2
    assert "students: 1 of 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    "error, outcome, reason",
    [
        (KDError("it needs a graph"), "refused", "it needs a graph"),
        (IndexError("out of\nrange"), "failed", "IndexError: out of range"),
    ],
)
def test_a_refusal_is_told_from_a_defect(error, outcome, reason, monkeypatch, tmp_path):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(census, "run_kd", fail)
    assert census.try_model("BPR", "general", "student", tmp_path) == (outcome, reason)


def test_an_unknown_model_is_refused():
    with pytest.raises(SystemExit):
        census.parse(["--models=BRP"])


def test_a_reason_is_shortened_to_its_cause():
    sentence = "student_model=EASE cannot be distilled, because it is solved: use BPR or LightGCN as the student"
    assert families.shorten(sentence) == "is solved"
    sentence = "teacher_model=KGAT needs the package dgl, which is not installed: install it, or take another model"
    assert families.shorten(sentence) == "needs the package dgl"
    assert families.shorten("student_model=RaCT is distilled in its last stage") == "is distilled in its last stage"
