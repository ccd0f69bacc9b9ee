"""One run, step by step: split, teachers, knowledge, student alone, distilled student, result."""

import json
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from recbole.config import Config as RecBoleConfig
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.utils import WandbLogger, get_environment, init_logger, init_seed

from recbole_kd.config.configurator import Config, plain_config, without_wandb
from recbole_kd.config.layering import read_layers
from recbole_kd.config.widths import describe_width, model_width
from recbole_kd.data.shared_pairs import SharedPairs, shared_pairs
from recbole_kd.data.split import Split, prepare_split, require_part
from recbole_kd.distributed.launcher import process_layout
from recbole_kd.distributed.process_group import broadcast_object, process_count, rank0_first
from recbole_kd.distributed.sharding import divided_threads
from recbole_kd.errors import KDError
from recbole_kd.evaluation.neighbour_advice import NeighbourAdvice, neighbour_advice
from recbole_kd.evaluation.result import RunResult, build_result
from recbole_kd.io import atomic_write, exclusive_folder
from recbole_kd.knowledge.base import BaseKnowledge
from recbole_kd.knowledge.frozen_teacher import Teacher
from recbole_kd.knowledge.loader import check_list_lengths, load_knowledge, teachers_name
from recbole_kd.method.checks import check_split
from recbole_kd.method.configuration import build_config
from recbole_kd.method.registry import method_class
from recbole_kd.method.terms import max_list_length, method_terms
from recbole_kd.screen import show_for_a_person
from recbole_kd.teacher.leak_warnings import WARNED, leak_entry
from recbole_kd.teacher.provider import provide_teachers, read_given_teachers
from recbole_kd.teacher.warm_start_check import check_warm_start, warm_start_entry
from recbole_kd.term import get_term
from recbole_kd.trainer.cache_key import run_key
from recbole_kd.trainer.ddp_trainer import DistributedKDTrainer
from recbole_kd.trainer.kd_trainer import KDTrainer
from recbole_kd.trainer.model_builder import load_weights
from recbole_kd.trainer.options import EpochCallback, TrainingOptions
from recbole_kd.trainer.output_checks import check_run_outputs
from recbole_kd.trainer.rank_agreement import check_same_data
from recbole_kd.trainer.training import (
    describe_failure,
    read_done_marker,
    read_trained,
    run_trainer,
    train,
)


class TrainedModel(NamedTuple):
    """A trained RecBole model.

    Attributes:
        config: its plain RecBole Config.
        model: the model, in evaluation mode.
        file: its checkpoint.
    """

    config: RecBoleConfig
    model: AbstractRecommender
    file: str


def make_config(
    model: str | None = None,
    dataset: str | None = None,
    config_file_list: list[str] | str | None = None,
    config_dict: dict | None = None,
    argv: list[str] | None = None,
) -> Config:
    """The Config that a run would have; arguments as of ``run_kd``. Raises KDError."""
    return build_config(read_layers(model, dataset, config_file_list, config_dict, argv))


class Experiment:
    """One config on one split. Each step is done when it is first asked for, and found where an earlier run did it.

    Args:
        config: the run's Config.
        split: its split; prepared now where None.
        knowledge: what is read of the teachers; theirs where None.

    Attributes:
        student_config: the plain RecBole Config of the student.

    Raises:
        KDError: a dataset that cannot be prepared.

    Example:
        ``with Experiment.open(make_config("MKD", "ml-100k")) as experiment: experiment.distil().file``
    """

    def __init__(self, config: Config, split: Split | None = None, knowledge: BaseKnowledge | None = None) -> None:
        self.config = config
        self._knowledge = knowledge
        self.student_config = plain_config(config)
        self.split = prepare_split(self.student_config) if split is None else split

    @classmethod
    @contextmanager
    def open(cls, config: Config) -> "Iterator[Experiment]":
        """An experiment whose checkpoint folder no other run may use meanwhile, checked as far as possible before a
        training. Raises KDError.
        """
        if process_count() == 1 and process_layout(config)[0].world_size > 1:
            raise KDError("nproc and world_size work with run_kd alone, not with tune or a search: leave them out")
        check_run_outputs(config)
        experiment = cls(config)
        check_split(config, experiment.split)
        check_warm_start(config, experiment.split)
        with exclusive_folder(config["checkpoint_dir"]):
            yield experiment

    @cached_property
    def given_teachers(self) -> dict[int, Teacher]:
        """The teachers that are files, by their index in ``config.teachers``. Raises KDError: a refused file."""
        teachers = read_given_teachers(self.config, self.split)
        check_list_lengths(self.config, self.split, teachers, max_list_length(self.config, self.split))
        return teachers

    @cached_property
    def teachers(self) -> list[Teacher]:
        """The teachers: read from files, found where they were trained before, or trained now."""
        return provide_teachers(self.config, self.split, self.given_teachers)

    @property
    def knowledge(self) -> BaseKnowledge:
        """What the terms read of the teachers."""
        if self._knowledge is None:
            self._knowledge = load_knowledge(self.config, self.split, self.teachers)
        return self._knowledge

    @property
    def teachers_name(self) -> str:
        """A hash of the teachers' weights and of the training pairs."""
        return teachers_name(self.teachers)

    @cached_property
    def shared_pairs(self) -> SharedPairs | None:
        """The pairs that two parts of the split share; None if there are none."""
        return shared_pairs(self.student_config, self.split)

    def warn_shared_pairs(self) -> None:
        """Say in the log where held-out pairs are training pairs too."""
        if self.shared_pairs:
            logging.getLogger().warning(self.shared_pairs["warning"])

    def train_alone(self) -> TrainedModel:
        """The student trained without a teacher, in plain RecBole: found, or trained now."""
        config, logger = self.student_config, logging.getLogger()
        folder = Path(self.config["checkpoint_dir"]) / "alone"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{config['model']}-{config['dataset']}-{run_key(config, self.split.fingerprint)}.pth"
        if read_done_marker(file):
            logger.info(f"the student alone was trained before: {file}")
        else:
            logger.info(f"training the student alone, in plain RecBole: {config['model']}")
            self.train_side("alone", file)
        return self._load(file)

    def distil(self) -> TrainedModel:
        """The distilled student: trained now, or found where ``resume`` is set and it was distilled before."""
        logger = logging.getLogger()
        processes = [f"{process_count()} processes"] if process_count() > 1 else []
        warned = [WARNED] if leak_entry(self.teachers) else []
        key = run_key(self.config, self.split.fingerprint, self.teachers_name, *processes, *warned)
        name = f"{self.config['model']}-{self.config['dataset']}-{self.config.method}-{key}.pth"
        file = Path(self.config["checkpoint_dir"]) / name
        is_done = self.config["resume"] and read_done_marker(file)
        broadcast_object(None if is_done else str(file))
        if is_done:
            logger.info(f"this student was distilled before: {file}")
        else:
            logger.info(" in ".join([f"distilling: {self.config.method}", *processes]))
            self.train_side("method", file)
        return self._load(file)

    def train_side(self, side: str, file: Path | str, callback: EpochCallback | None = None) -> None:
        """Train one of the models of the run to a file, from loaders that were not drawn from.

        Args:
            side: ``method``, the distilled student; ``alone``, the student without a teacher; or ``teacher``.
            file: the checkpoint to write.
            callback: called after each evaluated epoch with the epoch, its validation score, and whether the method's
                last scheduled phase has begun; it may raise TrainingStopped.

        Raises:
            NonFiniteLoss, TrainingFailed: the training diverged, or failed otherwise.
        """
        if side == "method":
            self._distil_to(file, callback)
            return
        config = self.student_config if side == "alone" else self.config.teacher
        if config is None:
            raise KDError("a teacher that is a file of scores cannot be trained")
        whose = f"the teacher {config['model']}" if side == "teacher" else f"the student {config['model']} alone"
        with describe_failure(whose):
            train(
                without_wandb(config),
                file,
                self.split.fresh(config),
                TrainingOptions.from_config(self.config, on_epoch=callback),
            )

    def _distil_to(self, file: Path | str, callback: EpochCallback | None = None) -> None:
        config, split = self.config, self.split.fresh(self.student_config)
        for key, value in self.student_config.final_config_dict.items():
            config.final_config_dict.setdefault(key, value)  # BERT4Rec's loader names its columns in its config
        check_same_data(split)
        init_seed(config["seed"] + config["local_rank"], config["reproducibility"])
        with rank0_first():  # rank 0 stores the knowledge, the other ranks find it
            model = method_class(config.method)(config, split.train._dataset, self.knowledge)
        trainer_class = DistributedKDTrainer if process_count() > 1 else KDTrainer
        options = replace(TrainingOptions.from_config(config, on_epoch=callback), extra_entries=self._leak_entry())
        with divided_threads(), describe_failure(f"the student {config['model']} by {config.method}"):
            run_trainer(trainer_class, config, model, split, file, options)

    def _leak_entry(self) -> dict[str, Any]:
        """What the student's checkpoint says about warned teachers; knowledge that was handed over has none to ask."""
        return {} if self._knowledge is not None and "teachers" not in vars(self) else leak_entry(self.teachers)

    def _load(self, file: Path) -> TrainedModel:
        config, content = self.student_config, read_trained(file)
        return TrainedModel(config, load_weights(config, self.split.train._dataset, file, content), str(file))

    def advise_neighbours(self) -> NeighbourAdvice | None:
        """What the teacher's item neighbours would bring to its ranking on validation; None where that does not arise.

        Source: see ``evaluation.neighbour_advice``.
        """
        config = self.config
        reads_scores = any(
            get_term(name).reads_scores and config[f"{name.lower()}_weight"] for name in method_terms(config)
        )
        return neighbour_advice(config, self.split, self.teachers, self.knowledge) if reads_scores else None

    def run(self) -> RunResult:
        """All steps, with their log and the result file; returns the result, as ``run_kd`` describes it.

        Raises:
            KDError: no test pair to compare models by, or a given teacher that is refused, before anything is written.
        """
        require_part(self.config, self.split, "test", "compare models by")
        _ = self.given_teachers
        self._begin_log()
        _ = self.knowledge
        # before the students are trained: a failure here loses nothing
        advice = self.advise_neighbours()
        if advice:
            text = (
                "the teacher's {metric} on validation, without and with its item neighbours: {without:.4f}, {with:.4f}"
            )
            logging.getLogger().info(text.format(**advice))
        alone = self.train_alone() if self.config["baseline"] else None
        distilled = self.distil()
        result = build_result(self.config, self.split, self.teachers, self.knowledge, alone, distilled)
        if advice:
            result["neighbours_worth"] = advice
        if self.shared_pairs:
            result["shared_pairs"] = self.shared_pairs
        result.update(warm_start_entry(self.config, self.split))  # type: ignore[typeddict-item]
        self._end_log(result, distilled)
        return result

    def _begin_log(self) -> None:
        """Open the log: only now, so that bad input leaves one sentence and no file."""
        config, logger = self.config, logging.getLogger()
        init_logger(self.student_config)
        show_for_a_person(logger, config)
        logger.info(config)
        config.warn_unused_keys()
        self.warn_shared_pairs()
        if not len(self.split.pairs["valid"]):
            logger.warning("there is no validation pair to choose an epoch by: each training keeps its last one")
        student_width = model_width(config)
        for spec in config.teachers:
            width = spec.config and model_width(spec.config)
            logger.info(f"teacher {spec.label}{describe_width(spec.config)}")
            if (student_width or 0) > (width or math.inf):
                logger.warning("the student is wider than its teacher: distillation is meant the other way round")
        logger.info(f"{config.method}: student {config['model']}{describe_width(config)}")
        logger.info(self.split.dataset)

    def _end_log(self, result: RunResult, distilled: TrainedModel) -> None:
        WandbLogger(self.student_config).log_eval_metrics(result["distilled"]["test_result"])  # as run_recbole does
        logger = logging.getLogger()
        if logger.isEnabledFor(logging.INFO):  # RecBole measures the CPU's usage for a second
            environment = get_environment(self.config).draw()
            logger.info(f"The running environment of this training is as follows:\n{environment}")
        if self.config["result_file"]:
            atomic_write(self.config["result_file"], (json.dumps(result, indent=1) + "\n").encode())
        logger.info(f"the distilled student is in {distilled.file}")
