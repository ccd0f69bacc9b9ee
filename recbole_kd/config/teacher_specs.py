"""The teachers of a resolved configuration: their labels, and the keys and weights that belong to them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole.config import Config as RecBoleConfig

from recbole_kd.config.model_names import class_name
from recbole_kd.config.teacher_entries import TeacherEntry, entries_to_keys
from recbole_kd.errors import KDError


@dataclass(frozen=True)
class TeacherSpec:
    """A teacher that a run will have.

    Attributes:
        entry: the teacher as the user names it.
        label: its name in tables and messages.
        config: its plain RecBole Config; None for files of scores and vectors.
    """

    entry: TeacherEntry
    label: str
    config: RecBoleConfig | None


def teacher_keys(entries: Sequence[TeacherEntry], models: Sequence[str | None]) -> dict[str, Any]:
    """The keys that name the teachers, as the config holds them."""
    names = models[0] if len(models) == 1 else [model for model in models if model] or None
    return {"teacher_path": None, "teachers": None, **entries_to_keys(entries), "teacher_model": names}


def check_ensemble_weights(weights: Any, teachers: Sequence[TeacherSpec]) -> None:
    """Refuse ensemble weights that are not one positive number for each of several teachers. Raises KDError."""
    if weights is None:
        return
    numbers = all(
        isinstance(weight, (int, float)) and not isinstance(weight, bool) and 0 < weight < math.inf
        for weight in weights
    )
    if len(teachers) < 2 or len(weights) != len(teachers) or not numbers:
        raise KDError(
            f"ensemble_weights={weights!r} is out of range: it takes a number above 0 for each of several teachers, "
            f"and there {'is one' if len(teachers) == 1 else f'are {len(teachers)}'}"
        )


def teacher_labels(entries: Sequence[TeacherEntry], models: Sequence[str | None]) -> list[str]:
    """A label for each teacher: its model's name, or its file's; with its keys and file where names are equal."""
    names = [
        class_name(model) if model else " ".join(Path(file).name for file in entry.files)
        for entry, model in zip(entries, models, strict=True)
    ]
    labels = []
    for entry, name in zip(entries, names, strict=True):
        details = [f"{key}={value}" for key, value in entry.keys.items()]
        details += [Path(entry.path).name] if entry.path else []
        labels.append(" ".join([name, *details]) if names.count(name) > 1 else name)
    return labels
