"""Where a search looks next, and when it gives a trial up: functions of the seed and the trials before, nothing else.

So an interrupted search goes on as if nothing had happened. A trial is a dict with ``number``, ``settings``, ``state``
(finished, pruned, failed), ``value`` and ``curve``, the validation score of each evaluated epoch: [[epoch, score], …].
"""

import statistics

import numpy as np

from recbole_kd.errors import KDError
from recbole_kd.tune.space import Choice

STARTUP = 5  # finished trials before any is given up
GRACE = 10  # evaluated epochs of a trial before it is judged


class RandomSearch:
    """Independent draws, and pruning at the median.

    Args:
        space: name to Interval or Choice.
        seed: the search's seed.
        bigger: whether a bigger score is better.
    """

    def __init__(self, space, seed, bigger):
        self.space, self.seed, self.bigger = space, seed, bigger

    def draw(self, past):
        """Settings that no trial of ``past`` had, or None where there seem to be none left."""
        number = len(past)
        random, tried = np.random.default_rng([self.seed, number]), [trial["settings"] for trial in past]
        for _ in range(100):
            shares = random.random(len(self.space))
            settings = {key: part.at(share) for (key, part), share in zip(self.space.items(), shares, strict=True)}
            if settings not in tried:
                return settings
        return None

    def should_prune(self, curve, past):
        """Whether the best of ``curve`` so far lies below the median of the finished trials' at the same epoch."""
        rivals = [trial["curve"] for trial in past if trial["state"] == "finished"]
        if len(rivals) < STARTUP or len(curve) <= GRACE:
            return False
        epoch, sign = curve[-1][0], 1 if self.bigger else -1
        median = statistics.median(best_until(rival, epoch, sign) for rival in rivals)
        return best_until(curve, epoch, sign) < median


def best_until(curve, epoch, sign=1):
    """The best of sign * score up to an epoch, which is at or after the curve's first one."""
    return max(sign * score for at, score in curve if at <= epoch)


class TPESearch:
    """optuna's TPESampler and MedianPruner; arguments and methods as of RandomSearch. Raises KDError: no optuna."""

    def __init__(self, space, seed, bigger):
        try:
            import optuna
        except ImportError as error:
            raise KDError("searcher=optuna needs optuna, which is not installed: pip install optuna") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.optuna, self.seed, self.bigger = optuna, seed, bigger
        self.space = space
        self.distributions = {key: self._distribution(part) for key, part in space.items()}

    def draw(self, past):
        """Settings that no trial of ``past`` had, or None where there seem to be none left."""
        study, tried = self._study(past), [trial["settings"] for trial in past]
        for _ in range(100):
            drawn = study.ask(self.distributions).params
            settings = {
                key: value if isinstance(part := self.space[key], Choice) else part.tidy(value)
                for key, value in drawn.items()
            }
            if settings not in tried:
                return settings
        return RandomSearch(self.space, self.seed, self.bigger).draw(past)

    def should_prune(self, curve, past):
        """Whether MedianPruner gives the trial up."""
        trial = self._study(past).ask()
        for step, score in self._running_best(curve).items():
            trial.report(score, step)
        return trial.should_prune()

    def _distribution(self, part):
        kinds = self.optuna.distributions
        if isinstance(part, Choice):
            return kinds.CategoricalDistribution(part.values)
        kind = kinds.IntDistribution if part.whole else kinds.FloatDistribution
        return kind(part.low, part.high, log=part.log)

    def _study(self, past):
        """The study as it stands after some trials: made anew, so that it is the same after an interruption."""
        (seed,) = np.random.SeedSequence([self.seed, len(past)]).generate_state(1)
        study = self.optuna.create_study(
            direction="maximize" if self.bigger else "minimize",
            sampler=self.optuna.samplers.TPESampler(seed=int(seed)),
            pruner=self.optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=GRACE),
        )  # fmt: skip
        for trial in past:
            try:
                study.add_trial(self._frozen(trial))
            except ValueError:  # the defaults may lie outside the space
                continue
        return study

    def _frozen(self, trial):
        states = self.optuna.trial.TrialState
        state = {"finished": states.COMPLETE, "pruned": states.PRUNED, "failed": states.FAIL}[trial["state"]]
        return self.optuna.trial.create_trial(
            state=state,
            value=trial["value"] if trial["state"] == "finished" else None,
            params=trial["settings"],
            distributions=self.distributions,
            intermediate_values=self._running_best(trial["curve"]),
        )

    def _running_best(self, curve):
        sign = 1 if self.bigger else -1
        return {step: sign * best_until(curve, epoch, sign) for step, (epoch, _) in enumerate(curve)}


SEARCHERS = {"random": RandomSearch, "optuna": TPESearch}
