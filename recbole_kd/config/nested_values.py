"""Checks of the values inside the keys that RecBole takes as a dict or a list, and reads without checking."""

import math
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from recbole_kd.errors import KDError, did_you_mean

Check = Callable[[Any], bool]

_EVAL_MODE = re.compile(r"full|labeled|(uni|pop)0*[1-9]\d*")
_LEAVE_OUT = ("valid_and_test", "valid_only", "test_only")
NAME_LISTS = (
    *("alias_of_user_id", "alias_of_item_id", "alias_of_entity_id", "alias_of_relation_id", "normalize_field"),
    *("numerical_features", "benchmark_filename"),
)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, and no switch."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def is_int(value: Any, least: float = 1) -> bool:
    """Whether a value is an int that is not below ``least``, and no switch."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_interval(text: Any) -> bool:
    """Whether a text is an interval such as ``[5,inf)``, or several separated by a semicolon."""
    return isinstance(text, str) and all(map(_is_single_interval, text.split(";")))


def _is_single_interval(text: str) -> bool:
    text = text.strip()
    try:
        low, high = (float(bound) for bound in text[1:-1].split(","))
    except ValueError:
        return False
    return text[0] in "[(" and text[-1] in "])" and low <= high  # False for NaN


def _is_names(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)


def _is_switch(value: Any) -> bool:
    return value is None or isinstance(value, bool) or (isinstance(value, int) and value in (0, 1))


def _is_ratio(value: Any) -> bool:
    fits = isinstance(value, (list, tuple)) and bool(value) and all(is_number(part) and part >= 0 for part in value)
    return fits and value[0] > 0


def _is_bucketing(value: Any) -> bool:
    if not isinstance(value, Mapping) or set(value) - {"method", "bucket"}:
        return False
    return value.get("method") == "LD" or (value.get("method") == "ED" and is_int(value.get("bucket")))


def _is_norm(value: Any) -> bool:
    return value in ("inf", math.inf) or (is_number(value) and value > 0)


# for each key of a dict: its check, and what it takes
_CLIP: dict[str, tuple[Check, str]] = {
    "max_norm": (lambda value: is_number(value) and value > 0, "a number above 0"),
    "norm_type": (_is_norm, "a number above 0, or inf"),
    "error_if_nonfinite": (lambda value: isinstance(value, bool), "True or False"),
    "foreach": (lambda value: value is None or isinstance(value, bool), "True or False"),
}
_NEGATIVES: dict[str, tuple[Check, str]] = {
    "distribution": (lambda value: value in (None, "None", "none", "uniform", "popularity"), "uniform or popularity"),
    "sample_num": (lambda value: value == "none" or is_int(value), "an int in [1, inf)"),
    "alpha": (lambda value: value == "none" or is_number(value), "a number"),
    "dynamic": (_is_switch, "True or False"),
    "candidate_num": (lambda value: is_int(value, 0), "an int in [0, inf)"),
}
_EVALUATION: dict[str, tuple[Check, str]] = {
    "split": (lambda value: value is None or isinstance(value, Mapping), "{RS: [0.8, 0.1, 0.1]} or {LS: test_only}"),
    "group_by": (lambda value: str(value).lower() in ("user", "none"), "user or none"),
    "order": (lambda value: value in ("RO", "TO"), "RO or TO"),
    "mode": (lambda value: True, ""),
}
# for each key whose dict has names of the user's: the check of a value, what it takes, and an example
_BY_NAME: dict[str, tuple[Check, str, str]] = {
    "load_col": (
        lambda value: value in (None, "*") or _is_names(value),
        "a list of columns, or '*'",
        "{inter: [user_id, item_id]}",
    ),
    "unload_col": (lambda value: value is None or _is_names(value), "a list of columns", "{inter: [timestamp]}"),
    "unused_col": (lambda value: value is None or _is_names(value), "a list of columns", "{inter: [timestamp]}"),
    "val_interval": (
        lambda value: is_interval(value) or isinstance(value, (list, tuple)),
        "an interval, or the list of tokens that stay",
        "{rating: '[3,inf)'}",
    ),
    "threshold": (is_number, "a number", "{rating: 4}"),
    "seq_len": (is_int, "an int in [1, inf)", "{history: 50}"),
    "discretization": (_is_bucketing, "{method: ED, bucket: 10} or {method: LD}", "{price: {method: ED, bucket: 10}}"),
    "preload_weight": (lambda value: isinstance(value, str), "the name of a column", "{item_id: vector}"),
}


def check_nested_values(keys: Mapping[str, Any]) -> None:
    """Refuse values inside dicts and lists that make RecBole fail, or that it reads as something else.

    Args:
        keys: the keys of one block, as the user gives them.

    Raises:
        KDError: the first such value, with the key and what it takes.
    """
    check_clip(keys.get("clip_grad_norm"))
    _check_fixed("train_neg_sample_args", keys.get("train_neg_sample_args"), _NEGATIVES)
    _check_candidates(keys.get("train_neg_sample_args"))
    _check_fixed("eval_args", keys.get("eval_args"), _EVALUATION)
    if isinstance(keys.get("eval_args"), Mapping):
        _check_split(keys["eval_args"].get("split"))
        _check_eval_mode(keys["eval_args"].get("mode"))
    for name, (check, allowed, example) in _BY_NAME.items():
        _check_by_name(name, keys.get(name), check, allowed, example)
    for name in NAME_LISTS:
        if keys.get(name) is not None and not _is_names(keys[name]):
            raise KDError(f"{name}={keys[name]!r} is out of range: it takes a list of names")


def check_clip(value: Any) -> None:
    """Refuse a clip_grad_norm that is no dict of what torch's function takes. Raises KDError."""
    if value is None:
        return
    if not isinstance(value, Mapping):
        example = value if is_number(value) and value > 0 else 5
        raise KDError(f"clip_grad_norm={value!r} is not a dict: write {{max_norm: {example}}}")
    _check_fixed("clip_grad_norm", value, _CLIP)
    if "max_norm" not in value:
        raise KDError(f"clip_grad_norm={value!r} lacks max_norm: write {{max_norm: 5}}, say")


def _check_fixed(name: str, value: Any, checks: Mapping[str, tuple[Check, str]]) -> None:
    """Check a dict whose keys are RecBole's; what is no dict is left to RecBole."""
    for key, setting in value.items() if isinstance(value, Mapping) else ():
        if key not in checks:
            hint = did_you_mean(str(key), checks) or f": it takes {', '.join(checks)}"
            raise KDError(f"unknown key '{key}' in {name}{hint}")
        check, allowed = checks[key]
        if not check(setting):
            raise KDError(f"{name}: {key}: {setting!r} is out of range: it takes {allowed}")


def _check_by_name(name: str, value: Any, check: Check, allowed: str, example: str) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise KDError(f"{name}={value!r} is not a dict of names: write {example}, say")
    for key, setting in value.items():
        if not check(setting):
            raise KDError(f"{name}: {key}: {setting!r} is out of range: it takes {allowed}, as in {example}")


def _check_candidates(arguments: Any) -> None:
    if isinstance(arguments, Mapping) and arguments.get("dynamic") and not is_int(arguments.get("candidate_num", 0)):
        raise KDError(
            f"train_neg_sample_args: candidate_num: {arguments.get('candidate_num', 0)!r} is out of range: it takes an "
            "int in [1, inf) where dynamic is True"
        )


def _check_split(split: Any) -> None:
    if not isinstance(split, Mapping):
        return
    if len(split) != 1 or next(iter(split)) not in ("RS", "LS"):
        raise KDError(f"eval_args: split: {dict(split)!r} is out of range: write {{RS: [0.8, 0.1, 0.1]}}, say")
    if "RS" in split and split["RS"] is not None and not _is_ratio(split["RS"]):
        raise KDError(
            f"eval_args: split: RS: {split['RS']!r} is out of range: it takes a list of numbers from 0, the first of "
            "them above 0"
        )
    if "LS" in split and split["LS"] not in _LEAVE_OUT:
        raise KDError(f"eval_args: split: LS: {split['LS']!r} is not one of {', '.join(_LEAVE_OUT)}")


def _check_eval_mode(mode: Any) -> None:
    for part in mode if isinstance(mode, Mapping) else ():
        if part not in ("valid", "test"):
            raise KDError(f"eval_args: mode: unknown part '{part}': it takes valid and test")
    for value in mode.values() if isinstance(mode, Mapping) else [mode]:
        if value is not None and not (isinstance(value, str) and _EVAL_MODE.fullmatch(value)):
            raise KDError(f"eval_args: mode: RecBole has no mode {value}: write full, or uni100 or pop100, say")
