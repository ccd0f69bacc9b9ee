"""The RecBole Config of the student, with the method's keys, and the plain ones of student and teachers."""

import copy
import functools
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole.config import Config as RecBoleConfig
from recbole.model.abstract_recommender import AbstractRecommender

from recbole_kd.config.devices import gpu_defaults, record_written_devices, visible_devices
from recbole_kd.config.key_files import Key
from recbole_kd.config.layering import SIDES, Layers
from recbole_kd.config.model_names import (
    is_model_path,
    model_path_keys,
    model_reference,
    resolve_model,
)
from recbole_kd.config.protocol import Protocol, default_negatives
from recbole_kd.config.recbole_schema import model_defaults, model_keys
from recbole_kd.config.recbole_value_checks import check_user_values, check_values
from recbole_kd.config.schema import (
    MODEL_LEVEL_KEYS,
    ONE_SIDE_KEYS,
    is_default,
    kd_keys,
    method_keys,
    resolve_terms,
    student_only_keys,
)
from recbole_kd.config.teacher_entries import TeacherEntry
from recbole_kd.config.teacher_specs import TeacherSpec, check_ensemble_weights, teacher_keys, teacher_labels
from recbole_kd.config.unused_keys import find_unused_keys, refuse_unused_keys
from recbole_kd.config.widths import check_width, resolve_widths
from recbole_kd.config.yaml_loader import read_yaml

# the largest evaluation batch where each pair takes hundreds of numbers: scores pair by pair, or sampled items
PAIRWISE_EVAL_BATCH = 100_000
# keys of the data that decide the shape of a model's weights: position embeddings are as long as its sequences
_SHAPE_KEYS = {"MAX_ITEM_LIST_LENGTH"}
# what a Config has beside a RecBole Config
_OWN_ATTRIBUTES = ("method", "teachers", "unused_keys", "choices")


@functools.cache
def _recbole_defaults(file: str, modified: int) -> dict[str, Any]:
    """The keys in a YAML file of RecBole's. Parsing takes longer than the rest of a Config, so a file is parsed once.

    Args:
        file: the file.
        modified: when it was modified, in nanoseconds: a changed file is parsed again.
    """
    return read_yaml(file)


class ModelConfig(RecBoleConfig):
    """RecBole's Config of one model, over defaults that go before RecBole's.

    It never reads ``sys.argv``, and never evaluates a string.

    Args:
        model: a RecBole model's name, or ``package.module:Class``.
        dataset: the dataset's name.
        defaults: keys that override RecBole's YAML files.
        settings: keys that override all of these.
    """

    def __init__(self, model: str, dataset: str, defaults: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        self._defaults = dict(defaults)
        self._model_yaml = copy.deepcopy(model_defaults(model)) if is_model_path(model) else {}
        super().__init__(
            resolve_model(model) if is_model_path(model) else model,
            dataset,
            config_dict={**settings, **model_path_keys(model)},
        )
        # needed while RecBole's constructor runs only: what stays is written into every checkpoint
        del self._defaults, self._model_yaml

    def _load_cmd_line(self) -> dict[str, Any]:
        return {}

    def _load_variable_config_dict(self, config_dict: Mapping[str, Any]) -> dict[str, Any]:
        return dict(config_dict)  # typed already; RecBole would evaluate the strings, paths among them

    def _update_internal_config_dict(self, file: str) -> dict[str, Any] | None:
        content = copy.deepcopy(_recbole_defaults(file, os.stat(file).st_mtime_ns))
        self.internal_config_dict.update(content)
        if Path(file).name == "overall.yaml":  # RecBole reads a model's own file next
            self.internal_config_dict.update(self._model_yaml)
        return content

    def _load_internal_config_dict(self, model: str, model_class: type[AbstractRecommender], dataset: str) -> None:
        super()._load_internal_config_dict(model, model_class, dataset)
        self.internal_config_dict.update(self._defaults | gpu_defaults())

    def _init_device(self) -> None:
        before = visible_devices()
        super()._init_device()
        record_written_devices(before)


class Config(ModelConfig):
    """The student's RecBole Config; ``config[key]`` also answers for the keys of the method.

    ``model`` is the student's name and ``kd_method`` the method's, because RecBole chooses the dataset, the loader and
    the trainer by ``config["model"]``.

    Args:
        layers: what the user requests.
        checkpoints: for each teacher the config in the checkpoint that is given for it, a dict, or None.

    Attributes:
        method: the method's name.
        teachers: a TeacherSpec for each teacher.
        unused_keys: the keys that are accepted and change nothing, each with a sentence.
        choices: sentences for the log about what was chosen for the user.

    Raises:
        KDError: a value out of range, a key on the command line that has no effect.
    """

    method: str
    teachers: tuple[TeacherSpec, ...]
    unused_keys: dict[str, str]
    choices: tuple[str, ...]

    def __init__(self, layers: Layers, checkpoints: Sequence[Mapping[str, Any] | None] | None = None) -> None:
        self.method = layers.method
        checkpoints = checkpoints or [None] * len(layers.teachers)
        models = _teacher_models(layers, checkpoints)
        self.unused_keys = layers.notes | find_unused_keys(layers, (layers.student_model, models), checkpoints)
        self.choices = layers.choices
        refuse_unused_keys(self.unused_keys, layers.cli_keys)
        student_width, teacher_widths = resolve_widths(layers, models, checkpoints)
        for keys in (layers.plain, layers.block("student"), layers.block("teacher")):
            check_user_values(keys)
        for entry in layers.teachers:
            check_user_values(entry.keys)

        keys = method_keys(layers.method, resolve_terms(layers.method, layers.plain.get("terms")))
        defaults = _defaults_of(keys, layers)
        protocol = Protocol.of(layers, models, checkpoints)
        names = {
            "kd_method": layers.method,
            "student_model": layers.student_model,
            **teacher_keys(layers.teachers, models),
        }
        settings = {**layers.plain, **layers.block("student"), **names}
        super().__init__(
            layers.student_model,
            layers.dataset,
            {**_with_pairwise_batches(layers.student_model, defaults), **protocol.student, **student_width},
            settings,
        )
        for name, key in keys.items():
            key.check(self[name])

        # learning_rate is the student's, where a method has its own default for it
        shared = {name: value for name, value in defaults.items() if name not in kd_keys() | student_only_keys()}
        configs = [
            _teacher_config(
                layers, entry, model, checkpoint or {}, {**shared, **protocol.teacher(model, self), **width}
            )
            for entry, model, checkpoint, width in zip(
                layers.teachers, models, checkpoints, teacher_widths, strict=True
            )
        ]
        self.choices += protocol.choices(self, [config for config in configs if config is not None])
        labels = teacher_labels(layers.teachers, models)
        self.teachers = tuple(map(TeacherSpec, layers.teachers, labels, configs))
        self._check(keys, shared)

    def _check(self, keys: Mapping[str, Key], shared: Mapping[str, Any]) -> None:
        """Check the values of all sides. Raises KDError."""
        check_ensemble_weights(self["ensemble_weights"], self.teachers)
        configs = [teacher.config for teacher in self.teachers if teacher.config is not None]
        for config in configs:
            for name in [*shared, *(key for key in ONE_SIDE_KEYS if config[key] is not None)]:
                keys[name].check(config[name])
        for side, config in (("student", self), *(("teacher", config) for config in configs)):
            check_values(config)
            check_width(side, config)

    @property
    def teacher(self) -> RecBoleConfig | None:
        """The plain RecBole Config of the teacher, of the first where there are several."""
        return self.teachers[0].config

    def warn_unused_keys(self) -> None:
        """Log what was chosen for the user, and a warning for each key that changes nothing."""
        logger = logging.getLogger()
        for choice in self.choices:
            logger.info(choice)
        for note in self.unused_keys.values():
            logger.warning(note)


def plain_config(config: RecBoleConfig) -> RecBoleConfig:
    """A RecBole Config without our keys and attributes: what is saved, and what a plain run is given.

    The keys in MODEL_LEVEL_KEYS stay where they are set: RecBole does not read them.
    """
    removed = kd_keys() | {"kd_method", *SIDES}

    def stays(key: str, value: Any) -> bool:
        return key not in removed or (key in MODEL_LEVEL_KEYS and not is_default(key, value))

    plain = object.__new__(RecBoleConfig)
    for name, value in vars(config).items():
        if name in _OWN_ATTRIBUTES:
            continue
        if name.endswith("config_dict"):
            value = {key: setting for key, setting in value.items() if stays(key, setting)}
        plain.__dict__[name] = value
    return plain


def without_wandb(config: RecBoleConfig) -> RecBoleConfig:
    """A copy of a Config without Weights & Biases: a run there shows one training, the distilled student's."""
    silenced = copy.copy(config)
    silenced.final_config_dict = {**config.final_config_dict, "log_wandb": False}
    return silenced


def _teacher_models(layers: Layers, checkpoints: Sequence[Mapping[str, Any] | None]) -> list[str | None]:
    """Each teacher's model: its checkpoint's, else the one that is named, else the student's; None for scores."""
    models: list[str | None] = []
    for entry, checkpoint in zip(layers.teachers, checkpoints, strict=True):
        named = model_reference(checkpoint) if checkpoint and checkpoint.get("model") else entry.model
        models.append(named or (None if entry.files else layers.student_model))
    return models


def _defaults_of(keys: Mapping[str, Key], layers: Layers) -> dict[str, Any]:
    """The defaults of the method's keys; smaller evaluation batches where sampled items are ranked."""
    defaults = {name: key.default for name, key in keys.items()}
    if _ranks_samples(layers.plain.get("eval_args")):
        defaults["eval_batch_size"] = min(defaults["eval_batch_size"], PAIRWISE_EVAL_BATCH)
    return defaults


def _with_pairwise_batches(model: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults, with smaller evaluation batches for a model that scores pair by pair."""
    if resolve_model(model).full_sort_predict is not AbstractRecommender.full_sort_predict:
        return dict(defaults)
    return {**defaults, "eval_batch_size": min(defaults["eval_batch_size"], PAIRWISE_EVAL_BATCH)}


def _ranks_samples(eval_args: Any) -> bool:
    """Whether a part is ranked against sampled items, as ``mode: uni100`` requests."""
    mode = eval_args.get("mode") if isinstance(eval_args, dict) else None
    modes = mode.values() if isinstance(mode, dict) else [mode]
    return any(str(value).startswith(("uni", "pop")) for value in modes)


def _teacher_config(
    layers: Layers, entry: TeacherEntry, model: str | None, checkpoint: Mapping[str, Any], defaults: Mapping[str, Any]
) -> RecBoleConfig | None:
    """The plain Config of one teacher, None for a file of scores.

    The model's keys in its checkpoint override the entry's keys, those the block's, those the keys of all sides.
    """
    if model is None:
        return None
    of_student = student_only_keys(layers.student_model, model)
    side_keys = {
        **layers.block("teacher"),
        **entry.keys,
        **{key: value for key, value in checkpoint.items() if key in model_keys(model) | _SHAPE_KEYS},
    }
    settings = {key: value for key, value in layers.plain.items() if key not in of_student} | side_keys
    negatives = default_negatives(model, side_keys)
    if negatives and "train_neg_sample_args" not in side_keys:  # a plain key is for the sides that draw negatives
        settings.pop("train_neg_sample_args", None)
    defaults = {**_with_pairwise_batches(model, defaults), **negatives}
    # a copy, because RecBole completes nested values in place
    return without_wandb(plain_config(ModelConfig(model, layers.dataset, defaults, copy.deepcopy(settings))))
