"""The knowledge of a run: of one teacher, or of several together."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from recbole.config import Config as RecBoleConfig

from recbole_kd.backbone.queries import Queries
from recbole_kd.backbone.training_rows import (
    is_sequential,
    latest_sequences,
    row_positives,
    row_users,
    training_queries,
)
from recbole_kd.config.configurator import Config
from recbole_kd.data.split import Split
from recbole_kd.knowledge.base import BaseKnowledge
from recbole_kd.knowledge.ensemble import EnsembleKnowledge
from recbole_kd.knowledge.frozen_teacher import Teacher, readable_backbone, teacher_lock
from recbole_kd.knowledge.model import ModelKnowledge
from recbole_kd.knowledge.teacher_files import knowledge_of_files
from recbole_kd.knowledge.users_of_rows import UsersOfRows
from recbole_kd.trainer.rng import preserve_rng


def load_knowledge(config: Config, data: Split, teachers: Sequence[Teacher]) -> BaseKnowledge:
    """What the terms read of the teachers: the knowledge of the only one, or an EnsembleKnowledge.

    The global random generators are left as they were.
    """
    with preserve_rng():
        members = [_read_teacher(config, data, teacher) for teacher in teachers]
        if len(members) == 1:
            return members[0]
        weights = config["ensemble_weights"]
        name = teachers_name(teachers) if weights is None else _hash(teachers_name(teachers), *map(str, weights))
        return EnsembleKnowledge(
            members, store_folder(config, name), logging.getLogger().info, config["ensemble"] == "score", weights
        )


def teachers_name(teachers: Sequence[Teacher]) -> str:
    """A name that identifies the teachers of a run, their trajectories, and its training pairs."""
    names = [f"{teacher.name} {teacher.trajectory}" if teacher.trajectory else teacher.name for teacher in teachers]
    return names[0] if names == [teachers[0].name] else _hash(*names)


def _hash(*names: str) -> str:
    return hashlib.sha256(" ".join(names).encode()).hexdigest()[:16]


def _read_teacher(config: Config, data: Split, teacher: Teacher) -> BaseKnowledge:
    """What a teacher knows about the student's queries: about users, or about the rows of a sequence student."""
    of_rows, reads_rows = is_sequential(config), teacher.config is not None and is_sequential(teacher.config)
    dataset = data.train._dataset
    if reads_rows and of_rows:
        return _read_model(config, data, teacher, row_positives(dataset))
    if teacher.model is None:
        knowledge = knowledge_of_files(config, data, teacher, store_folder(config, teacher.name))
    else:
        knowledge = _read_model(config, data, teacher, data.seen_pairs)
    if knowledge.per_row or not of_rows:
        return knowledge
    return UsersOfRows(knowledge, row_users(dataset), row_positives(dataset))


def _read_model(
    config: Config, data: Split, teacher: Teacher, positives: tuple[torch.Tensor, torch.Tensor]
) -> ModelKnowledge:
    assert teacher.config is not None and teacher.model is not None  # files are read elsewhere
    queries = queries_for(data, teacher.config)
    knowledge = ModelKnowledge(
        readable_backbone(teacher.config, teacher.model, queries),
        positives,
        store_folder(config, teacher.name),
        logging.getLogger().info,
        teacher.states,
        teacher.trajectory,
        config["neighbour_weight"],
        config["kd_knowledge"],
    )
    if teacher.snapshots is not None:
        with teacher_lock(teacher.file):
            knowledge.trajectories(config["teacher_states"])
            teacher.snapshots.remove()  # the lists in the store replace the weights
    return knowledge


def queries_for(data: Split, config: RecBoleConfig) -> Queries:
    """Whom a model is asked for on a split: users, each user's latest sequence, or the rows of a sequence student.

    Args:
        data: the split of the run.
        config: the plain Config of the student or of a teacher.
    """
    dataset = data.training_dataset(config)
    if is_sequential(config) and not is_sequential(data.train._dataset.config):
        return latest_sequences(dataset)
    return training_queries(config, dataset)


def store_folder(config: Config, name: str) -> Path:
    """The folder of what is read of a teacher; each weight of its neighbours has another.

    Args:
        config: the run's Config.
        name: the teacher's, as ``store_name`` gives it.
    """
    weight = config["neighbour_weight"]
    return Path(config["checkpoint_dir"]) / "knowledge" / (_hash(name, str(weight)) if weight else name)


def check_list_lengths(config: Config, data: Split, given: Mapping[int, Teacher], k: int) -> None:
    """Refuse, before any training, files of scores with fewer than ``k`` items for some user.

    Args:
        config: the run's Config.
        data: the run's split.
        given: the teachers that are files, by their position.
        k: the longest list that the method needs.

    Raises:
        KDError: with the file and the number of users.
    """
    for teacher in given.values():
        if teacher.frame is not None or teacher.row_lists is not None:
            knowledge_of_files(config, data, teacher, None).top_items(k)
