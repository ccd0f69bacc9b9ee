"""The RecBole Config of the student, with the method's keys, and the plain ones of student and teachers."""

import copy
import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path

from recbole.config import Config as RecBoleConfig
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.utils import get_model

from recbole_kd.config.devices import VISIBLE_DEVICES, _written, gpu_defaults, visible_devices
from recbole_kd.config.layering import SIDES, Layers
from recbole_kd.config.recbole_schema import model_keys
from recbole_kd.config.schema import (
    MODEL_LEVEL_KEYS,
    ONE_SIDE_KEYS,
    is_default,
    kd_keys,
    method_keys,
    resolve_terms,
    student_only_keys,
)
from recbole_kd.config.teacher_entries import TeacherEntry, entries_to_keys
from recbole_kd.config.unused_keys import find_unused_keys, refuse_unused_keys
from recbole_kd.config.value_checks import check_user_values, check_values
from recbole_kd.config.widths import check_width, resolve_widths
from recbole_kd.errors import KDError

PAIRWISE_EVAL_BATCH = (
    100_000  # evaluated at once where each takes hundreds of numbers: pair by pair, or against sampled items
)


@dataclass(frozen=True)
class TeacherSpec:
    """A teacher that a run will have.

    Attributes:
        entry: what the user asked for.
        label: what it is called in tables and sentences.
        config: its plain RecBole Config; None of a file of scores.
    """

    entry: TeacherEntry
    label: str
    config: RecBoleConfig | None


class Config(RecBoleConfig):
    """The student's RecBole Config; ``config[key]`` also answers for the keys of the method.

    ``model`` is the student's name and ``kd_method`` the method's, because RecBole chooses the dataset, the loader and
    the trainer by ``config["model"]``. It never looks at ``sys.argv``.

    Args:
        layers: what the user asked for.
        found: for each teacher of it the config of the checkpoint that is given, a dict, or None.

    Attributes:
        method: the method's name.
        teachers: a Plan for each teacher.
        idle: the keys that are taken and change nothing, each with a sentence that says so.

    Raises:
        KDError: a value out of range, a key on the command line that reaches nothing.
    """

    def __init__(self, layers: Layers, found=None):
        self.method = layers.method
        found = found or [None] * len(layers.teachers)
        keys = method_keys(layers.method, resolve_terms(layers.method, layers.plain.get("terms")))
        models = [
            (theirs or {}).get("model") or entry.model or (None if entry.scores else layers.student_model)
            for entry, theirs in zip(layers.teachers, found, strict=True)
        ]
        self.unused_keys = layers.notes | find_unused_keys(layers, (layers.student_model, models), found)
        refuse_unused_keys(self.unused_keys, layers.cli_keys)
        student_width, widths = resolve_widths(layers, models, found)
        defaults = {name: key.default for name, key in keys.items()}
        ones = kd_keys() | student_only_keys()  # learning_rate, where a method has a rate of its own
        shared = {name: value for name, value in defaults.items() if name not in ones}
        own = {
            "kd_method": layers.method,
            "student_model": layers.student_model,
            **_teacher_keys(layers.teachers, models),
        }

        for asked in (
            layers.plain,
            layers.block("student"),
            layers.block("teacher"),
            *(one.keys for one in layers.teachers),
        ):
            check_user_values(asked)
        if _ranks_samples(layers.plain.get("eval_args")):
            shared["eval_batch_size"] = defaults["eval_batch_size"] = min(
                defaults["eval_batch_size"], PAIRWISE_EVAL_BATCH
            )
        self._below = {**defaults, **student_width}
        super().__init__(
            layers.student_model, layers.dataset, config_dict={**layers.plain, **layers.block("student"), **own}
        )
        for name, key in keys.items():
            key.check(self[name])

        labels = _teacher_labels(layers.teachers, models)
        self.teachers = tuple(
            TeacherSpec(entry, label, _teacher_config(layers, entry, model, theirs or {}, {**shared, **width}))
            for entry, label, model, theirs, width in zip(layers.teachers, labels, models, found, widths, strict=True)
        )
        _check_weights(self["ensemble_weights"], self.teachers)
        configs = [plan.config for plan in self.teachers if plan.config is not None]
        for config in configs:
            for name in shared | {key: config[key] for key in ONE_SIDE_KEYS if config[key] is not None}:
                keys[name].check(config[name])
        for side, config in (("student", self), *(("teacher", config) for config in configs)):
            check_values(config)
            check_width(side, config)

    @property
    def teacher(self):
        """The plain RecBole Config of the teacher, of the first where there are several."""
        return self.teachers[0].config

    def warn_unused_keys(self):
        """Name in the log the keys that change nothing."""
        for note in self.unused_keys.values():
            logging.getLogger().warning(note)

    def _load_cmd_line(self):
        return {}

    def _load_variable_config_dict(self, config_dict):
        return dict(config_dict)  # typed already; RecBole would evaluate the strings, paths among them

    def _load_internal_config_dict(self, model, model_class, dataset):
        super()._load_internal_config_dict(model, model_class, dataset)
        self.internal_config_dict.update(self._below | gpu_defaults())

    def _init_device(self):
        before = visible_devices()
        super()._init_device()
        _written.update(value=os.environ[VISIBLE_DEVICES], before=before)


class _TeacherConfig(Config):
    """RecBole's Config of one model over given lower and upper layers."""

    def __init__(self, model, dataset, below, above):
        self._below = below
        RecBoleConfig.__init__(self, model, dataset, config_dict=above)


def plain_config(config):
    """A RecBole Config with nothing of ours in it: what is saved, and what a plain run is given.

    Only the keys OF_MODELS stay, where they are set: RecBole does not look at them.
    """
    ours = kd_keys() | {"kd_method", *SIDES}

    def stays(key, value):
        return key not in ours or (key in MODEL_LEVEL_KEYS and not is_default(key, value))

    plain = object.__new__(RecBoleConfig)
    for name, value in vars(config).items():
        if name in ("_below", "method", "teachers", "unused_keys"):
            continue
        plain.__dict__[name] = (
            {key: inner for key, inner in value.items() if stays(key, inner)} if name.endswith("config_dict") else value
        )
    return plain


def without_wandb(config):
    """The same Config without Weights & Biases, where a run has room for one training, the distilled student's."""
    found = copy.copy(config)
    found.final_config_dict = {**config.final_config_dict, "log_wandb": False}
    return found


def _ranks_samples(eval_args):
    """Whether a part is ranked against sampled items, as ``mode: uni100`` asks for."""
    mode = eval_args.get("mode") if isinstance(eval_args, dict) else None
    modes = mode.values() if isinstance(mode, dict) else [mode]
    return any(str(one).startswith(("uni", "pop")) for one in modes)


def _teacher_config(layers, entry, model, found, below):
    """The plain Config of one teacher: a checkpoint's own keys over the entry's over the block's over the shared."""
    if model is None:
        return None
    plain = {key: value for key, value in layers.plain.items() if key not in student_only_keys()}
    fixed = {key: value for key, value in found.items() if key in model_keys(model)}
    above = copy.deepcopy(
        {**plain, **layers.block("teacher"), **entry.keys, **fixed}
    )  # RecBole fills up what is nested
    if get_model(model).full_sort_predict is AbstractRecommender.full_sort_predict:
        below = {**below, "eval_batch_size": min(below["eval_batch_size"], PAIRWISE_EVAL_BATCH)}
    return without_wandb(plain_config(_TeacherConfig(model, layers.dataset, below, above)))


def _teacher_keys(entries, models):
    """The keys that say who teaches, as they stand in the config."""
    names = models[0] if len(models) == 1 else [model for model in models if model] or None
    return {"teacher_path": None, "teachers": None, **entries_to_keys(entries), "teacher_model": names}


def _check_weights(weights, teachers):
    if weights is None:
        return
    numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) and 0 < one < math.inf for one in weights)
    if len(teachers) < 2 or len(weights) != len(teachers) or not numbers:
        raise KDError(
            f"ensemble_weights={weights!r} is out of range: it takes a number above 0 for each of several teachers, "
            f"and there {'is one' if len(teachers) == 1 else f'are {len(teachers)}'}"
        )


def _teacher_labels(entries, models):
    """The model's name, or the file's; where that is not enough to tell them apart, with what does."""
    short = [model or Path(str(entry.scores)).name for entry, model in zip(entries, models, strict=True)]
    found = []
    for entry, name in zip(entries, short, strict=True):
        more = [f"{key}={value}" for key, value in entry.keys.items()] + ([Path(entry.path).name] if entry.path else [])
        found.append(" ".join([name, *more]) if short.count(name) > 1 else name)
    return found
