"""What the marker beside a complete checkpoint may hold."""

import itertools
import math
from typing import Any


def is_done_marker(marker: Any) -> bool:
    """Whether a JSON content is the marker of a training that has ended.

    >>> is_done_marker({"best_valid_score": 0.5, "epochs": 2, "seconds": 1.0, "valid_scores": [[0, 0.4], [1, 0.5]]})
    True
    >>> is_done_marker({"best_valid_score": 0.5, "epochs": 2, "seconds": 1.0, "valid_scores": [[2, 0.5]]})
    False
    """
    if not isinstance(marker, dict):
        return False
    if not {"best_valid_score", "epochs", "seconds", "valid_scores"} <= set(marker):
        return False
    epochs, seconds = marker["epochs"], marker["seconds"]
    if type(epochs) is not int or epochs < 0 or not _is_number(marker["best_valid_score"]):
        return False
    if not _is_number(seconds) or not 0 <= seconds < math.inf or not _is_curve(marker["valid_scores"], epochs):
        return False
    progress = marker.get("progress", {})
    return isinstance(progress, dict) and all(_is_curve(points, epochs) for points in progress.values())


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_curve(points: Any, epochs: int) -> bool:
    """Whether these are lists of an epoch before ``epochs`` and a number each, by rising epoch."""
    if not isinstance(points, list) or not all(isinstance(point, list) and len(point) == 2 for point in points):
        return False
    if not all(type(epoch) is int and 0 <= epoch < epochs and _is_number(value) for epoch, value in points):
        return False
    return all(before[0] < after[0] for before, after in itertools.pairwise(points))
