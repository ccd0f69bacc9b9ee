"""A frozen teacher, as knowledge is read from it."""

from dataclasses import dataclass
from typing import Any

import filelock

from recbole_kd.backbone import backbone_of
from recbole_kd.errors import KDError
from recbole_kd.trainer.snapshots import Snapshots


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
    snapshots_kept: Snapshots | None = None
    frame: Any = None
    warning: str | None = None


def teacher_lock(file):
    """No other run trains this teacher, or reads what its training left, in the meantime."""
    return filelock.FileLock(f"{file}.lock")


def readable_backbone(config, model):
    return require_readable(config, backbone_of(model))


def require_readable(config, backbone):
    """The backbone of a model of this plain Config. Raises KDError where there is none."""
    if backbone is None:
        raise KDError(
            f"teacher_model={config['model']} cannot score the items of a user, which a teacher has to: "
            "BPR, LightGCN, EASE, MultiVAE or NeuMF can"
        )
    return backbone
