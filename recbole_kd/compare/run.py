"""One run of a comparison, and the file that it writes."""

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import filelock
from recbole.config import Config as RecBoleConfig
from recbole.model.abstract_recommender import AbstractRecommender

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.compare.plan import ALONE, REFERENCES, TEACHER, TEST, VALIDATION, make_run_config
from recbole_kd.compare.row_checks import is_run_row
from recbole_kd.config.configurator import Config, plain_config
from recbole_kd.data.fingerprint import sha256_of
from recbole_kd.data.shared_pairs import shared_pairs
from recbole_kd.data.split import Split, prepare_split
from recbole_kd.errors import NonFiniteLoss
from recbole_kd.evaluation.cost import model_size
from recbole_kd.evaluation.metrics import evaluate, evaluate_validation, unrounded
from recbole_kd.evaluation.popularity_recall import popularity_recall
from recbole_kd.evaluation.result import versions
from recbole_kd.evaluation.teacher_recommenders import list_recommender, teacher_recommender
from recbole_kd.experiment import Experiment, TrainedModel
from recbole_kd.io import read_record, write_record
from recbole_kd.teacher.provider import read_given_teachers
from recbole_kd.trainer.cache_key import outcome_settings
from recbole_kd.trainer.training import read_done_marker

SCHEMA_VERSION = 1  # of the run files and of summary.json
RESULT_FIELDS = {TEST: "test_result", VALIDATION: "valid_result"}  # of a run file, by the part that is compared


@dataclass(frozen=True, eq=False)
class Run:
    """One model of a comparison, for one dataset and one seed.

    Attributes:
        dataset: the dataset's name in the plan.
        seed: the seed.
        name: the method's name in the plan, "teacher", "student alone" or "with its neighbours".
        method: the method; None for a teacher and for the student alone.
        entry_keys: the keys that apply to this entry of the plan only.
        keys: all keys, as ``run_kd`` takes them in ``config_dict``.
        file: the JSON file of the run.
        key: a hash of everything that decides the run's numbers. A file with another key belongs to an earlier plan.
        part: the part of the split that is compared, ``test`` or ``validation``.
        metrics: RecBole's names of the metrics that it is measured by.
    """

    dataset: str
    seed: int
    name: str
    method: str | None
    entry_keys: dict[str, Any]
    keys: dict[str, Any]
    file: str
    key: str
    part: str = TEST
    metrics: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The run's name in messages."""
        return f"{self.dataset}, seed {self.seed}, {self.name}"

    @property
    def needs_teacher(self) -> bool:
        """Whether the run can start only after the teacher's run."""
        return self.name not in (TEACHER, ALONE)

    def row(self) -> dict[str, Any] | None:
        """The content of the run's file; None where the run has not ended."""
        return read_row(self.file, self.key)

    def complete_row(self) -> dict[str, Any] | None:
        """As ``row``; None as well where a field is missing, or is not what the run writes."""
        expected = {"dataset": self.dataset, "seed": self.seed, "name": self.name, "method": self.method}
        row = self.row()
        return row if row is not None and is_run_row(row, expected, self.part, self.metrics) else None


class LoadedRun(NamedTuple):
    """The trained model of a run.

    Attributes:
        config: its plain RecBole Config.
        model: the model to evaluate.
        file: its checkpoint; None of a model that has none.
        members: the trained models that it consists of, whose sizes and latencies are added up.
    """

    config: RecBoleConfig
    model: AbstractRecommender
    file: str | None
    members: list[tuple[RecBoleConfig, AbstractRecommender]]


def load_trained(config: Config, name: str, data: Split) -> LoadedRun:
    """The model of a run, trained now or by an earlier run.

    Args:
        config: the run's Config.
        name: the run's name.
        data: the run's split.
    """
    student = plain_config(config)
    experiment = Experiment(config, data)
    if name == ALONE:
        with _training_lock(student):
            return _loaded(experiment.train_alone())
    teachers, knowledge = experiment.teachers, experiment.knowledge
    if name not in REFERENCES:
        with _training_lock(config):
            return _loaded(experiment.distil())
    members = [(teacher.config, teacher.model) for teacher in teachers if teacher.model is not None]
    if name == TEACHER and len(teachers) == 1 and members:
        model = teacher_recommender(teachers[0], knowledge, student, data)
        return LoadedRun(teachers[0].config, model, teachers[0].file, members)
    # several teachers, a file of scores, or a teacher with its neighbours: the lists that are distilled are evaluated
    return LoadedRun(student, list_recommender(knowledge, student, data), None, members)


def _loaded(trained: TrainedModel) -> LoadedRun:
    return LoadedRun(*trained, members=[(trained.config, trained.model)])


def _training_lock(config: RecBoleConfig) -> filelock.BaseFileLock:
    """A lock for entries of a plan that train the same model, so that only one of them trains it."""
    key = sha256_of(json.dumps(outcome_settings(config.final_config_dict), sort_keys=True))[:16]
    return filelock.FileLock(Path(config["checkpoint_dir"]) / f".{key}.lock")


def teachers_of(config: Config) -> list[dict[str, Any]]:
    """The settings that identify the teachers of a run.

    Returns:
        For each teacher the settings of its plain Config, and the hashes of its files where it has any. Several
        teachers are followed by the settings that combine them.
    """
    settings_list = []
    for spec in config.teachers:
        files = [file for file in (spec.entry.path, *spec.entry.files, *spec.entry.states) if file]
        settings = spec.config.final_config_dict if spec.config else {}
        settings_list.append({**settings, "files": [_content_hash(file) for file in files]} if files else settings)
    if len(settings_list) > 1:
        settings_list.append({key: config[key] for key in ("ensemble", "ensemble_weights", "neighbour_weight")})
    return settings_list


def _content_hash(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def read_row(file: Path | str, key: str) -> dict[str, Any] | None:
    """The content of a run's file.

    Files without ``schema_version`` are read as version 1.

    Args:
        file: the file.
        key: the run's key.

    Returns:
        None where the file is missing or damaged, or has another key or another schema version.
    """
    row = read_record(file)
    if row is None or row.get("key") != key or row.get("schema_version", 1) != SCHEMA_VERSION:
        return None
    return row


def write_row(file: Path | str, row: dict[str, Any]) -> None:
    """Write a run's file atomically, with the schema version and the hash of its content."""
    write_record(file, {"schema_version": SCHEMA_VERSION, **row})


def execute_run(run: Run) -> str | None:
    """Train and evaluate one run and write its file. The file of a run that diverged has the reason.

    Returns:
        None, or why there is no file, in one line.
    """
    silence_logging()
    try:
        try:
            write_row(run.file, {**_header(run), **_measured(run)})
        except NonFiniteLoss as error:
            give_up(run, " ".join(str(error).split()))
    except Exception as error:  # any failure, e.g. out of memory or a full disk: other runs continue, a repeat retries
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return None


def give_up(run: Run, reason: str) -> None:
    """Write the file of a run that fails in every repeat, so that it is not tried again."""
    write_row(run.file, {**_header(run), "failed": reason})


def _header(run: Run) -> dict[str, Any]:
    return {
        "key": run.key,
        "dataset": run.dataset,
        "seed": run.seed,
        "name": run.name,
        "method": run.method,
        "keys": run.entry_keys,
    }


def _measured(run: Run) -> dict[str, Any]:
    """Train and evaluate a run. Latencies are measured later, when no run is being trained.

    The file of a run on validation has an empty ``test_result`` and no recall by popularity, since both would evaluate
    the test part.
    """
    config = make_run_config(run.keys)
    Path(config["checkpoint_dir"]).mkdir(parents=True, exist_ok=True)
    data = prepare_split(plain_config(config))
    loaded = load_trained(config, run.name, data)
    is_test = run.part == TEST
    if is_test:
        valid, test = evaluate(unrounded(loaded.config), loaded.model, data)
    else:
        valid, test = evaluate_validation(unrounded(loaded.config), loaded.model, data), {}
    warnings = _warnings(config, data) if run.name == TEACHER else []
    sizes = [model_size(model) for _, model in loaded.members]
    return {
        "test_result": test,
        "valid_result": valid,
        "parameters": sum(parameters for parameters, _ in sizes),
        "bytes": sum(nbytes for _, nbytes in sizes),
        **_training_fields(loaded, config["checkpoint_dir"]),
        "k": max(loaded.config["topk"]),
        "popularity": popularity_recall(loaded.config, loaded.model, data) if is_test else None,
        "users": data.dataset.user_num - 1,
        "items": data.dataset.item_num - 1,
        "interactions": {part: len(pairs) for part, pairs in data.pairs.items()},
        "split": data.fingerprint.combined,
        "versions": versions(),
        "warnings": warnings,
    }


def _warnings(config: Config, data: Split) -> list[str]:
    """What makes the numbers of a dataset and a seed too good: teachers that were warned of, pairs in two parts."""
    teachers = read_given_teachers(config, data).values()
    shared = shared_pairs(plain_config(config), data)
    return [*(teacher.warning for teacher in teachers if teacher.warning), *([shared["warning"]] if shared else [])]


def _training_fields(loaded: LoadedRun, folder: str) -> dict[str, Any]:
    marker = (read_done_marker(loaded.file) if loaded.file else None) or {}
    return {
        "checkpoint": loaded.file and os.path.relpath(loaded.file, folder),
        "epochs": marker.get("epochs"),
        "seconds": marker.get("seconds"),
        "best_epoch": _best_epoch(loaded.file),
        "valid_metric": loaded.config["valid_metric"].lower(),
        "valid_scores": marker.get("valid_scores", []),
    }


def _best_epoch(file: str | None) -> int | None:
    if file is None:
        return None
    epoch = read_checkpoint(file).get("epoch")
    return epoch if isinstance(epoch, int) else None


def silence_logging() -> None:
    """Disable RecBole's log, which has a line for each epoch; a comparison shows its progress itself."""
    logging.disable(logging.INFO)
