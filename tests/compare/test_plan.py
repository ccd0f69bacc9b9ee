"""The plan of a comparison: how keys are read and merged, and which plans are refused."""

from pathlib import Path

import pytest

from recbole_kd.cli import main
from recbole_kd.compare.plan import flat, make_plan, merged
from tests.compare.helpers import refused


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sedes": [1]}, ["'sedes'", "'seeds'"]),
        ({"seeds": []}, ["'seeds'"]),
        ({"methods": None}, ["'methods'"]),
        ({"datasets": "toy"}, ["'datasets'"]),
        ({"seeds": [1, 1]}, ["1 twice"]),
        ({"seeds": [True]}, ["True"]),
        ({"seeds": [-1]}, ["-1"]),
        ({"seeds": ["a"]}, ["'a'"]),
        ({"methods": ["SDL"]}, ["'SDL'", "'SLD'"]),
        ({"methods": ["SLD", "SLD"]}, ["two entries", "'SLD'"]),
        ({"methods": [{"name": "x"}]}, ["model"]),
        ({"methods": [{"model": "SLD", "name": "rrd"}, {"model": "RRD"}]}, ["two entries", "'RRD'"]),
        ({"methods": [{"model": "SLD", "name": "../x"}]}, ["'../x'"]),
        ({"methods": [3]}, ["3"]),
        ({"methods": [{"model": "SLD", "name": "Teacher"}]}, ["'Teacher'"]),
        ({"datasets": ["toy", "toy"]}, ["'toy'"]),
        ({"methods": [{"model": "SLD", "sld_wieght": 1}]}, ["'sld_wieght'", "'sld_weight'", "methods: SLD"]),
        ({"alone": {"student": {"seed": 5}}}, ["'seed'", "'alone'", "'seeds'"]),
        (
            {"alone": {"learning_rate": 0.1, "student": {"learning_rate": 0.2}}},
            ["'student.learning_rate'", "the same key"],
        ),
        ({"methods": [{"model": "SLD", "name": "milliseconds"}]}, ["'milliseconds'"]),
        ({"alone": {"teacher": {"epochs": 9}}}, ["'teacher.epochs'", "'alone'", "no teacher"]),
        ({"keys": {"epoch": 3}}, ["'epoch'", "'epochs'"]),
        ({"keys": {"seed": 3}}, ["'seed'", "'seeds'"]),
        ({"keys": {"checkpoint_dir": "x"}}, ["'checkpoint_dir'", "folder"]),
        ({"keys": [1]}, ["'keys'"]),
        ({"alone": {"learning_rat": 3}}, ["'learning_rat'", "'alone'"]),
        ({"processes": 0}, ["'processes'"]),
        ({"processes": True}, ["'processes'"]),
        ({"folder": 3}, ["'folder'"]),
        ({"part": "valid"}, ["'part'", "'valid'", "test, validation"]),
    ],
)
def test_a_wrong_plan_is_refused_in_one_sentence(changed, words, content, workdir, capsys):
    message = refused(content, changed, workdir, capsys)
    assert all(word in message for word in words), message


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


def test_a_later_key_wins_over_an_earlier_one_of_the_student_alone():
    lower = flat({"student": {"learning_rate": 0.1, "epochs": 3}, "teacher": {"learning_rate": 0.2}, "x": 1})
    assert lower == {"student.learning_rate": 0.1, "student.epochs": 3, "teacher.learning_rate": 0.2, "x": 1}
    assert merged(lower, {"learning_rate": 0.3, "x": 2}) == {
        "student.epochs": 3,
        "teacher.learning_rate": 0.2,
        "learning_rate": 0.3,
        "x": 2,
    }
