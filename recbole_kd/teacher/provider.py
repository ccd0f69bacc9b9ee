"""The teachers of a run: read from files, found where they were trained before, or trained now."""

import functools
import hashlib
import logging
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from recbole.config import Config as RecBoleConfig
from recbole.model.abstract_recommender import AbstractRecommender

from recbole_kd.backbone.base import CACHES, Backbone
from recbole_kd.backbone.training_rows import is_sequential
from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.config.configurator import Config
from recbole_kd.config.teacher_specs import TeacherSpec
from recbole_kd.data.split import Split
from recbole_kd.distributed.process_group import SHARED_FOLDER_HINT, process_rank
from recbole_kd.errors import KDError, NonFiniteLoss, TrainingFailed, error_sentence
from recbole_kd.knowledge.array_checks import trajectory_forms
from recbole_kd.knowledge.base import TRAJECTORY_K
from recbole_kd.knowledge.frozen_teacher import Teacher, readable_backbone, teacher_lock
from recbole_kd.knowledge.loader import queries_for, store_folder
from recbole_kd.knowledge.store import given_trajectory_name, read_arrays, store_name, trajectory_name
from recbole_kd.teacher.from_files import teacher_of_files
from recbole_kd.teacher.leak_warnings import read_warnings, warnings_to_record
from recbole_kd.teacher.leakage import check_same_split, check_teacher
from recbole_kd.teacher.snapshot_checks import check_snapshots
from recbole_kd.trainer.cache_key import run_key
from recbole_kd.trainer.model_builder import load_weights, missing_package
from recbole_kd.trainer.options import TrainingOptions
from recbole_kd.trainer.recbole_trainer import is_resumable
from recbole_kd.trainer.rng import preserve_rng
from recbole_kd.trainer.snapshots import Snapshots, choose_epochs
from recbole_kd.trainer.training import (
    describe_failure,
    read_done_marker,
    read_trained,
    train,
)


def provide_teachers(config: Config, data: Split, given: Mapping[int, Teacher] | None = None) -> list[Teacher]:
    """The teachers of a run, in the order of the config. The global generators are left as they were.

    Args:
        config: the run's Config.
        data: the run's split.
        given: the result of ``read_given_teachers``, if it was called before.

    Raises:
        KDError: a file cannot be read, or must not teach here.
        NonFiniteLoss: a training diverged; the teachers trained before it are kept.
        TrainingFailed: a training failed otherwise; likewise.
    """
    teachers = dict(given) if given is not None else read_given_teachers(config, data)
    for teacher in teachers.values():
        if teacher.warning:
            logging.getLogger().warning(teacher.warning)
    with preserve_rng():
        for position, spec in enumerate(config.teachers):
            if position not in teachers:
                with _name_failed_teacher(config, position):
                    teachers[position] = _trained_teacher(config, data, spec, spec.config)
    ordered = [teachers[position] for position in range(len(config.teachers))]
    _require_distinct(ordered)
    return ordered


def read_given_teachers(config: Config, data: Split) -> dict[int, Teacher]:
    """The teachers that are files, checked, by their position in the config.

    Args:
        config: the run's Config.
        data: the run's split.

    Raises:
        KDError: a file cannot be read, or must not teach here.
    """
    teachers = {}
    with preserve_rng():
        for position, spec in enumerate(config.teachers):
            if spec.entry.files:
                teachers[position] = teacher_of_files(config, data, spec)
            elif spec.entry.path is not None:
                teachers[position] = _teacher_of_checkpoint(config, data, spec, spec.entry.path)
    _require_distinct(list(teachers.values()))
    return teachers


def _require_distinct(teachers: Sequence[Teacher]) -> None:
    for index, teacher in enumerate(teachers):
        for other in teachers[:index]:
            if teacher.name == other.name:
                raise KDError(f"one teacher is given twice: '{other.file}' and '{teacher.file}' hold the same")


def _teacher_of_checkpoint(config: Config, data: Split, spec: TeacherSpec, file: str) -> Teacher:
    content = read_checkpoint(file)
    earlier = [read_checkpoint(state) for state in spec.entry.states]
    warning = check_teacher(content, config, data, file, earlier)
    check_snapshots(content, earlier, [*spec.entry.states, file])
    teacher = _make_teacher(spec, data, file, content)
    if earlier:
        states = tuple(
            functools.partial(_snapshot_backbone, spec.config, data, *state)
            for state in zip(spec.entry.states, earlier, strict=True)
        )
        teacher = replace(teacher, states=states, trajectory=given_trajectory_name(earlier))
    return replace(teacher, warning=warning, leak_warnings=warnings_to_record(warning, content, *earlier))


def _trained_teacher(config: Config, data: Split, spec: TeacherSpec, teacher: RecBoleConfig) -> Teacher:
    folder = Path(config["checkpoint_dir"]) / "teacher"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{teacher['model']}-{teacher['dataset']}-{run_key(teacher, data.fingerprint)}.pth"
    with teacher_lock(file):
        _find_or_train(config, data, spec, file)
        content = read_trained(file)
        warning = check_teacher(content, config, data, str(file)) if read_warnings(content) else None
        trained = _make_teacher(spec, data, file, content)
        trained = replace(trained, warning=warning, leak_warnings=warnings_to_record(warning, content))
        return _with_saved_trajectory(trained, config, data, file)


def _with_saved_trajectory(teacher: Teacher, config: Config, data: Split, file: Path) -> Teacher:
    """A trained teacher with the earlier moments of its training, if the run asks for them."""
    snapshots = _snapshots_of(config, teacher.config, file)
    if snapshots is None:
        return teacher
    teacher = replace(teacher, trajectory=trajectory_name(config["teacher_states"]))
    if not _is_complete(snapshots, file):
        return teacher
    files, best = snapshots.saved_files(), read_trained(file)["epoch"] + 1
    states = tuple(
        functools.partial(_snapshot_backbone, teacher.config, data, files[epochs])
        for epochs in choose_epochs(files, best, config["teacher_states"])
    )
    return replace(teacher, states=states, snapshots=snapshots)


def _snapshots_of(config: Config, teacher: RecBoleConfig, file: Path) -> Snapshots | None:
    """The snapshots that a teacher's training keeps; None if the run needs none, or its trainer cannot keep any."""
    states = config["teacher_states"]
    return Snapshots(file, states) if states > 1 and is_resumable(teacher) else None


def _is_complete(snapshots: Snapshots, file: Path) -> bool:
    """Whether all snapshots of the finished training of ``file`` are on disk."""
    marker = read_done_marker(file)
    return marker is not None and snapshots.is_complete(marker["epochs"])


def _make_teacher(spec: TeacherSpec, data: Split, file: Path | str, content: dict[str, Any]) -> Teacher:
    model = _load_frozen(spec.config, data, file, content)
    return Teacher(spec.label, spec.config, model, str(file), _knowledge_name(spec.config, data, content))


def _knowledge_name(config: RecBoleConfig, data: Split, content: Mapping[str, Any]) -> str:
    """The name of what is read of a teacher. What a sequence teacher knows depends on whom it is asked for, too."""
    name = store_name(content, data.fingerprint.train)
    if not is_sequential(config):
        return name
    requested = "rows" if is_sequential(data.train._dataset.config) else "latest sequences"
    text = f"{name} {requested} {config['MAX_ITEM_LIST_LENGTH']}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _load_frozen(config: RecBoleConfig, data: Split, file: Path | str, content: dict[str, Any]) -> AbstractRecommender:
    model = load_weights(config, data.training_dataset(config), file, content)
    for cache in CACHES:  # a graph model's tables from when it was saved
        if hasattr(model, cache):
            setattr(model, cache, None)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


def _snapshot_backbone(
    config: RecBoleConfig, data: Split, file: Path | str, content: dict[str, Any] | None = None
) -> Backbone:
    """The backbone of a model as it was at an earlier moment."""
    with preserve_rng():
        content = content or _read_snapshot(Path(file))
        model = _load_frozen(config, data, file, content)
        return readable_backbone(config, model, queries_for(data, config))


def _read_snapshot(file: Path) -> dict[str, Any]:
    """The weights at an earlier moment, as the teacher's training stored them. Raises KDError: a damaged file."""
    try:
        with zipfile.ZipFile(file) as archive:
            content = None if archive.testzip() else torch.load(file, map_location="cpu", weights_only=True)
        if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
            return content
    except Exception as error:  # a damaged file can fail anywhere in zipfile or torch
        raise _damaged_snapshot(file) from error
    raise _damaged_snapshot(file)


def _damaged_snapshot(file: Path) -> KDError:
    return KDError(
        f"the snapshot '{file}' is damaged: remove the folder '{file.parent}', and the same command trains the teacher "
        "again"
    )


@contextmanager
def _name_failed_teacher(config: Config, position: int) -> Iterator[None]:
    """Add to the message of a failure which of several teachers failed, and that the earlier ones are kept."""
    try:
        yield
    except Exception as error:
        if len(config.teachers) == 1:
            raise
        package_errors = (KDError, NonFiniteLoss, TrainingFailed)
        message = str(error) if isinstance(error, package_errors) else error_sentence(error)
        which = f"teacher {position + 1} of {len(config.teachers)}"
        if not isinstance(error, TrainingFailed):  # whose message names the teacher
            which += f", {config.teachers[position].label}, failed"
        note = "; the next run finds those that were trained before it" if position else ""
        kind: Callable[[str], Exception] = type(error) if isinstance(error, package_errors) else TrainingFailed
        raise kind(f"{which}: {message}{note}") from error


def _find_or_train(config: Config, data: Split, spec: TeacherSpec, file: Path) -> None:
    """Train a teacher unless ``file`` holds it already, with the trajectory that the run needs."""
    snapshots = _snapshots_of(config, spec.config, file)
    if _is_trained(config, data, spec, file, snapshots):
        return
    if process_rank() > 0:  # the first process has trained it by now
        missing = f"process {process_rank()} finds no teacher {spec.label} in {file.parent}"
        raise KDError(f"{missing}: {SHARED_FOLDER_HINT}")
    split = data.fresh(spec.config)
    check_same_split(config, spec, split, data)
    if snapshots is None:
        Snapshots(file, 1).remove()  # a stopped training left these; resuming it without snapshots would leave gaps
    try:
        with describe_failure(f"the teacher {spec.label}"):
            _train_teacher(config, split, spec, file, snapshots)
    except ImportError as error:  # NCL imports faiss when its training begins
        raise missing_package(spec.config, error) from error


def _is_trained(config: Config, data: Split, spec: TeacherSpec, file: Path, snapshots: Snapshots | None) -> bool:
    """Whether ``file`` holds the trained teacher, with the trajectory that the run needs; says so in the log."""
    logger = logging.getLogger()
    if not read_done_marker(file):
        logger.info(f"no teacher of these settings in {file.parent}: training {spec.label} now, in plain RecBole")
        return False
    if snapshots is None or _has_trajectory(config, spec.config, data, file, snapshots):
        logger.info(f"the teacher was trained before: {file}")
        return True
    logger.info(f"the teacher {spec.label} was trained before, but not its trajectory kept: training it again")
    return False


def _train_teacher(config: Config, split: Split, spec: TeacherSpec, file: Path, snapshots: Snapshots | None) -> None:
    options = TrainingOptions.from_config(config, snapshots)
    train(spec.config, file, split, options)
    if snapshots is not None and not _is_complete(snapshots, file):
        # it was resumed from a training that kept fewer snapshots
        train(spec.config, file, split.fresh(spec.config), replace(options, resume=False))


def _has_trajectory(config: Config, spec_config: RecBoleConfig, data: Split, file: Path, snapshots: Snapshots) -> bool:
    """Whether a trained teacher's earlier moments are on disk, as weights or as lists in the store."""
    if _is_complete(snapshots, file):
        return True
    states = config["teacher_states"]
    sizes = queries_for(data, spec_config).size, data.dataset.item_num
    name = _knowledge_name(spec_config, data, read_trained(file))
    folder = store_folder(config, name) / trajectory_name(states)
    forms = trajectory_forms(*sizes, min(TRAJECTORY_K, sizes[1] - 1), None, states - 1)
    return read_arrays(folder, "cpu", forms) is not None
