"""The two searchers: what they suggest and what they prune."""

import statistics
from pathlib import Path

import pytest

from recbole_kd.tune.searchers import GRACE, STARTUP, RandomSearch, best_until
from recbole_kd.tune.space import (
    Choice,
    Interval,
)
from tests.tune.helpers import command_words, is_installed, refused, search, searchers, without_seconds

SPACE = {"x": Interval(0.01, 1.0, True), "k": Choice((1, 2, 3)), "n": Interval(1, 50)}


def entry(number, curve, state="finished", settings=None):
    value = best_until(curve, 1000) if curve else None
    settings = settings or {"x": 0.5, "k": 1, "n": 1 + number}
    return {"number": number, "settings": settings, "state": state, "value": value, "curve": curve}


@pytest.mark.parametrize("kind", searchers())
def test_a_draw_depends_on_the_seed_and_the_trials_before_alone(kind):
    trials = []
    for number in range(8):
        settings = kind(SPACE, 3, True).suggest(trials)  # made anew, as after an interruption
        assert settings == kind(SPACE, 3, True).suggest(trials) != kind(SPACE, 4, True).suggest(trials)
        assert settings not in [other["settings"] for other in trials] and set(settings) == set(SPACE)
        trials.append(entry(number, [[0, settings["x"]]], settings=settings))


def test_random_search_is_spread_over_the_space():
    draws = [RandomSearch(SPACE, 0, True).suggest([{"settings": {}}] * number) for number in range(300)]
    assert {draw["k"] for draw in draws} == {1, 2, 3}
    assert statistics.median(draw["x"] for draw in draws) == pytest.approx(0.1, rel=0.3)


def test_random_search_ends_where_everything_was_tried():
    searcher, trials = RandomSearch({"k": Choice((1, 2))}, 0, True), []
    while (settings := searcher.suggest(trials)) is not None:
        trials.append(entry(len(trials), [], settings=settings))
    assert sorted(one["settings"]["k"] for one in trials) == [1, 2]


def flat(value, length=20):
    return [[epoch, value] for epoch in range(length)]


@pytest.mark.parametrize("kind", searchers())
def test_a_trial_below_the_median_is_given_up_and_one_above_is_not(kind):
    trials = [entry(number, flat(value)) for number, value in enumerate([0.1, 0.2, 0.3, 0.4, 0.5])]
    searcher = kind(SPACE, 0, True)
    assert searcher.should_prune(flat(0.29, GRACE + 1), trials)
    assert not searcher.should_prune(flat(0.31, GRACE + 1), trials)
    assert not searcher.should_prune(flat(0.1, GRACE), trials), "it is too early"
    assert not searcher.should_prune(flat(0.1, GRACE + 1), trials[:-1]), "there are too few"
    lower = kind(SPACE, 0, False)
    assert lower.should_prune(flat(0.31, GRACE + 1), trials) and not lower.should_prune(flat(0.29, GRACE + 1), trials)


def test_the_best_so_far_at_the_same_epoch_counts():
    late = [entry(number, [[0, 0.1], [GRACE + 1, 0.2], [GRACE + 3, 0.9]]) for number in range(STARTUP)]
    searcher = RandomSearch(SPACE, 0, True)
    curve = [*flat(0.05, GRACE), [GRACE + 2, 0.15]]
    assert searcher.should_prune(curve, late)  # 0.2 by then, though 0.9 later
    assert not searcher.should_prune([*flat(0.05, GRACE), [GRACE, 0.15]], late)  # 0.1 by then
    assert not searcher.should_prune([[0, 0.3], *flat(0.0, GRACE + 3)[1:]], late)  # its own best so far
    others = [entry(9, flat(0.0), "pruned"), entry(10, [], "failed")]
    assert searcher.should_prune(curve, [*late, *others * 9]), "only finished trials count"


@pytest.mark.skipif(is_installed("optuna"), reason="optuna is installed")
def test_without_optuna_it_says_how_to_get_it(settings, capsys, workdir):
    assert "pip install optuna" in refused(capsys, command_words(settings, "--searcher=optuna"))


@pytest.mark.parametrize("kind", searchers())
def test_no_setting_is_tried_twice_and_a_space_has_an_end(kind):
    searcher, trials = kind({"a": Choice((1, 2)), "b": Choice((3, 4))}, 1, True), []
    while settings := searcher.suggest(trials):
        trials.append(
            {"number": len(trials), "settings": settings, "state": "finished", "value": 0.1, "curve": [[0, 0.1]]}
        )
    assert sorted(tuple(trial["settings"].values()) for trial in trials) == [(1, 3), (1, 4), (2, 3), (2, 4)]


@pytest.mark.skipif(not is_installed("optuna"), reason="optuna is not installed")
def test_optuna_goes_on_to_the_same_trials(settings, workdir):
    full = search(settings, 4, searcher="optuna")
    for name in ("out.json", "out.yaml"):
        Path(name).unlink()
    search(settings, 2, searcher="optuna")
    assert without_seconds(search(settings, 4, searcher="optuna")) == without_seconds(full)
