"""The teachers of a run as RecBole models that the student's evaluation can measure."""

from typing import Any

from recbole.config import Config as RecBoleConfig

from recbole_kd.backbone.training_rows import is_sequential
from recbole_kd.data.split import Split
from recbole_kd.evaluation.list_recommender import ListRecommender
from recbole_kd.evaluation.sequence_recommenders import LatestSequenceRecommender, SequenceEnsembleRecommender
from recbole_kd.knowledge.base import BaseKnowledge
from recbole_kd.knowledge.ensemble import EnsembleKnowledge
from recbole_kd.knowledge.frozen_teacher import Teacher
from recbole_kd.knowledge.loader import queries_for
from recbole_kd.knowledge.users_of_rows import UsersOfRows


def teacher_recommender(teacher: Teacher, knowledge: BaseKnowledge, student: RecBoleConfig, split: Split) -> Any:
    """A teacher as the student's evaluation reads it.

    Args:
        teacher: the teacher.
        knowledge: what is read of it.
        student: the student's plain Config.
        split: the student's split.

    Returns:
        The teacher's model; a file of scores as the lists in it; a sequence model for a student of users with each
        user's latest sequence.
    """
    if teacher.model is None or teacher.config is None:
        return list_recommender(knowledge, student, split)
    if is_sequential(teacher.config) and not is_sequential(student):
        queries = queries_for(split, teacher.config)
        return LatestSequenceRecommender(teacher.model, queries, student, split.train._dataset)
    return teacher.model


def list_recommender(knowledge: BaseKnowledge, student: RecBoleConfig, split: Split) -> Any:
    """The ranking that is distilled, where it is not one model's: of an ensemble, of a file, or with neighbours.

    Arguments as of ``teacher_recommender``.
    """
    dataset = split.train._dataset
    if isinstance(knowledge, EnsembleKnowledge) and knowledge.per_row:
        return SequenceEnsembleRecommender(knowledge, student, dataset)
    return ListRecommender(knowledge.users if isinstance(knowledge, UsersOfRows) else knowledge, student, dataset)
