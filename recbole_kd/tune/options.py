"""What a search is asked for besides the run itself."""

import math
from dataclasses import dataclass, fields

from recbole_kd.errors import KDError
from recbole_kd.tune.searchers import SEARCHERS
from recbole_kd.tune.space import SIDES

TRIALS = 20


@dataclass(frozen=True)
class Options:
    """The options of a search.

    Attributes:
        side: what is tuned: ``method``, ``alone`` (the student alone) or ``teacher``.
        trials: how many there are to be, the default settings, which are the first, included; 20 where neither this
            nor ``minutes`` is given.
        minutes: no trial begins when the trials have taken this long together.
        space: a YAML file; the one that comes with the method where None.
        searcher: ``random``, or ``optuna`` where that is installed.
        pruning: whether a trial is given up that lies below the median of the others.
        output: a YAML file for the recipe; a JSON file of all trials goes beside it.

    Raises:
        KDError: a value out of range.
    """

    side: str = "method"
    trials: int | None = None
    minutes: float | None = None
    space: str | None = None
    searcher: str = "random"
    pruning: bool = True
    output: str | None = None

    def __post_init__(self):
        for name, takes in (("side", SIDES), ("searcher", SEARCHERS)):
            if getattr(self, name) not in takes:
                self._refuse(name, f"one of {', '.join(takes)}")
        if not isinstance(self.pruning, bool):
            self._refuse("pruning", "True or False")
        if self.trials is not None and not (_number(self.trials, int) and self.trials >= 1):
            self._refuse("trials", "an int in [1, inf)")
        if self.minutes is not None and not (_number(self.minutes, (int, float)) and 0 < self.minutes < math.inf):
            self._refuse("minutes", "a number in (0, inf)")
        if self.output is not None and not str(self.output).endswith((".yaml", ".yml")):
            self._refuse("output", "a YAML file, with the suffix .yaml")

    def _refuse(self, name, takes):
        raise KDError(f"{name}={getattr(self, name)!r} is out of range: it takes {takes}")

    @property
    def limit(self):
        """The number of trials after which the search ends."""
        return self.trials or (TRIALS if self.minutes is None else math.inf)

    @property
    def given(self):
        """The options that are not at their defaults, by name."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return {field.name: own[field.name] for field in fields(self) if own[field.name] != field.default}


NAMES = tuple(field.name for field in fields(Options))


def _number(value, kind):
    return isinstance(value, kind) and not isinstance(value, bool)
