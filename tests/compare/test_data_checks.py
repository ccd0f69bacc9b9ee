"""Plans that do not fit their data are refused before anything is trained."""

from pathlib import Path

import pytest

from recbole_kd.compare.plan import make_plan
from recbole_kd.compare.scheduler import compare
from recbole_kd.errors import KDError
from tests.compare.helpers import refused


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"alone": {"eval_args": {"split": {"RS": [6, 2, 2]}}}}, ["student alone", "another split"]),
        ({"keys": {"teacher_model": "EASE"}, "methods": ["DE"]}, ["toy, DE", "query and item vectors", "EASE"]),
    ],
)
def test_a_plan_that_does_not_fit_its_data_is_refused_in_one_sentence(changed, words, content, workdir, capsys):
    message = refused(content, changed, workdir, capsys)
    assert all(word in message for word in words), message


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
