"""The types of what a search handles and stores."""

from typing import Any, TypedDict

Settings = dict[str, Any]
"""The values of the searched keys in one trial, by key."""

Curve = list[list[Any]]
"""The validation score of each evaluated epoch: ``[[epoch, score], ...]``."""


class Trial(TypedDict):
    """One trial, as the JSON file of a search stores it.

    Attributes:
        number: its position in the search, from 0.
        settings: the values of the searched keys.
        state: ``finished``, ``pruned`` or ``failed``.
        value: the best validation score; None for a failed trial.
        reason: the message of a failure; None otherwise.
        curve: the validation score of each evaluated epoch.
        seconds: how long it took.
    """

    number: int
    settings: Settings
    state: str
    value: float | None
    reason: str | None
    curve: Curve
    seconds: float


class SearchResult(TypedDict):
    """The result of ``tune``.

    Attributes:
        recipe: path of the recipe, a YAML file.
        file: path of the JSON file with all trials.
        search: what was requested, as the JSON file stores it.
        best: the number of the best trial.
        trials: all trials, in order.
    """

    recipe: str
    file: str
    search: dict[str, Any]
    best: int
    trials: list[Trial]
