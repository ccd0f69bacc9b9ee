"""Checks before any training: whether teachers can be trained, measured and read."""

import importlib.util
from typing import Any

from recbole.config import Config as RecBoleConfig
from recbole.data.dataset import Dataset
from recbole.trainer.trainer import PretrainTrainer
from recbole.utils import ModelType, get_trainer

from recbole_kd.backbone import backbone_of
from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import SCORER, VECTORS, Capability
from recbole_kd.backbone.training_rows import is_sequential, training_queries
from recbole_kd.config.configurator import Config, plain_config
from recbole_kd.data.split import Split
from recbole_kd.data.split_settings import SPLIT_KEYS, differing_keys
from recbole_kd.errors import KDError, is_out_of_memory
from recbole_kd.knowledge.frozen_teacher import require_readable
from recbole_kd.teacher.leakage import check_same_split
from recbole_kd.trainer.cache_key import run_key
from recbole_kd.trainer.model_builder import build_error, build_seeded_model, missing_package, no_tables_message
from recbole_kd.trainer.rng import preserve_rng


def check_trainings(config: Config, data: Split) -> None:
    """Refuse teachers that would be on another split, that cannot be trained, or that would be trained twice.

    Args:
        config: the run's Config.
        data: the run's split.

    Raises:
        KDError: with the teacher and what works.
    """
    student = plain_config(config)
    known: dict[str, int] = {}
    for number, spec in enumerate(config.teachers, 1):
        if spec.config is None or spec.entry.path is not None:
            continue
        _check_trainable(spec.config)
        first = known.setdefault(run_key(spec.config, data.fingerprint), number)
        if first != number:
            raise KDError(
                f"teachers {first} and {number}, {spec.label}, have the same settings and would be identical: "
                "give one of them other keys, or leave it out"
            )
        if spec.config["MODEL_TYPE"] != student["MODEL_TYPE"] or differing_keys(SPLIT_KEYS, spec.config, student):
            with preserve_rng():
                check_same_split(config, spec, data.fresh(spec.config), data)


def check_measures(config: Config) -> None:
    """Refuse a teacher that would be measured differently from the students, since one table shows them all.

    Raises:
        KDError: with the teacher and the key that differs.
    """
    student = measurement_settings(config)
    for spec in config.teachers:
        teacher = measurement_settings(spec.config) if spec.config is not None else student
        for key in student:
            if (
                key == "repeatable"
                and spec.config is not None
                and _is_sequential(spec.config) != _is_sequential(config)
            ):
                continue  # RecBole has True for a sequential model and False for others
            if teacher[key] != student[key]:
                raise KDError(
                    f"the teacher {spec.label} would be measured by {key} {teacher[key]}, the student "
                    f"{config['model']} by {student[key]}: write it once, outside the blocks 'teacher' and 'student'"
                )


def _is_sequential(config: RecBoleConfig) -> bool:
    return bool(config["MODEL_TYPE"] == ModelType.SEQUENTIAL)


def measurement_settings(config: RecBoleConfig) -> dict[str, Any]:
    """The settings that a model's metrics depend on, beside its weights and the pairs."""
    keys = {key: config[key] for key in ("metrics", "topk", "repeatable")}
    return {**keys, "mode": config["eval_args"]["mode"], "eval_mask": config["eval_mask"] or "all"}


def _check_trainable(config: RecBoleConfig) -> None:
    name = config["model"]
    if issubclass(get_trainer(config["MODEL_TYPE"], name), PretrainTrainer) and config["train_stage"] != "finetune":
        stage = config["train_stage"]
        raise KDError(
            f"teacher_model={name} with train_stage={stage} leaves no checkpoint to teach with: train it in RecBole "
            "and give it as teacher_path, or take another model"
        )
    if name == "NCL" and importlib.util.find_spec("faiss") is None:  # imported when its training begins
        raise missing_package(config, "No module named 'faiss'")


def capabilities_of(config: RecBoleConfig, data: Split) -> Capability:
    """What a teacher of this plain Config can give to the student of a split, tried on an untrained one.

    Raises:
        KDError: no backbone can read the teacher.
    """
    if config["MODEL_TYPE"] == ModelType.TRADITIONAL:
        if config["init_std"]:
            raise KDError(no_tables_message(config))
        return SCORER  # EASE and its like are solved when they are constructed: too dear for a question
    with preserve_rng():
        dataset = data.training_dataset(config)
    capabilities = require_readable(config, probe_backbone(config, dataset)).capabilities
    if is_sequential(data.train._dataset.config):
        return capabilities & ~Capability.USER_TABLE  # a step reads the teacher's vectors of its own rows
    # for a student of users a sequence teacher has a vector for each user, that of the latest sequence
    return capabilities | Capability.USER_TABLE if VECTORS in capabilities else capabilities


def probe_backbone(config: RecBoleConfig, dataset: Dataset) -> Backbone | None:
    """The backbone of an untrained model, or None if no backbone can read it.

    Args:
        config: the model's plain Config.
        dataset: the training Dataset.

    Raises:
        KDError: the model cannot be built with these settings.
    """
    with preserve_rng():
        try:
            return backbone_of(build_seeded_model(config, dataset), training_queries(config, dataset))
        except ImportError as error:
            raise missing_package(config, error) from error
        except KDError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise build_error(config, error) from error
