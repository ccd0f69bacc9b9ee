"""RecBole's Config for the student, with the method's keys in it, and the plain ones of student and teacher."""

import copy
import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path

from recbole.config import Config as RecBoleConfig
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.utils import get_model

from recbole_kd.config.keys import (
    OF_MODELS,
    ONE_SIDE,
    KDError,
    chosen_terms,
    keys_of,
    model_keys,
    our_keys,
    student_only_keys,
    unset,
)
from recbole_kd.config.layers import SIDES, Layers
from recbole_kd.config.reach import check_idle, idle_keys
from recbole_kd.config.teachers import Entry, as_keys
from recbole_kd.config.values import check_asked, check_values

STUDENT_WIDTH, RATIO = 20, 10
NO_WIDTH = ("DMF", "DiffRec", "LDiffRec")  # their embedding_size is that of other features, or of a diffusion's step
VISIBLE = "CUDA_VISIBLE_DEVICES"
PAIRS = 100_000  # evaluated at once where each takes hundreds of numbers: pair by pair, or against sampled items


@dataclass(frozen=True)
class Plan:
    """A teacher that a run will have.

    Attributes:
        entry: what the user asked for.
        label: what it is called in tables and sentences.
        config: its plain RecBole Config; None of a file of scores.
    """

    entry: Entry
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
        keys = keys_of(layers.method, chosen_terms(layers.method, layers.plain.get("terms")))
        models = [
            (theirs or {}).get("model") or entry.model or (None if entry.scores else layers.student_model)
            for entry, theirs in zip(layers.teachers, found, strict=True)
        ]
        self.idle = layers.notes | idle_keys(layers, (layers.student_model, models), found)
        check_idle(self.idle, layers.said)
        student_width, widths = _widths(layers, models, found)
        defaults = {name: key.default for name, key in keys.items()}
        ones = our_keys() | student_only_keys()  # learning_rate, where a method has a rate of its own
        shared = {name: value for name, value in defaults.items() if name not in ones}
        own = {"kd_method": layers.method, "student_model": layers.student_model, **_asked(layers.teachers, models)}

        for asked in (layers.plain, layers.of("student"), layers.of("teacher"), *(one.keys for one in layers.teachers)):
            check_asked(asked)
        if _sampled(layers.plain.get("eval_args")):
            shared["eval_batch_size"] = defaults["eval_batch_size"] = min(defaults["eval_batch_size"], PAIRS)
        self._below = {**defaults, **student_width}
        super().__init__(
            layers.student_model, layers.dataset, config_dict={**layers.plain, **layers.of("student"), **own}
        )
        for name, key in keys.items():
            key.check(self[name])

        labels = _labels(layers.teachers, models)
        self.teachers = tuple(
            Plan(entry, label, _teacher_config(layers, entry, model, theirs or {}, {**shared, **width}))
            for entry, label, model, theirs, width in zip(layers.teachers, labels, models, found, widths, strict=True)
        )
        _check_weights(self["ensemble_weights"], self.teachers)
        configs = [plan.config for plan in self.teachers if plan.config is not None]
        for config in configs:
            for name in shared | {key: config[key] for key in ONE_SIDE if config[key] is not None}:
                keys[name].check(config[name])
        for side, config in (("student", self), *(("teacher", config) for config in configs)):
            check_values(config)
            _check_width(side, config)

    @property
    def teacher(self):
        """The plain RecBole Config of the teacher, of the first where there are several."""
        return self.teachers[0].config

    def name_idle(self):
        """Name in the log the keys that change nothing."""
        for note in self.idle.values():
            logging.getLogger().warning(note)

    def _load_cmd_line(self):
        return {}

    def _load_variable_config_dict(self, config_dict):
        return dict(config_dict)  # typed already; RecBole would evaluate the strings, paths among them

    def _load_internal_config_dict(self, model, model_class, dataset):
        super()._load_internal_config_dict(model, model_class, dataset)
        self.internal_config_dict.update(self._below | _gpus_named())

    def _init_device(self):
        before = _named()
        super()._init_device()
        _written.update(value=os.environ[VISIBLE], before=before)


# RecBole writes gpu_id into the environment: what it wrote there, and what stood there before
_written: dict[str, str | None] = {}


def _named():
    """The GPUs that the environment names, a cluster's for one, and not a Config before this one; or None."""
    visible = os.environ.get(VISIBLE)
    return _written["before"] if _written and visible == _written["value"] else visible


def _gpus_named():
    """The default of gpu_id where the environment names GPUs: RecBole would take its own, 0, instead."""
    named = _named()
    return {} if named is None else {"gpu_id": named}


class _Layered(Config):
    """RecBole's Config of one model over given lower and upper layers."""

    def __init__(self, model, dataset, below, above):
        self._below = below
        RecBoleConfig.__init__(self, model, dataset, config_dict=above)


def plain_config(config):
    """A RecBole Config with nothing of ours in it: what is saved, and what a plain run is given.

    Only the keys OF_MODELS stay, where they are set: RecBole does not look at them.
    """
    ours = our_keys() | {"kd_method", *SIDES}

    def stays(key, value):
        return key not in ours or (key in OF_MODELS and not unset(key, value))

    plain = object.__new__(RecBoleConfig)
    for name, value in vars(config).items():
        if name in ("_below", "method", "teachers", "idle"):
            continue
        plain.__dict__[name] = (
            {key: inner for key, inner in value.items() if stays(key, inner)} if name.endswith("config_dict") else value
        )
    return plain


def silent(config):
    """The same Config without Weights & Biases, where a run has room for one training, the distilled student's."""
    found = copy.copy(config)
    found.final_config_dict = {**config.final_config_dict, "log_wandb": False}
    return found


def _sampled(eval_args):
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
    above = copy.deepcopy({**plain, **layers.of("teacher"), **entry.keys, **fixed})  # RecBole fills up what is nested
    if get_model(model).full_sort_predict is AbstractRecommender.full_sort_predict:
        below = {**below, "eval_batch_size": min(below["eval_batch_size"], PAIRS)}
    return silent(plain_config(_Layered(model, layers.dataset, below, above)))


def _asked(entries, models):
    """The keys that say who teaches, as they stand in the config."""
    names = models[0] if len(models) == 1 else [model for model in models if model] or None
    return {"teacher_path": None, "teachers": None, **as_keys(entries), "teacher_model": names}


def _check_weights(weights, teachers):
    if weights is None:
        return
    numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) and 0 < one < math.inf for one in weights)
    if len(teachers) < 2 or len(weights) != len(teachers) or not numbers:
        raise KDError(
            f"ensemble_weights={weights!r} is out of range: it takes a number above 0 for each of several teachers, "
            f"and there {'is one' if len(teachers) == 1 else f'are {len(teachers)}'}"
        )


def _labels(entries, models):
    """The model's name, or the file's; where that is not enough to tell them apart, with what does."""
    short = [model or Path(str(entry.scores)).name for entry, model in zip(entries, models, strict=True)]
    found = []
    for entry, name in zip(entries, short, strict=True):
        more = [f"{key}={value}" for key, value in entry.keys.items()] + ([Path(entry.path).name] if entry.path else [])
        found.append(" ".join([name, *more]) if short.count(name) > 1 else name)
    return found


def _widths(layers, models, found):
    """Width keys of the student, a dict, and of each teacher: whichever is given first sets the others at ten to one,
    a teacher's own before the student's.
    """
    own = layers.of("student")
    student = own.get("embedding_size", layers.plain.get("embedding_size"))
    block = layers.of("teacher").get("embedding_size")
    given = [
        None if model in NO_WIDTH else (theirs or {}).get("embedding_size", entry.keys.get("embedding_size", block))
        for entry, model, theirs in zip(layers.teachers, models, found, strict=True)
    ]
    for side, width in (("student", student), *(("teacher", width) for width in given)):
        if width is not None and (not isinstance(width, int) or isinstance(width, bool) or width < 1):
            raise KDError(f"{side}.embedding_size={width!r} is out of range: it takes an int in [1, inf)")
    if student is None:
        first = next((width for width in given if width is not None), None)
        student = STUDENT_WIDTH if first is None else max(1, first // RATIO)
    teachers = [student * RATIO if width is None else width for width in given]
    return _width_keys(layers.student_model, student), [
        _width_keys(model, width) if model else {} for model, width in zip(models, teachers, strict=True)
    ]


def _width_keys(model, width):
    known = model_keys(model)
    if "embedding_size" not in known or model in NO_WIDTH:
        return {}
    keys = {"embedding_size": width}
    if "hidden_size_list" in known:  # NGCF: as in RecBole's YAML, three layers of the embedding's width
        keys["hidden_size_list"] = [width] * 3
    return keys


def width_of(config):
    """The length of a model's vectors by its ``embedding_size``; None of a model that has no one such length."""
    return None if config["model"] in NO_WIDTH else config["embedding_size"]


def _check_width(side, config):
    width = config["embedding_size"]
    if width is None and "embedding_size" not in model_keys(config["model"]):
        return
    if not isinstance(width, int) or width < 1:
        raise KDError(f"{side}.embedding_size={width!r} is out of range: it takes an int in [1, inf)")
