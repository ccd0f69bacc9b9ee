"""Checks of the files that a comparison reads back: fields, types and ranges, against what was asked."""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from recbole_kd.compare.plan import TEST
from recbole_kd.evaluation.popularity_recall import BINS

Check = Callable[[Any], bool]


def is_run_row(row: Mapping[str, Any], requested: Mapping[str, Any], part: str, metrics: Collection[str]) -> bool:
    """Whether a run's file holds what a run writes.

    Args:
        row: the content of the file.
        asked: the fields that say which run it is, by name.
        part: the part of the split that is compared.
        metrics: the names of the metrics of the run.
    """
    if any(row.get(name) != value for name, value in requested.items()) or not isinstance(row.get("keys"), dict):
        return False
    if "failed" in row:
        return isinstance(row["failed"], str) and bool(row["failed"])
    if not all(name in row and is_valid(row[name]) for name, is_valid in FIELDS.items()):
        return False
    results = ["valid_result", *(["test_result"] if part == TEST else [])]
    if any(set(row[name]) != set(metrics) for name in results):
        return False
    return all(name not in row or _is_list_of(row[name], _is_text) for name in ("warnings",))


def is_speed_row(row: Mapping[str, Any], names: Collection[str]) -> bool:
    """Whether a file holds the milliseconds of these models."""
    speeds = row.get("ms_per_user")
    return isinstance(speeds, dict) and set(speeds) == set(names) and all(map(_is_amount, speeds.values()))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_amount(value: Any) -> bool:
    return _is_number(value) and 0 <= value < math.inf


def _or_none(is_valid: Check) -> Check:
    return lambda value: value is None or is_valid(value)


def _is_list_of(value: Any, is_valid: Check) -> bool:
    return isinstance(value, list) and all(map(is_valid, value))


def _is_dict_of(is_valid: Check) -> Check:
    return lambda value: isinstance(value, dict) and all(map(is_valid, value.values()))


def _is_point(value: Any) -> bool:
    """A validation score: its epoch and the number."""
    return isinstance(value, list) and len(value) == 2 and _is_count(value[0]) and _is_number(value[1])


def _is_parts(value: Any) -> bool:
    return _is_dict_of(_is_count)(value) and set(value) == {"train", "valid", "test"}


def _is_bin(value: Any) -> bool:
    """One entry of ``popularity``, a BinRecall."""
    names = {"items", "least", "most", "pairs", "hits"}
    if not isinstance(value, dict) or set(value) != names:
        return False
    counts = [value[name] for name in names if value[name] is not None or name not in ("least", "most")]
    return all(map(_is_count, counts)) and value["hits"] <= value["pairs"]


def _is_popularity(value: Any) -> bool:
    return _is_list_of(value, _is_bin) and len(value) == BINS


FIELDS: dict[str, Check] = {
    "test_result": _is_dict_of(_is_number),
    "valid_result": _is_dict_of(_is_number),
    "parameters": _is_count,
    "bytes": _is_count,
    "checkpoint": _or_none(_is_text),
    "epochs": _or_none(_is_count),
    "seconds": _or_none(_is_amount),
    "best_epoch": _or_none(lambda value: type(value) is int),
    "valid_metric": _is_text,
    "valid_scores": lambda value: _is_list_of(value, _is_point),
    "k": _is_count,
    "popularity": _or_none(_is_popularity),
    "users": _is_count,
    "items": _is_count,
    "interactions": _is_parts,
    "split": _is_text,
    "versions": _is_dict_of(_is_text),
}
"""What the file of a run that has not failed must hold, by field."""
