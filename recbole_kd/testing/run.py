"""A method on a small dataset, built step by step: what the conformance checks look at."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from recbole.data.interaction import Interaction
from recbole.utils import init_seed

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.data.split import prepare_split
from recbole_kd.experiment import Experiment, make_config
from recbole_kd.method.distiller import Distiller
from recbole_kd.method.registry import method_class


class ConformanceRun:
    """The config, split, teachers and knowledge of a method; models and trained students on demand.

    Args:
        method: name of the method.
        settings: keys of the run, RecBole's and ours.
        keys: further keys, which win.

    Attributes:
        experiment: the Experiment behind the others.
        config: the Config of the run.
        student_config: the plain RecBole Config of the student.
        data: the split.
        teachers: the teachers, found in ``checkpoint_dir`` or trained now.
        teacher: the first of them.
        knowledge: what the terms read of the teachers.
    """

    def __init__(self, method: str, settings: Mapping[str, Any], **keys: Any) -> None:
        self.experiment = Experiment(make_config(method, config_dict={**settings, **keys}))
        self.config, self.student_config = self.experiment.config, self.experiment.student_config
        self.data, self.teachers = self.experiment.split, self.experiment.teachers
        self.teacher, self.knowledge = self.teachers[0], self.experiment.knowledge

    def new_model(self) -> Distiller:
        """A new Distiller of the method, seeded."""
        init_seed(self.config["seed"], True)
        return method_class(self.config.method)(self.config, self.data.train._dataset, self.knowledge)

    def model(self) -> Distiller:
        """A new Distiller of the method, in training mode, at the beginning of its first epoch."""
        model = self.new_model()
        model.start_epoch(0)
        return model.train()

    def batch(self) -> Interaction:
        """The first training batch of a fresh loader. The global random numbers start at the seed afterwards."""
        batch = self._batch.to(self.config["device"])
        init_seed(self.config["seed"], True)
        return Interaction({name: column.clone() for name, column in batch.interaction.items()})

    @cached_property
    def _batch(self) -> Interaction:
        return next(iter(prepare_split(self.student_config).train))

    def trained(self, file: Path | str) -> dict[str, Any]:
        """Distil a student to a file and return the checkpoint's content."""
        self.experiment.train_side("method", file)
        return read_checkpoint(file)
