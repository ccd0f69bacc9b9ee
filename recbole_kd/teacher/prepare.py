"""From a Config and a split to what is read of the teachers: taken from paths, found in the store, or trained now."""

import functools
import hashlib
import logging
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import filelock
import torch

from recbole_kd import processes
from recbole_kd.backbone import backbone_of
from recbole_kd.config import Config, KDError, sentence
from recbole_kd.teacher import fit, parts
from recbole_kd.teacher.checkpoint import read_checkpoint
from recbole_kd.teacher.ensemble import Ensemble
from recbole_kd.teacher.guard import check_file, check_same_split, check_states, check_teacher, readable
from recbole_kd.teacher.knowledge import Knowledge
from recbole_kd.teacher.resume import NonFiniteLoss, kept_randomness
from recbole_kd.teacher.score_file import FileKnowledge, read_scores
from recbole_kd.teacher.store import given_name, read_arrays, store_name, trajectory_name
from recbole_kd.teacher.trajectory import States, choose


@dataclass(frozen=True)
class Teacher:
    """A frozen teacher.

    Attributes:
        label: what it is called.
        config: its plain RecBole Config, or None of a file of scores.
        model: the RecBole model, in evaluation mode, without gradients, or None.
        file: its checkpoint, or the file of scores.
        name: what stands for its weights and this run's training pairs.
        states: functions that give its backbone at earlier moments of its training; None where none are at hand.
        trajectory: what its lists at those moments are kept under; None where it has no such moments.
        kept: the weights that its own training left of those moments; needed until the lists are there.
        frame: what a file of scores says.
        warning: why it was only taken under ``teacher_check: warn``, or None.
    """

    label: str
    config: Any
    model: Any
    file: str
    name: str
    states: tuple | None = None
    trajectory: str | None = None
    kept: States | None = None
    frame: Any = None
    warning: str | None = None


def get_teachers(config: Config, data: parts.Split, given=None):
    """The teachers of a run, a Teacher each. The global generators are left where they were.

    Args:
        given: what ``given_teachers`` gave, where it was called before.

    Raises:
        KDError: a file that cannot be read or may not teach here.
        NonFiniteLoss, TrainingFailed: a training that diverged, or failed otherwise; those before it are kept.
    """
    found = given if given is not None else given_teachers(config, data)
    for teacher in found.values():
        if teacher.warning:
            logging.getLogger().warning(teacher.warning)
    with kept_randomness():
        for place, plan in enumerate(config.teachers):
            if place not in found:
                with _said_which(config, place):
                    found[place] = _trained_teacher(config, data, plan)
    return _all_different([found[place] for place in range(len(config.teachers))])


def given_teachers(config: Config, data: parts.Split):
    """Those that are files, by their place, checked. Raises KDError."""
    found = {}
    with kept_randomness():
        for place, plan in enumerate(config.teachers):
            if plan.entry.scores is not None:
                frame, name = read_scores(plan.entry.scores, data.tokens)
                warning = check_file(config, plan.entry.scores)
                name = hashlib.sha256(f"{name} {data.fingerprint.train}".encode()).hexdigest()[:16]
                found[place] = Teacher(plan.label, None, None, plan.entry.scores, name, frame=frame, warning=warning)
            elif plan.entry.path is not None:
                found[place] = _given_teacher(config, data, plan)
    _all_different(list(found.values()))
    return found


def _all_different(teachers):
    for place, teacher in enumerate(teachers):
        for other in teachers[:place]:
            if teacher.name == other.name:
                raise KDError(f"one teacher is given twice: '{other.file}' and '{teacher.file}' hold the same")
    return teachers


def _given_teacher(config, data, plan):
    file, content = plan.entry.path, read_checkpoint(plan.entry.path)
    warning = check_teacher(content, config, data, file)
    earlier = [read_checkpoint(state) for state in plan.entry.states]
    check_states(content, earlier, [*plan.entry.states, file])
    states = tuple(
        functools.partial(_state, plan.config, data, *pair) for pair in zip(plan.entry.states, earlier, strict=True)
    )
    found = _teacher(plan, data, file, content, states or None, given_name(earlier) if earlier else None)
    return replace(found, warning=warning)


def _trained_teacher(config, data, plan):
    folder = Path(config["checkpoint_dir"]) / "teacher"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{plan.config['model']}-{plan.config['dataset']}-{fit.run_key(plan.config, data.fingerprint)}.pth"
    with _held(file):
        _find_or_train(config, data, plan, file)
        return _teacher(plan, data, file, fit.read_own(file), *_kept_of(config, data, plan, file))


def _kept_of(config, data, plan, file):
    """The trajectory of a trained teacher: (states, name, kept) of a Teacher."""
    if config["teacher_states"] < 2 or not fit.resumable(plan.config):
        return None, None, None
    kept, name = States(file, config["teacher_states"]), trajectory_name(config["teacher_states"])
    if not kept.whole(fit.complete(file)["epochs"]):
        return None, name, None
    held, best = kept.held(), fit.read_own(file)["epoch"] + 1
    chosen = choose(held, best, config["teacher_states"])
    return tuple(functools.partial(_state, plan.config, data, held[epochs]) for epochs in chosen), name, kept


def _held(file):
    """No other run trains this teacher, or reads what its training left, in the meantime."""
    return filelock.FileLock(f"{file}.lock")


def _teacher(plan, data, file, content, *trajectory):
    model = _frozen(plan.config, data, file, content)
    name = store_name(content, data.fingerprint.train)
    return Teacher(plan.label, plan.config, model, str(file), name, *trajectory)


def _frozen(config, data, file, content):
    model = fit.load_weights(config, data.train._dataset, file, content)
    for cache in ("restore_user_e", "restore_item_e"):  # a graph model's tables as they were when it was stored
        if hasattr(model, cache):
            setattr(model, cache, None)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


def _state(config, data, file, content=None):
    """The backbone of a model as it was at an earlier moment."""
    with kept_randomness():
        content = content or torch.load(file, map_location="cpu", weights_only=True)
        return _backbone(config, _frozen(config, data, file, content))


@contextmanager
def _said_which(config, place):
    """Where there are several teachers, the sentence of a failure says which one and what is kept."""
    try:
        yield
    except Exception as error:
        if len(config.teachers) == 1:
            raise
        ours = (KDError, NonFiniteLoss, fit.TrainingFailed)
        said = str(error) if isinstance(error, ours) else sentence(error)
        which = f"teacher {place + 1} of {len(config.teachers)}"
        label = config.teachers[place].label
        text = f"{which}: {said}" if isinstance(error, fit.TrainingFailed) else f"{which}, {label}, failed: {said}"
        if place:
            text += "; the next run finds those that were trained before it"
        kind = type(error) if isinstance(error, ours) else fit.TrainingFailed
        raise kind(text) from error


def get_knowledge(config: Config, data: parts.Split, teachers):
    """What the terms read of the teachers: of one teacher its Knowledge, of several an Ensemble."""
    with kept_randomness():
        found = [_read(config, data, teacher) for teacher in teachers]
        if len(found) == 1:
            return found[0]
        weights = config["ensemble_weights"]
        name = name_of(teachers) if weights is None else _hash(name_of(teachers), *map(str, weights))
        return Ensemble(found, _store(config, name), logging.getLogger().info, config["ensemble"] == "score", weights)


def name_of(teachers):
    """What stands for the teachers of a run, their trajectories, and its training pairs."""
    names = [f"{teacher.name} {teacher.trajectory}" if teacher.trajectory else teacher.name for teacher in teachers]
    return names[0] if names == [teachers[0].name] else _hash(*names)


def _hash(*names):
    return hashlib.sha256(" ".join(names).encode()).hexdigest()[:16]


def _read(config, data, teacher):
    if teacher.frame is not None:
        return _read_file(config, data, teacher)
    read = _backbone(teacher.config, teacher.model), data.train_pairs, _store(config, teacher.name)
    log, weight = logging.getLogger().info, config["neighbour_weight"]
    knowledge = Knowledge(*read, log, teacher.states, teacher.trajectory, weight)
    if teacher.kept is not None:
        with _held(teacher.file):
            knowledge.trajectories(config["teacher_states"])
            teacher.kept.forget()  # from here on as lists
    return knowledge


def _store(config, name):
    """The folder of what is read of a teacher, one for each weight of its neighbours."""
    weight = config["neighbour_weight"]
    return Path(config["checkpoint_dir"]) / "knowledge" / (_hash(name, str(weight)) if weight else name)


def _read_file(config, data, teacher):
    sizes = data.dataset.user_num, data.dataset.item_num
    return FileKnowledge(teacher.frame, *sizes, data.train_pairs, config["device"], teacher.file)


def check_lists(config, data, given, k):
    """Refuse, before one is trained, files of scores with fewer than ``k`` items for some user. Raises KDError."""
    for teacher in given.values():
        if teacher.frame is not None:
            _read_file(config, data, teacher).top_items(k)


def _backbone(config, model):
    return readable(config, backbone_of(model))


def _find_or_train(config, data, plan, file):
    logger, teacher = logging.getLogger(), plan.config
    states = States(file, config["teacher_states"]) if config["teacher_states"] > 1 and fit.resumable(teacher) else None
    if fit.complete(file):
        if states is None or _has_trajectory(config, data, file, states):
            logger.info(f"the teacher was trained before: {file}")
            return
        logger.info(f"the teacher {plan.label} was trained before, but not its trajectory kept: training it again")
    else:
        logger.info(f"no teacher of these settings in {file.parent}: training {plan.label} now, in plain RecBole")
    if processes.rank() > 0:  # the first one has trained it by now
        missing = f"process {processes.rank()} finds no teacher {plan.label} in {file.parent}"
        raise KDError(f"{missing}: {processes.ONE_FOLDER}")
    own = parts.split(teacher)
    check_same_split(config, plan, own, data)
    if states is None:
        States(file, 1).forget()  # of a training that was stopped: from here on some would be missing
    try:
        with fit.named(f"the teacher {plan.label}"):
            fit.train(teacher, file, own, states=states, **fit.resuming(config))
            if states is not None and not states.whole(fit.complete(file)["epochs"]):
                # it went on from a training that kept fewer
                fit.train(teacher, file, states=states, **{**fit.resuming(config), "resume": False})
    except ImportError as error:  # NCL asks for faiss when its training begins
        raise fit.lacks(teacher, error) from error


def _has_trajectory(config, data, file, states):
    name = store_name(fit.read_own(file), data.fingerprint.train)
    stored = _store(config, name) / trajectory_name(config["teacher_states"])
    return states.whole(fit.complete(file)["epochs"]) or read_arrays(stored, "cpu") is not None
