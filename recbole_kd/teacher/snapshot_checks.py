"""Checks that the checkpoints of a teacher's trajectory are of one training, in its order."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from recbole_kd.config.recbole_schema import model_keys
from recbole_kd.data.split_settings import SPLIT_KEYS, differing_keys
from recbole_kd.errors import KDError


def check_snapshots(last: dict[str, Any], earlier: Sequence[dict[str, Any]], files: Sequence[str]) -> None:
    """Refuse checkpoints of a trajectory that come from several trainings, or are not in the order of one training.

    Args:
        last: the teacher's checkpoint, as read_checkpoint gives it.
        earlier: the checkpoints of earlier moments, likewise.
        files: the names of all of them, the teacher's last.

    Raises:
        KDError: with the first file that does not fit.
    """
    for content, file in zip(earlier, files, strict=False):
        keys = (*model_keys(last["config"]["model"]), "model", "dataset", "learning_rate", *SPLIT_KEYS)
        different = differing_keys(keys, content["config"], last["config"])
        if not _same_data(content, last):
            different = ["data", *different]
        if different:
            raise KDError(f"the state '{file}' is of another training than '{files[-1]}': its {different[0]} differs")
    if earlier:
        _check_epoch_order([content.get("epoch") for content in (*earlier, last)], files)


def _check_epoch_order(epochs: Sequence[Any], files: Sequence[str]) -> None:
    for file, epoch in zip(files, epochs, strict=True):
        if not isinstance(epoch, int) or isinstance(epoch, bool):
            raise KDError(f"'{file}' does not name its epoch, so that the order of the states is unknown")
    for index, (before, after) in enumerate(itertools.pairwise(epochs)):
        if before >= after:
            raise KDError(
                "states has to list checkpoints by rising epoch, the teacher's own last, and is out of order: "
                f"'{files[index]}' of epoch {before} comes before '{files[index + 1]}' of epoch {after}"
            )


def _same_data(content: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """False if both checkpoints hold the fingerprint of their training pairs, and these differ."""
    first, second = content.get("fingerprint"), other.get("fingerprint")
    return first == second or not (isinstance(first, Mapping) and isinstance(second, Mapping))
