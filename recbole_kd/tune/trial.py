"""One trial: a training as run_kd makes it, with other settings, evaluated on the validation part."""

import math
import time
from collections.abc import Callable
from pathlib import Path

from recbole_kd.config.configurator import Config
from recbole_kd.config.layering import Layers
from recbole_kd.errors import KDError, NonFiniteLoss, TrainingFailed, TrainingStopped
from recbole_kd.experiment import Experiment
from recbole_kd.knowledge.base import BaseKnowledge
from recbole_kd.method.configuration import build_config
from recbole_kd.tune.record import SearchRecord
from recbole_kd.tune.searchers import best_until
from recbole_kd.tune.space import Space, override_layers, recipe_content, side_config
from recbole_kd.tune.types import Curve, Settings, Trial


class TrialRunner:
    """Runs the trials of a search, all on one split and with one teacher, whose knowledge is loaded once.

    Args:
        side: ``method``, ``alone`` or ``teacher``.
        layers: the user's Layers.
        experiment: the Experiment of their Config.
        space: the search space, by key.
        record: the SearchRecord to which the trials are added.
    """

    def __init__(self, side: str, layers: Layers, experiment: Experiment, space: Space, record: SearchRecord) -> None:
        self.side, self.layers, self.experiment, self.space, self.record = side, layers, experiment, space, record
        self.base = experiment.config
        self.sign = 1 if self.base["valid_metric_bigger"] else -1
        self.file = Path(self.base["checkpoint_dir"]) / "tune" / f"{record.search['key']}.pth"
        self._teacher_is_recorded = False

    def run(self, settings: Settings, should_prune: Callable[[Curve], bool]) -> Trial:
        """Train once, and delete the checkpoint.

        Args:
            settings: the values of the searched keys; {} for the defaults.
            should_prune: whether to stop the training, given the validation scores so far.

        Returns:
            The trial; its state is ``failed`` if the loss was not finite or the settings do not go together.

        Raises:
            KDError, TrainingFailed: the run fails with the default settings, that is, with what the user requested.
        """
        knowledge = self.knowledge()
        number, start = len(self.record.trials), time.perf_counter()
        curve: Curve = []

        def on_epoch(epoch: int, score: float, in_last_phase: bool) -> None:
            curve.append([epoch, score])
            if in_last_phase and should_prune(curve):
                raise TrainingStopped

        state, reason = "finished", None
        self.file.parent.mkdir(exist_ok=True)
        try:
            run = Experiment(self.config(settings), self.experiment.split, knowledge)
            if knowledge is not None:
                run.teachers = self.experiment.teachers
            run.train_side(self.side, self.file, on_epoch)
        except TrainingStopped:
            state = "pruned"
        except NonFiniteLoss as error:
            state, reason = "failed", str(error)
        except (KDError, TrainingFailed) as error:
            if not settings:
                raise
            state, reason = "failed", str(error)
        finally:
            self._remove_checkpoint()
        seconds = round(time.perf_counter() - start, 2)
        return self._trial(number, settings or self.defaults(), state, reason, curve, seconds)

    def _trial(
        self, number: int, settings: Settings, state: str, reason: str | None, curve: Curve, seconds: float
    ) -> Trial:
        return Trial(
            number=number,
            settings=settings,
            state=state,
            value=None if state == "failed" else self.sign * best_until(curve, math.inf, self.sign),
            reason=reason,
            curve=curve,
            seconds=seconds,
        )

    def _remove_checkpoint(self) -> None:
        for file in self.file.parent.glob(f"{self.file.name}*"):
            file.unlink()

    def config(self, settings: Settings) -> Config:
        """The Config of a trial. Raises KDError: settings that do not go together."""
        config = build_config(override_layers(self.layers, recipe_content(self.side, settings)))
        config["resume"] = False  # an interrupted trial starts again, because its curve was not stored
        return config

    def knowledge(self) -> BaseKnowledge | None:
        """What the terms read of the teacher; None if the tuned side is not the method."""
        if self.side != "method":
            return None
        if not self._teacher_is_recorded:
            self.record.set_teacher(self.experiment.teachers_name)
            self._teacher_is_recorded = True
        return self.experiment.knowledge

    def defaults(self) -> Settings:
        """The values of the searched keys in the user's Config."""
        config = side_config(self.base, self.side)
        return {key: config[key] for key in self.space}
