"""One trial: a training as run_kd makes it, with other settings, watched on the validation part."""

import math
import time
from pathlib import Path

from recbole_kd.errors import KDError, NonFiniteLoss, TrainingFailed, TrainingStopped
from recbole_kd.experiment import Experiment
from recbole_kd.method.configuration import build_config
from recbole_kd.tune.searchers import best_until
from recbole_kd.tune.space import content_of, laid_over


class TrialRunner:
    """Makes the trials of a search, all on one split and under one teacher, whose knowledge is read once.

    Args:
        side: ``method``, ``alone`` or ``teacher``.
        layers: the user's Layers.
        experiment: the Experiment of their Config.
        space: name to Interval or Choice.
        record: the Record that the trials go to.
    """

    def __init__(self, side, layers, experiment, space, record):
        self.side, self.layers, self.experiment, self.space, self.record = side, layers, experiment, space, record
        self.base = base = experiment.config
        self.sign = 1 if base["valid_metric_bigger"] else -1
        self.file = Path(base["checkpoint_dir"]) / "tune" / f"{record.search['key']}.pth"
        self._teacher_is_recorded = False

    def make(self, settings, hopeless):
        """Train once.

        Args:
            settings: the values of the space's keys; {} for the defaults.
            hopeless: a function of the curve so far that says whether to stop.

        Returns:
            dict: the trial, as search.py describes it, with ``seconds`` and the ``reason`` of a failure.

        Raises:
            KDError: the run as the user asked for it cannot work.
        """
        knowledge = self.knowledge()
        number, began, curve = len(self.record.trials), time.perf_counter(), []

        def watch(epoch, score, settled):
            curve.append([epoch, score])
            if settled and hopeless(curve):
                raise TrainingStopped

        self.file.parent.mkdir(exist_ok=True)
        state, reason = "finished", None
        try:
            Experiment(self.config(settings), self.experiment.split, knowledge).train_side(self.side, self.file, watch)
        except TrainingStopped:
            state = "pruned"
        except (NonFiniteLoss, KDError, TrainingFailed) as error:
            if not isinstance(error, NonFiniteLoss) and not settings:  # what the user asked for, not what was drawn
                raise
            state, reason = "failed", str(error)
        finally:
            for left in self.file.parent.glob(f"{self.file.name}*"):
                left.unlink()
        value = self.sign * best_until(curve, math.inf, self.sign) if state != "failed" else None
        return {
            "number": number, "settings": settings or self.defaults(), "state": state, "value": value,
            "reason": reason, "curve": curve, "seconds": round(time.perf_counter() - began, 2),
        }  # fmt: skip

    def config(self, settings):
        """The Config of a trial. Raises KDError: settings that do not go together."""
        config = build_config(laid_over(self.layers, content_of(self.side, settings)))
        config["resume"] = False  # a trial that was interrupted begins anew: its curve was not kept
        return config

    def knowledge(self):
        """What the terms read of the teacher; None where the method is not what is tuned."""
        if self.side != "method":
            return None
        if not self._teacher_is_recorded:
            self.record.set_teacher(self.experiment.teachers_name)
            self._teacher_is_recorded = True
        return self.experiment.knowledge

    def defaults(self):
        """The values that the searched keys have where nothing is said."""
        own = self.base.teacher if self.side == "teacher" else self.base
        return {key: own[key] for key in self.space}
