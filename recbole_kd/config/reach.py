"""Known keys that would change nothing in a run: refused on the command line, noted where a file has them."""

import functools
import inspect
import re
from pathlib import Path

from recbole.utils import get_model

from recbole_kd.config.keys import (
    ONE_SIDE,
    RECBOLE,
    KDError,
    chosen_terms,
    keys_of,
    method_names,
    model_keys,
    our_keys,
    student_only_keys,
)

OF_EVERY_MODEL = {"learner", "learning_rate", "weight_decay", *ONE_SIDE}
OF_TRAINING = OF_EVERY_MODEL | {
    "epochs", "train_batch_size", "eval_step", "stopping_step", "clip_grad_norm", "enable_amp", "train_neg_sample_args",
}  # fmt: skip
OWN = "teachers: "
OF_THE_STUDENT = {
    "checkpoint_dir": "a teacher is kept below the checkpoint_dir of the run",
    "log_wandb": "a run of Weights & Biases shows the distilled student's training alone",
}
SHARED = ("config", "data", "evaluator", "sampler", "utils")  # folders of RecBole's that every model goes through


def idle_keys(layers, models, found):
    """The keys that reach nothing, by the name the user gives them, each with a sentence that says so.

    Args:
        layers: what the user asked for.
        models: the student's model and each teacher's, None of a file of scores.
        found: for each teacher the config in its checkpoint, a dict, or None.
    """
    student, teachers = models
    known = keys_of(layers.method, chosen_terms(layers.method, layers.plain.get("terms")))
    idle = {
        key: f"{key} is a key of {' and '.join(_owners(key))}, which {layers.method} is not made of: leave it out"
        for key in layers.plain
        if key in our_keys() and key not in known and key != "terms"
    }
    own = {**{key: key for key in layers.plain}, **{f"student.{key}": key for key in layers.of("student")}}
    for name, key in own.items():
        if not _reads(student, key):
            idle[name] = f"{name} reaches the student, and {student} has no such key: {_instead(key, teachers)}"
    if layers.plain.get("dataloaders_save_path"):
        idle["dataloaders_save_path"] = (
            "dataloaders_save_path changes nothing, because each training has loaders of its own: leave it out"
        )
    those = list(zip(layers.teachers, teachers, found, strict=True))
    for key, value in layers.of("teacher").items():
        reasons = [_in_vain(key, value, *one) for one in those]
        if all(reasons):
            idle[f"teacher.{key}"] = f"teacher.{key} changes nothing, because {reasons[0]}: leave it out"
    for one in those:
        for key, value in one[0].keys.items():
            if reason := _in_vain(key, value, *one):
                idle[f"{OWN}{key}"] = f"{key} in teachers changes nothing, because {reason}: leave it out"
    return idle


def check_idle(idle, said):
    """Raise KDError for the first idle key that the command line names, or an entry of ``teachers`` has for its own;
    ``said``: all the names on the command line.
    """
    for name, sentence in idle.items():
        if name in said or name.startswith(OWN):
            raise KDError(sentence)


def _owners(key):
    return [name for name in method_names() if key in keys_of(name, (name,))]


def _instead(key, teachers):
    having = next((model for model in teachers if model is not None and key in model_keys(model)), None)
    return f"write teacher.{key} for the teacher {having}" if having else "leave it out"


def _in_vain(key, value, entry, model, theirs):
    """Why a key changes nothing of one teacher, or None; ``theirs``: the config in its checkpoint, where it has one."""
    if entry.scores:
        return "a file of scores has no settings"
    if key in OF_THE_STUDENT:
        return OF_THE_STUDENT[key]
    if not _reads(model, key):
        return f"{model} has no such key"
    if theirs is not None and key in OF_TRAINING:
        return "a teacher that is given is not trained"
    if theirs is not None and key in model_keys(model) and key in theirs and theirs[key] != value:
        return f"the teacher's checkpoint has {theirs[key]}"
    return None


def _reads(model, key):
    """Whether a key can mean something to a model; those that are no model's own always can."""
    if key not in student_only_keys() or key in OF_EVERY_MODEL:
        return True
    return key in model_keys(model) or _in_source(key, _sources(model)) or _in_source(key, _shared())


def _in_source(key, text):
    return re.search(rf"""config(?:_dict)?(?:\[|\.get\()\s*["']{re.escape(key)}["']""", text) is not None


@functools.cache
def _sources(model):
    """The text of RecBole's files that a model's class and those above it stand in."""
    kinds = (kind for kind in get_model(model).__mro__ if kind.__module__.startswith("recbole."))
    return "".join(Path(file).read_text(encoding="utf-8") for file in {inspect.getfile(kind) for kind in kinds})


@functools.cache
def _shared():
    files = (file for folder in SHARED for file in (RECBOLE / folder).rglob("*.py") if file.stem != "argument_list")
    return "".join(file.read_text(encoding="utf-8") for file in files)
