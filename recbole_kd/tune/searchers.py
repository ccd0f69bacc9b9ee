"""Searchers: which settings a search tries next, and when it stops a trial.

A searcher depends only on the seed and the earlier trials, so an interrupted search continues with the same trials.
"""

import statistics
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from recbole_kd.errors import KDError
from recbole_kd.tune.space import Choice, Interval, Space
from recbole_kd.tune.types import Curve, Settings, Trial

STARTUP = 5  # finished trials before any trial is pruned
GRACE = 10  # evaluated epochs of a trial before it can be pruned
DRAWS = 100  # attempts to draw settings that were not tried before


class Searcher(Protocol):
    """Suggests the settings of the next trial, and decides whether to stop a running one."""

    def suggest(self, trials: Sequence[Trial]) -> Settings | None:
        """Settings that none of the earlier trials had.

        Args:
            trials: the earlier trials.

        Returns:
            The settings, or None if no new ones were drawn in 100 attempts.
        """
        ...

    def should_prune(self, curve: Curve, trials: Sequence[Trial]) -> bool:
        """Whether to stop the running trial.

        Args:
            curve: the validation scores of the running trial so far; not empty.
            trials: the earlier trials.
        """
        ...


class RandomSearch:
    """A Searcher with independent random draws and pruning at the median.

    Args:
        space: the search space, by key.
        seed: the seed of the search.
        bigger: whether a bigger score is better.
    """

    def __init__(self, space: Space, seed: int, bigger: bool) -> None:
        self.space, self.seed, self.bigger = space, seed, bigger

    def suggest(self, trials: Sequence[Trial]) -> Settings | None:
        """See Searcher."""
        rng, tried = np.random.default_rng([self.seed, len(trials)]), [trial["settings"] for trial in trials]
        for _ in range(DRAWS):
            shares = rng.random(len(self.space))
            settings = {key: domain.at(share) for (key, domain), share in zip(self.space.items(), shares, strict=True)}
            if settings not in tried:
                return settings
        return None

    def should_prune(self, curve: Curve, trials: Sequence[Trial]) -> bool:
        """Whether the best score so far lies below the median of the finished trials' at the same epoch."""
        rivals = [trial["curve"] for trial in trials if trial["state"] == "finished"]
        if len(rivals) < STARTUP or len(curve) <= GRACE:
            return False
        epoch, sign = curve[-1][0], 1 if self.bigger else -1
        median = statistics.median(best_until(rival, epoch, sign) for rival in rivals)
        return best_until(curve, epoch, sign) < median


def best_until(curve: Curve, epoch: float, sign: int = 1) -> float:
    """The maximum of ``sign * score`` up to an epoch, which must not precede the curve's first one.

    >>> best_until([[0, 0.1], [1, 0.4], [2, 0.3]], 2), best_until([[0, 0.1], [1, 0.4]], 0)
    (0.4, 0.1)
    """
    return max(sign * score for at, score in curve if at <= epoch)


class TPESearch:
    """A Searcher with optuna's TPESampler and MedianPruner.

    Args:
        space: the search space, by key.
        seed: the seed of the search.
        bigger: whether a bigger score is better.

    Raises:
        KDError: optuna is not installed.
    """

    def __init__(self, space: Space, seed: int, bigger: bool) -> None:
        try:
            import optuna
        except ImportError as error:
            raise KDError("searcher=optuna needs optuna, which is not installed: pip install optuna") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.optuna: Any = optuna
        self.space, self.seed, self.bigger = space, seed, bigger
        self.distributions = {key: self._distribution(domain) for key, domain in space.items()}

    def suggest(self, trials: Sequence[Trial]) -> Settings | None:
        """See Searcher. A random draw where the sampler repeats itself."""
        study, tried = self._study(trials), [trial["settings"] for trial in trials]
        for _ in range(DRAWS):
            settings = {key: self._rounded(key, value) for key, value in study.ask(self.distributions).params.items()}
            if settings not in tried:
                return settings
        return RandomSearch(self.space, self.seed, self.bigger).suggest(trials)

    def should_prune(self, curve: Curve, trials: Sequence[Trial]) -> bool:
        """Whether optuna's MedianPruner stops the trial."""
        trial = self._study(trials).ask()
        for step, score in self._running_best(curve).items():
            trial.report(score, step)
        return trial.should_prune()

    def _rounded(self, key: str, value: Any) -> Any:
        domain = self.space[key]
        return value if isinstance(domain, Choice) else domain.rounded(value)

    def _distribution(self, domain: Interval | Choice) -> Any:
        kinds = self.optuna.distributions
        if isinstance(domain, Choice):
            return kinds.CategoricalDistribution(domain.values)
        kind = kinds.IntDistribution if domain.is_integer else kinds.FloatDistribution
        return kind(domain.low, domain.high, log=domain.log)

    def _study(self, trials: Sequence[Trial]) -> Any:
        """The optuna study after some trials, built anew each time, so that an interruption does not change it."""
        (seed,) = np.random.SeedSequence([self.seed, len(trials)]).generate_state(1)
        study = self.optuna.create_study(
            direction="maximize" if self.bigger else "minimize",
            sampler=self.optuna.samplers.TPESampler(seed=int(seed)),
            pruner=self.optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=GRACE),
        )
        for trial in trials:
            try:
                study.add_trial(self._frozen(trial))
            except ValueError:  # the default settings may lie outside the space
                continue
        return study

    def _frozen(self, trial: Trial) -> Any:
        states = self.optuna.trial.TrialState
        state = {"finished": states.COMPLETE, "pruned": states.PRUNED, "failed": states.FAIL}[trial["state"]]
        return self.optuna.trial.create_trial(
            state=state,
            value=trial["value"] if trial["state"] == "finished" else None,
            params=trial["settings"],
            distributions=self.distributions,
            intermediate_values=self._running_best(trial["curve"]),
        )

    def _running_best(self, curve: Curve) -> dict[int, float]:
        sign = 1 if self.bigger else -1
        return {step: sign * best_until(curve, epoch, sign) for step, (epoch, _) in enumerate(curve)}


SEARCHERS: dict[str, Callable[[Space, int, bool], Searcher]] = {"random": RandomSearch, "optuna": TPESearch}
