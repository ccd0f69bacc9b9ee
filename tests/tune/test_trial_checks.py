"""Trials that a search reads back are those that a search writes; others are refused in one sentence."""

import json
from pathlib import Path

import pytest

from recbole_kd.errors import KDError
from recbole_kd.tune.space import Choice, Interval
from recbole_kd.tune.trial_checks import are_trials
from tests.tune.helpers import search

SPACE = {"tau": Interval(0.1, 10.0, log=True), "k": Interval(5, 20), "kind": Choice(("a", "b"))}
SEARCH = {"space": {key: str(domain) for key, domain in SPACE.items()}, "bigger": True}
CURVE = [[0, 0.1], [1, 0.4], [2, 0.3]]
FIRST = {
    "number": 0, "settings": {"tau": 99.0, "k": 1, "kind": "c"}, "state": "finished", "value": 0.4, "reason": None,
    "curve": CURVE, "seconds": 1.5,
}  # fmt: skip
SECOND = {**FIRST, "number": 1, "settings": {"tau": 1, "k": 7, "kind": "b"}}
FAILED = {**SECOND, "number": 2, "state": "failed", "value": None, "reason": "the loss is not finite", "curve": []}


def settings_with(**other):
    return {**SECOND, "settings": {**SECOND["settings"], **other}}


WRONG = [
    None,
    {},
    {**SECOND, "number": 2},
    {**SECOND, "more": 1},
    {key: value for key, value in SECOND.items() if key != "seconds"},
    {**SECOND, "settings": {"tau": 1.0}},
    settings_with(tau=99.0),
    settings_with(tau="1.0"),
    settings_with(k=7.5),
    settings_with(k=True),
    settings_with(kind="c"),
    {**SECOND, "state": "done"},
    {**SECOND, "value": 0.9},
    {**SECOND, "value": None},
    {**SECOND, "value": "0.4"},
    {**SECOND, "reason": "none"},
    {**SECOND, "curve": []},
    {**SECOND, "curve": [[1, 0.4]]},
    {**SECOND, "curve": [[0, 0.1], [0, 0.4]]},
    {**SECOND, "curve": [[0, "x"]]},
    {**SECOND, "seconds": -1},
    {**SECOND, "seconds": "1"},
    {**SECOND, "seconds": float("inf")},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_only_whole_trials_within_the_space_are_taken(wrong):
    assert are_trials([FIRST, SECOND, FAILED], SEARCH, SPACE)
    assert not are_trials([FIRST, wrong, FAILED], SEARCH, SPACE)
    assert not are_trials([FIRST, SECOND, {**FAILED, "reason": None}], SEARCH, SPACE)


def test_a_damaged_record_ends_in_one_sentence(settings, workdir):
    search(settings, 2)
    content = json.loads(Path("out.json").read_text())
    first, second = content["trials"]
    changed = {**content, "trials": [first, {**second, "seconds": 7.0}]}
    Path("out.json").write_text(json.dumps(changed))  # right in type, wrong in its number
    with pytest.raises(KDError, match=r"the trials in 'out\.json' are damaged: remove it"):
        search(settings, 2)
    del content["sha256"]  # as earlier versions wrote it
    Path("out.json").write_text(json.dumps(content))
    assert search(settings, 2)["trials"] == [first, second]
    for trials in ([{}], [None], content["trials"][:1] * 2, [{**content["trials"][0], "value": 1e9}]):
        damaged = json.dumps({**content, "trials": trials})
        Path("out.json").write_text(damaged)
        with pytest.raises(KDError, match=r"the trials in 'out\.json' are damaged: remove it"):
            search(settings, 2)
        assert Path("out.json").read_text() == damaged
    for other in ("[" * 3000 + "]" * 3000, "[]", "3", '{"search": {}, "trials": {}}', "\x00"):
        Path("out.json").write_text(other)
        with pytest.raises(KDError, match="not of this search"):
            search(settings, 2)
