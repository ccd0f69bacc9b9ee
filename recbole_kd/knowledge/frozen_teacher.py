"""A frozen teacher, as knowledge is read from it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import filelock
import pandas as pd
from recbole.config import Config
from recbole.model.abstract_recommender import AbstractRecommender

from recbole_kd.backbone import backbone_of
from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.queries import Queries
from recbole_kd.errors import KDError
from recbole_kd.knowledge.row_file import RowLists
from recbole_kd.knowledge.vector_file import FileVectors
from recbole_kd.trainer.snapshots import Snapshots


@dataclass(frozen=True)
class Teacher:
    """A frozen teacher: a trained RecBole model, or files of scores and vectors.

    Attributes:
        label: its name in tables and messages.
        config: its plain RecBole Config; None for files.
        model: the RecBole model, in evaluation mode, without gradients; None for files.
        file: its checkpoint, or the first of its files.
        name: identifies its weights, or the content of the file, and this run's training pairs.
        states: functions that give its backbone at earlier moments of its training, earliest first; None if the
            weights of these moments are not available.
        trajectory: the name in the store of its lists at those moments; None if it has no such moments.
        snapshots: the weights of those moments that its training left on disk. They are removed once the lists are
            in the store; None if nothing is to be removed.
        frame: the content of a file of users' scores, as ``with_ids`` gives it, or None.
        row_lists: the content of a file of lists for training rows, or None.
        vectors: the content of a file of vectors, or None.
        warning: why the teacher was accepted only under ``teacher_check: warn``; None if nothing was wrong.
        leak_warnings: the first causes of the warning, which the checkpoint of a student of this teacher carries.
    """

    label: str
    config: Config | None
    model: AbstractRecommender | None
    file: str
    name: str
    states: tuple[Callable[[], Backbone], ...] | None = None
    trajectory: str | None = None
    snapshots: Snapshots | None = None
    frame: pd.DataFrame | None = None
    row_lists: RowLists | None = None
    vectors: FileVectors | None = None
    warning: str | None = None
    leak_warnings: tuple[str, ...] = ()

    @property
    def ranks_held_out(self) -> bool:
        """Whether it ranks items for the validation and test part, so that it can be measured.

        Lists for training rows say nothing of other rows, and item vectors alone rank nothing.
        """
        of_users = self.vectors is not None and self.vectors.users is not None
        return self.model is not None or self.frame is not None or of_users


def teacher_lock(file: Path | str) -> filelock.BaseFileLock:
    """A lock that keeps other runs from training a teacher, or from reading what its training left, meanwhile."""
    return filelock.FileLock(f"{file}.lock")


def readable_backbone(config: Config, model: AbstractRecommender, queries: Queries | None = None) -> Backbone:
    """The backbone of a trained teacher.

    Args:
        config: its plain Config.
        model: the teacher.
        queries: whom it is asked for; its users where None.

    Raises:
        KDError: no backbone can read the model.
    """
    return require_readable(config, backbone_of(model, queries))


def require_readable(config: Config, backbone: Backbone | None) -> Backbone:
    """The backbone itself, if it is one.

    Args:
        config: the plain Config of the model.
        backbone: what ``backbone_of`` gave; None if no backbone can read the model.

    Raises:
        KDError: ``backbone`` is None.
    """
    if backbone is None:
        raise KDError(
            f"teacher_model={config['model']} cannot score the items of a user, which a teacher has to: "
            "BPR, LightGCN, EASE, MultiVAE or NeuMF can"
        )
    return backbone
