"""The census of RecBole's models, and its table in docs/families.md."""

import pytest

from benchmarks.families import census, census_data
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


@pytest.mark.parametrize("name, family", [("KSR", "sequential"), ("RaCT", "general")])
def test_a_model_with_vectors_and_a_pre_trained_one_are_taken(name, family, workdir):
    census_data.write_data(workdir)
    assert census.try_model(name, family, "student", workdir) == ("taken", "")


def test_the_vectors_are_of_the_graphs_entities_and_relations(tmp_path):
    census_data.write_data(tmp_path)
    lines = {
        suffix: (tmp_path / "census_seq" / f"census_seq.{suffix}").read_text().splitlines()[1:]
        for suffix in ("kg", "ent", "rel")
    }
    heads, relations, tails = zip(*(line.split("\t") for line in lines["kg"]), strict=True)
    assert [line.split("\t")[0] for line in lines["ent"]] == sorted({*heads, *tails})
    assert [line.split("\t")[0] for line in lines["rel"]] == ["genre", "maker", "similar"] == sorted(set(relations))
    assert all(len(line.split("\t")[1].split()) == 64 for line in lines["ent"] + lines["rel"])


def test_the_record_of_a_model_stays_where_its_package_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(census, "missing_package_of", lambda name: "dgl" if name == "KGAT" else None)
    former = [{"name": "KGAT", "setting": {"side": "student", "outcome": "taken", "package": "dgl 1.1.3"}}]
    assert list(census.run({"KGAT": "knowledge"}, ["student"], former)) == former
    assert "dgl is missing here" in capsys.readouterr().out
    assert census.skipped("KGAT", "teacher", former) is None and census.skipped("BPR", "student", former) is None


def test_the_table_names_the_package_that_a_model_was_run_with():
    assert families._outcome({"setting": {"outcome": "taken", "package": "dgl 1.1.3"}}) == "yes, with dgl 1.1.3"
    assert families._outcome({"setting": {"outcome": "taken"}}) == "yes"


def test_an_unknown_model_is_refused():
    with pytest.raises(SystemExit):
        census.parse(["--models=BRP"])


def test_a_reason_is_shortened_to_its_cause():
    sentence = "student_model=EASE cannot be distilled, because it is solved: use BPR or LightGCN as the student"
    assert families.shorten(sentence) == "is solved"
    sentence = "teacher_model=KGAT needs the package dgl, which is not installed: install it, or take another model"
    assert families.shorten(sentence) == "needs the package dgl"
    assert families.shorten("student_model=RaCT is distilled in its last stage") == "is distilled in its last stage"
