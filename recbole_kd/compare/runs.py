"""One run of a comparison: a teacher, a student alone or a method on one split, trained and measured into one file."""

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from recbole_kd.compare.models import members, trained
from recbole_kd.compare.plan import ALONE, TEACHER
from recbole_kd.compare.tail import popularity_recall
from recbole_kd.config import plain_config
from recbole_kd.quick_start import make_config
from recbole_kd.teacher import fit, parts
from recbole_kd.teacher.checkpoint import read_checkpoint, write_whole
from recbole_kd.teacher.measure import evaluate, exact, latencies, size, versions
from recbole_kd.teacher.prepare import given_teachers
from recbole_kd.teacher.resume import NonFiniteLoss


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
    write_whole(file, (json.dumps(row, indent=1) + "\n").encode())


def speed_file(file):
    """Where the milliseconds of a dataset's models are; ``file``: that of any of its runs."""
    return str(Path(file).parent.parent / "speed.json")


def execute(run):
    """Train and measure one run and write its file; a divergence is written there too.

    Returns:
        None, or one line that says why there is no file.
    """
    quiet()
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
    data = parts.split(plain_config(config))
    own, model, file = trained(config, run.name, data)
    valid, test = evaluate(exact(own), model, data)
    mark = (fit.complete(file) if file else None) or {}
    given = given_teachers(config, data).values() if run.name == TEACHER else ()
    parameters, nbytes = (sum(part) for part in zip((0, 0), *map(size, members(model)), strict=True))
    return {  # milliseconds are taken of all models side by side, when nothing else runs
        "test_result": test, "valid_result": valid, "parameters": parameters, "bytes": nbytes,
        "checkpoint": file and os.path.relpath(file, config["checkpoint_dir"]),
        "epochs": mark.get("epochs"), "seconds": mark.get("seconds"), "best_epoch": _epoch(file),
        "valid_metric": own["valid_metric"].lower(), "valid_scores": mark.get("valid_scores", []),
        "k": max(own["topk"]), "popularity": popularity_recall(own, model, data),
        "users": data.dataset.user_num - 1, "items": data.dataset.item_num - 1,
        "interactions": {part: len(pairs) for part, pairs in data.pairs.items()},
        "split": data.fingerprint.whole, "versions": versions(),
        "warnings": [teacher.warning for teacher in given if teacher.warning],
    }  # fmt: skip


def _epoch(file):
    if file is None:
        return None
    epoch = read_checkpoint(file).get("epoch")
    return epoch if isinstance(epoch, int) else None


def time_models(runs, file, key):
    """Milliseconds a user of the models of one dataset and seed, in turns, into one file. Returns as ``execute``."""
    quiet()
    try:
        configs = {run.name: make_config(config_dict=run.keys) for run in runs}
        data = parts.split(plain_config(configs[runs[0].name]))
        models = {run.name: members(trained(configs[run.name], run.name, data)[1]) for run in runs}
        users, k = torch.arange(1, data.dataset.user_num), max(configs[runs[0].name]["topk"])
        each = {(name, place): one for name, several in models.items() for place, one in enumerate(several)}
        found = latencies(each, users, k)
        speeds = {name: sum(ms for (whose, _), ms in found.items() if whose == name) for name in models}
        write_row(file, {"key": key, "ms_per_user": speeds})
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return None


def quiet():
    """RecBole's log is a line an epoch and run: the comparison shows one line of its own."""
    logging.disable(logging.INFO)
