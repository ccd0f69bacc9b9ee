"""A method on a small dataset, built step by step: what the conformance checks look at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole.data.interaction import Interaction
from recbole.utils import init_seed

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.experiment import make_config, train_one
from recbole_kd.knowledge.loader import load_knowledge
from recbole_kd.method.distiller import Distiller
from recbole_kd.method.registry import method_class
from recbole_kd.teacher.provider import provide_teachers


class ConformanceRun:
    """The config, split, teachers and knowledge of a method; models and trained students on demand.

    Args:
        method: name of the method.
        settings: keys of the run, RecBole's and ours.
        keys: further keys, which win.

    Attributes:
        config: the Config of the run.
        student_config: the plain RecBole Config of the student.
        data: the split.
        teachers: the teachers, found in ``checkpoint_dir`` or trained now.
        teacher: the first of them.
        knowledge: what the terms read of the teachers.
    """

    def __init__(self, method: str, settings: Mapping[str, Any], **keys: Any) -> None:
        self.config = make_config(method, config_dict={**settings, **keys})
        self.student_config = plain_config(self.config)
        self.data = prepare_split(self.student_config)
        self.teachers = provide_teachers(self.config, self.data)
        self.teacher = self.teachers[0]
        self.knowledge = load_knowledge(self.config, self.data, self.teachers)

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
        """The first training batch of a fresh loader."""
        return next(iter(prepare_split(self.student_config).train)).to(self.config["device"])

    def trained(self, file: Path | str) -> dict[str, Any]:
        """Distil a student to a file and return the checkpoint's content."""
        train_one("method", self.config, self.knowledge, file)
        return read_checkpoint(file)
