"""What files of scores and of vectors teach: their capabilities before they are read, and their knowledge."""

import logging
from pathlib import Path

import torch

from recbole_kd.backbone.capabilities import FACTOR_MODEL, RANK_LISTS, Capability
from recbole_kd.backbone.training_rows import row_positives
from recbole_kd.config.configurator import Config
from recbole_kd.config.teacher_entries import TeacherEntry
from recbole_kd.data.split import Split
from recbole_kd.knowledge.base import BaseKnowledge
from recbole_kd.knowledge.frozen_teacher import Teacher
from recbole_kd.knowledge.given import GivenKnowledge, ItemVectorsKnowledge
from recbole_kd.knowledge.model import ModelKnowledge
from recbole_kd.knowledge.row_file import RowFileKnowledge
from recbole_kd.knowledge.score_file import FileKnowledge
from recbole_kd.knowledge.vector_file import has_user_vectors, vector_backbone


def capabilities_of_files(entry: TeacherEntry) -> Capability:
    """What a teacher of files will offer. Raises KDError: a file of vectors is missing or cannot be read."""
    if entry.factors is None:
        return RANK_LISTS
    if entry.scores is None and has_user_vectors(entry.factors):
        return FACTOR_MODEL
    return Capability.ITEM_VECTORS | (RANK_LISTS if entry.scores is not None else Capability(0))


def knowledge_of_files(config: Config, data: Split, teacher: Teacher, store: Path | None) -> BaseKnowledge:
    """What a teacher of files knows: about users, or about the rows of a sequence student.

    Args:
        config: the run's Config.
        data: the run's split.
        teacher: the teacher, with the content of its files.
        store: the folder of what is computed of it.
    """
    dataset, device = data.dataset, config["device"]
    if teacher.vectors is not None and teacher.vectors.users is not None:
        backbone = vector_backbone(teacher.vectors, dataset.uid_field, device)
        log, weight = logging.getLogger().info, config["neighbour_weight"]
        return ModelKnowledge(backbone, data.seen_pairs, store, log, neighbours=weight)
    lists = _lists(data, teacher, device)
    if lists is None:
        assert teacher.vectors is not None  # a teacher of files has one of both
        return ItemVectorsKnowledge(teacher.vectors.items, dataset.user_num, data.seen_pairs, device)
    if teacher.vectors is not None:
        lists.add_item_vectors(teacher.vectors.items)
    return lists


def _lists(data: Split, teacher: Teacher, device: torch.device | str) -> GivenKnowledge | None:
    n_items = data.dataset.item_num
    if teacher.row_lists is not None:
        positives = row_positives(data.train._dataset)
        return RowFileKnowledge(teacher.row_lists, n_items, positives, device, teacher.file)
    if teacher.frame is not None:
        return FileKnowledge(teacher.frame, data.dataset.user_num, n_items, data.seen_pairs, device, teacher.file)
    return None
