"""Checks of the trials that a search reads back, from which it chooses what to try next and what is best."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

from recbole_kd.tune.space import Space

STATES = ("finished", "pruned", "failed")
FIELDS = {"number", "settings", "state", "value", "reason", "curve", "seconds"}


def are_trials(trials: list[Any], search: Mapping[str, Any], space: Space | None = None) -> bool:
    """Whether these are trials that a search wrote.

    Args:
        trials: what its JSON file holds.
        search: what is requested: ``space`` names the searched keys, ``bigger`` says which score is best.
        space: the search space, in which all settings but the first, the defaults, have to lie; None: not checked.
    """
    if not all(_is_trial(trial, number, search) for number, trial in enumerate(trials)):
        return False
    if len({trial["curve"][0][0] for trial in trials if trial["curve"]}) > 1:  # all are evaluated at the same epochs
        return False
    return space is None or all(
        space[key].holds(value) for trial in trials[1:] for key, value in trial["settings"].items()
    )


def _is_trial(trial: Any, number: int, search: Mapping[str, Any]) -> bool:
    if not isinstance(trial, dict) or set(trial) != FIELDS or trial["number"] != number:
        return False
    settings, state, curve, seconds = (trial[name] for name in ("settings", "state", "curve", "seconds"))
    if not isinstance(settings, dict) or set(settings) != set(search["space"]) or state not in STATES:
        return False
    if not _is_number(seconds) or not 0 <= seconds < math.inf or not _is_curve(curve):
        return False
    if state == "failed":
        return trial["value"] is None and isinstance(trial["reason"], str)
    return trial["reason"] is None and bool(curve) and _is_number(trial["value"]) and _is_best(trial, search["bigger"])


def _is_best(trial: Mapping[str, Any], bigger: bool) -> bool:
    """Whether the value of a trial is the best score of its curve."""
    scores = [score for _, score in trial["curve"]]
    return any(math.isnan(score) for score in scores) or trial["value"] == (max if bigger else min)(scores)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_curve(curve: Any) -> bool:
    if not isinstance(curve, list) or not all(isinstance(point, list) and len(point) == 2 for point in curve):
        return False
    if not all(type(epoch) is int and epoch >= 0 and _is_number(score) for epoch, score in curve):
        return False
    return all(before[0] < after[0] for before, after in itertools.pairwise(curve))
