"""The teachers of a run: read from files, found where they were trained before, or trained now."""

import functools
import hashlib
import logging
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.config.configurator import Config
from recbole_kd.data.split import Split, prepare_split
from recbole_kd.distributed.process_group import SHARED_FOLDER_HINT, process_rank
from recbole_kd.errors import KDError, NonFiniteLoss, TrainingFailed, error_sentence
from recbole_kd.knowledge.frozen_teacher import Teacher, readable_backbone, teacher_lock
from recbole_kd.knowledge.loader import store_folder
from recbole_kd.knowledge.score_file import read_scores
from recbole_kd.knowledge.store import given_trajectory_name, read_arrays, store_name, trajectory_name
from recbole_kd.teacher.leakage import check_same_split, check_score_file, check_snapshots, check_teacher
from recbole_kd.trainer.cache_key import run_key
from recbole_kd.trainer.model_builder import load_weights, missing_package
from recbole_kd.trainer.options import TrainingOptions
from recbole_kd.trainer.rng import preserve_rng
from recbole_kd.trainer.snapshots import Snapshots, choose_epochs
from recbole_kd.trainer.training import (
    describe_failure,
    is_resumable,
    read_done_marker,
    read_trained,
    train,
)


def provide_teachers(config: Config, data: Split, given=None):
    """The teachers of a run, a Teacher each. The global generators are left where they were.

    Args:
        given: what ``given_teachers`` gave, where it was called before.

    Raises:
        KDError: a file that cannot be read or may not teach here.
        NonFiniteLoss, TrainingFailed: a training that diverged, or failed otherwise; those before it are kept.
    """
    found = given if given is not None else read_given_teachers(config, data)
    for teacher in found.values():
        if teacher.warning:
            logging.getLogger().warning(teacher.warning)
    with preserve_rng():
        for place, plan in enumerate(config.teachers):
            if place not in found:
                with _naming_teacher(config, place):
                    found[place] = _trained_teacher(config, data, plan)
    return _require_distinct([found[place] for place in range(len(config.teachers))])


def read_given_teachers(config: Config, data: Split):
    """Those that are files, by their place, checked. Raises KDError."""
    found = {}
    with preserve_rng():
        for place, plan in enumerate(config.teachers):
            if plan.entry.scores is not None:
                frame, name = read_scores(plan.entry.scores, data.tokens)
                warning = check_score_file(config, plan.entry.scores)
                name = hashlib.sha256(f"{name} {data.fingerprint.train}".encode()).hexdigest()[:16]
                found[place] = Teacher(plan.label, None, None, plan.entry.scores, name, frame=frame, warning=warning)
            elif plan.entry.path is not None:
                found[place] = _given_teacher(config, data, plan)
    _require_distinct(list(found.values()))
    return found


def _require_distinct(teachers):
    for place, teacher in enumerate(teachers):
        for other in teachers[:place]:
            if teacher.name == other.name:
                raise KDError(f"one teacher is given twice: '{other.file}' and '{teacher.file}' hold the same")
    return teachers


def _given_teacher(config, data, plan):
    file, content = plan.entry.path, read_checkpoint(plan.entry.path)
    warning = check_teacher(content, config, data, file)
    earlier = [read_checkpoint(state) for state in plan.entry.states]
    check_snapshots(content, earlier, [*plan.entry.states, file])
    states = tuple(
        functools.partial(_snapshot_backbone, plan.config, data, *pair)
        for pair in zip(plan.entry.states, earlier, strict=True)
    )
    found = _teacher(plan, data, file, content, states or None, given_trajectory_name(earlier) if earlier else None)
    return replace(found, warning=warning)


def _trained_teacher(config, data, plan):
    folder = Path(config["checkpoint_dir"]) / "teacher"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{plan.config['model']}-{plan.config['dataset']}-{run_key(plan.config, data.fingerprint)}.pth"
    with teacher_lock(file):
        _find_or_train(config, data, plan, file)
        return _teacher(plan, data, file, read_trained(file), *_saved_trajectory(config, data, plan, file))


def _saved_trajectory(config, data, plan, file):
    """The trajectory of a trained teacher: (states, name, kept) of a Teacher."""
    if config["teacher_states"] < 2 or not is_resumable(plan.config):
        return None, None, None
    kept, name = Snapshots(file, config["teacher_states"]), trajectory_name(config["teacher_states"])
    if not kept.is_complete(read_done_marker(file)["epochs"]):
        return None, name, None
    held, best = kept.saved_files(), read_trained(file)["epoch"] + 1
    chosen = choose_epochs(held, best, config["teacher_states"])
    return (
        tuple(functools.partial(_snapshot_backbone, plan.config, data, held[epochs]) for epochs in chosen),
        name,
        kept,
    )


def _teacher(plan, data, file, content, *trajectory):
    model = _load_frozen(plan.config, data, file, content)
    name = store_name(content, data.fingerprint.train)
    return Teacher(plan.label, plan.config, model, str(file), name, *trajectory)


def _load_frozen(config, data, file, content):
    model = load_weights(config, data.train._dataset, file, content)
    for cache in ("restore_user_e", "restore_item_e"):  # a graph model's tables as they were when it was stored
        if hasattr(model, cache):
            setattr(model, cache, None)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


def _snapshot_backbone(config, data, file, content=None):
    """The backbone of a model as it was at an earlier moment."""
    with preserve_rng():
        content = content or torch.load(file, map_location="cpu", weights_only=True)
        return readable_backbone(config, _load_frozen(config, data, file, content))


@contextmanager
def _naming_teacher(config, place):
    """Where there are several teachers, the sentence of a failure says which one and what is kept."""
    try:
        yield
    except Exception as error:
        if len(config.teachers) == 1:
            raise
        ours = (KDError, NonFiniteLoss, TrainingFailed)
        said = str(error) if isinstance(error, ours) else error_sentence(error)
        which = f"teacher {place + 1} of {len(config.teachers)}"
        label = config.teachers[place].label
        text = f"{which}: {said}" if isinstance(error, TrainingFailed) else f"{which}, {label}, failed: {said}"
        if place:
            text += "; the next run finds those that were trained before it"
        kind = type(error) if isinstance(error, ours) else TrainingFailed
        raise kind(text) from error


def _find_or_train(config, data, plan, file):
    logger, teacher = logging.getLogger(), plan.config
    states = (
        Snapshots(file, config["teacher_states"]) if config["teacher_states"] > 1 and is_resumable(teacher) else None
    )
    if read_done_marker(file):
        if states is None or _has_trajectory(config, data, file, states):
            logger.info(f"the teacher was trained before: {file}")
            return
        logger.info(f"the teacher {plan.label} was trained before, but not its trajectory kept: training it again")
    else:
        logger.info(f"no teacher of these settings in {file.parent}: training {plan.label} now, in plain RecBole")
    if process_rank() > 0:  # the first one has trained it by now
        missing = f"process {process_rank()} finds no teacher {plan.label} in {file.parent}"
        raise KDError(f"{missing}: {SHARED_FOLDER_HINT}")
    own = prepare_split(teacher)
    check_same_split(config, plan, own, data)
    if states is None:
        Snapshots(file, 1).remove()  # of a training that was stopped: from here on some would be missing
    try:
        with describe_failure(f"the teacher {plan.label}"):
            train(teacher, file, own, TrainingOptions.from_config(config, states))
            if states is not None and not states.is_complete(read_done_marker(file)["epochs"]):
                # it went on from a training that kept fewer
                train(teacher, file, options=replace(TrainingOptions.from_config(config, states), resume=False))
    except ImportError as error:  # NCL asks for faiss when its training begins
        raise missing_package(teacher, error) from error


def _has_trajectory(config, data, file, states):
    name = store_name(read_trained(file), data.fingerprint.train)
    stored = store_folder(config, name) / trajectory_name(config["teacher_states"])
    return states.is_complete(read_done_marker(file)["epochs"]) or read_arrays(stored, "cpu") is not None
