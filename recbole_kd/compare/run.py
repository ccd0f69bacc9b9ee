"""One run of a comparison, and the file that it leaves."""

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import filelock
import torch

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.compare.plan import ALONE, ENDS, TEACHER
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.fingerprint import sha256_of
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import NonFiniteLoss
from recbole_kd.evaluation.cost import latencies, model_size
from recbole_kd.evaluation.list_recommender import ListRecommender
from recbole_kd.evaluation.metrics import evaluate, unrounded
from recbole_kd.evaluation.popularity_recall import popularity_recall
from recbole_kd.evaluation.result import versions
from recbole_kd.experiment import Experiment, make_config
from recbole_kd.io import atomic_write
from recbole_kd.teacher.provider import read_given_teachers
from recbole_kd.trainer.cache_key import outcome_settings
from recbole_kd.trainer.training import read_done_marker


def load_trained(config, name, data):
    """The model of a run of this name on its split, trained or found: (plain Config, model, file or None)."""
    student = plain_config(config)
    if name == ALONE:
        with _config_lock(student):
            return Experiment(config, data).train_alone()
    experiment = Experiment(config, data)
    teachers, knowledge = experiment.teachers, experiment.knowledge
    if name not in ENDS:
        with _config_lock(config):
            return experiment.distil()
    if name == TEACHER and len(teachers) == 1 and teachers[0].model is not None:
        return teachers[0].config, teachers[0].model, teachers[0].file
    # several, a file, or one with its neighbours: as the knowledge ranks
    ranked = ListRecommender(knowledge, student, data.train._dataset)
    ranked.members = [teacher.model for teacher in teachers if teacher.model is not None]
    return student, ranked, None


def _config_lock(config):
    """What two entries of a plan train alike, a key beside its default, say, is trained by one of them."""
    key = sha256_of(json.dumps(outcome_settings(config.final_config_dict), sort_keys=True))[:16]
    return filelock.FileLock(Path(config["checkpoint_dir"]) / f".{key}.lock")


def teachers_of(config):
    """What says who teaches: of each teacher its plain settings and what is in the files that it is, and of several how
    they are one.
    """
    found = []
    for plan in config.teachers:
        files = [file for file in (plan.entry.path, plan.entry.scores, *plan.entry.states) if file]
        settings = plan.config.final_config_dict if plan.config else {}
        found.append({**settings, "files": [_content(file) for file in files]} if files else settings)
    if len(found) > 1:
        found.append({key: config[key] for key in ("ensemble", "ensemble_weights", "neighbour_weight")})
    return found


def _content(file):
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def members(model):
    """The models that are asked where this one is."""
    return getattr(model, "members", [model])


@dataclass(frozen=True, eq=False)
class Run:
    """One model of a comparison: of a dataset, a seed and a name.

    Attributes:
        dataset, seed, name: where it belongs; ``name`` is a method's, "teacher", "student alone" or, of a teacher that
            teaches with them, "with its neighbours".
        method: the method's name, or None of a teacher's or the student alone's.
        own: the keys that are its own.
        keys: all its keys, as run_kd would take them in ``config_dict``.
        file: its JSON.
        key: stands for all that decides its numbers; a file of another key is of an earlier plan.
    """

    dataset: str
    seed: int
    name: str
    method: str | None
    own: dict
    keys: dict
    file: str
    key: str

    @property
    def label(self):
        return f"{self.dataset}, seed {self.seed}, {self.name}"

    @property
    def waits(self):
        """Whether it needs the teacher to be there."""
        return self.name not in (TEACHER, ALONE)

    def row(self):
        """What its file holds, or None where it has not ended."""
        return read_row(self.file, self.key)


def read_row(file, key):
    """The content of a run's file; None where it is not there, damaged, or of other settings."""
    try:
        row = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return row if isinstance(row, dict) and row.get("key") == key else None


def write_row(file, row):
    """A run's file, whole."""
    atomic_write(file, (json.dumps(row, indent=1) + "\n").encode())


def speed_file(file):
    """Where the milliseconds of a dataset's models are; ``file``: that of any of its runs."""
    return str(Path(file).parent.parent / "speed.json")


def execute_run(run):
    """Train and measure one run and write its file; a divergence is written there too.

    Returns:
        None, or one line that says why there is no file.
    """
    silenced()
    try:
        try:
            write_row(run.file, {**_named(run), **_measured(run)})
        except NonFiniteLoss as error:
            give_up(run, " ".join(str(error).split()))
    except Exception as error:  # out of memory, a full disk, a bug: the other runs go on, and a repeat tries it again
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return None


def give_up(run, reason):
    """Write down that a run fails, and will again."""
    write_row(run.file, {**_named(run), "failed": reason})


def _named(run):
    return {
        "key": run.key,
        "dataset": run.dataset,
        "seed": run.seed,
        "name": run.name,
        "method": run.method,
        "keys": run.own,
    }


def _measured(run):
    config = make_config(config_dict=run.keys)
    Path(config["checkpoint_dir"]).mkdir(parents=True, exist_ok=True)
    data = prepare_split(plain_config(config))
    own, model, file = load_trained(config, run.name, data)
    valid, test = evaluate(unrounded(own), model, data)
    mark = (read_done_marker(file) if file else None) or {}
    given = read_given_teachers(config, data).values() if run.name == TEACHER else ()
    parameters, nbytes = (sum(part) for part in zip((0, 0), *map(model_size, members(model)), strict=True))
    return {  # milliseconds are taken of all models side by side, when nothing else runs
        "test_result": test, "valid_result": valid, "parameters": parameters, "bytes": nbytes,
        "checkpoint": file and os.path.relpath(file, config["checkpoint_dir"]),
        "epochs": mark.get("epochs"), "seconds": mark.get("seconds"), "best_epoch": _epoch(file),
        "valid_metric": own["valid_metric"].lower(), "valid_scores": mark.get("valid_scores", []),
        "k": max(own["topk"]), "popularity": popularity_recall(own, model, data),
        "users": data.dataset.user_num - 1, "items": data.dataset.item_num - 1,
        "interactions": {part: len(pairs) for part, pairs in data.pairs.items()},
        "split": data.fingerprint.combined, "versions": versions(),
        "warnings": [teacher.warning for teacher in given if teacher.warning],
    }  # fmt: skip


def _epoch(file):
    if file is None:
        return None
    epoch = read_checkpoint(file).get("epoch")
    return epoch if isinstance(epoch, int) else None


def time_models(runs, file, key):
    """Milliseconds a user of the models of one dataset and seed, in turns, into one file. Returns as ``execute``."""
    silenced()
    try:
        configs = {run.name: make_config(config_dict=run.keys) for run in runs}
        data = prepare_split(plain_config(configs[runs[0].name]))
        models = {run.name: members(load_trained(configs[run.name], run.name, data)[1]) for run in runs}
        users, k = torch.arange(1, data.dataset.user_num), max(configs[runs[0].name]["topk"])
        each = {(name, place): one for name, several in models.items() for place, one in enumerate(several)}
        found = latencies(each, users, k)
        speeds = {name: sum(ms for (whose, _), ms in found.items() if whose == name) for name in models}
        write_row(file, {"key": key, "ms_per_user": speeds})
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return None


def silenced():
    """RecBole's log is a line an epoch and run: the comparison shows one line of its own."""
    logging.disable(logging.INFO)
