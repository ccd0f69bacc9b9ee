"""Each width of a Matryoshka student as a plain RecBole model of its own."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole.config import Config as RecBoleConfig

from recbole_kd.backbone.narrow import TABLES
from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.io import atomic_write, torch_bytes
from recbole_kd.trainer.model_builder import load_weights
from recbole_kd.trainer.rng import preserve_rng

KEPT = ("epoch", "cur_step", "best_valid_score", "fingerprint", "leak_warning")  # entries of the student's checkpoint


@dataclass(frozen=True)
class Width:
    """The name of a narrower student: its width."""

    value: int


def narrow_file(file: str | Path, width: int) -> Path:
    """Where the student of a width is, beside the one of full width."""
    return Path(file).with_name(f"{Path(file).stem}-width{width}.pth")


def write_narrow_student(config: RecBoleConfig, file: str | Path, width: int) -> RecBoleConfig:
    """Write the first coordinates of a student as a plain RecBole checkpoint of a narrower model.

    Args:
        config: the student's plain Config.
        file: the student's checkpoint; the narrower one is at ``narrow_file``.
        width: the number of coordinates.

    Returns:
        The Config of the narrower model.
    """
    content = read_checkpoint(file)
    narrow = copy.copy(config)
    narrow.final_config_dict = {**config.final_config_dict, "embedding_size": width}
    state = {
        name: weight[:, :width].clone() if name.removesuffix(".weight") in TABLES else weight
        for name, weight in content["state_dict"].items()
    }
    kept = {name: content[name] for name in KEPT if name in content}
    written = {"config": narrow, "state_dict": state, "other_parameter": None, "optimizer": None, **kept}
    atomic_write(narrow_file(file, width), torch_bytes(written))
    return narrow


def narrow_students(
    config: RecBoleConfig, dataset: Any, file: str | Path, widths: Sequence[int]
) -> dict[Width, tuple[RecBoleConfig, Any, str]]:
    """The students of all widths but the full one: written, and loaded from where they were written.

    Args:
        config: the student's plain Config.
        dataset: the training part of the split.
        file: the checkpoint of the student of full width.
        widths: the widths, the full one last.

    Returns:
        For each width the plain Config, the model in evaluation mode, and the file.
    """
    students = {}
    with preserve_rng():
        for width in widths[:-1]:
            narrow = write_narrow_student(config, file, width)
            place = narrow_file(file, width)
            students[Width(width)] = (narrow, load_weights(narrow, dataset, place), str(place))
    return students
