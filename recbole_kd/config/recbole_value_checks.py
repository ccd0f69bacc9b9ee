"""Checks of the values of RecBole's own keys, which RecBole takes without checking."""

import importlib.util
import math
import re
import sys
from collections.abc import Mapping
from typing import Any

from recbole.config import Config as RecBoleConfig
from recbole.utils import ModelType

from recbole_kd.config.model_names import model_reference
from recbole_kd.config.recbole_schema import model_defaults, recbole_defaults, recbole_numbers
from recbole_kd.errors import KDError, did_you_mean

# the limits of RecBole's numbers, which its comments do not give
_LIMITS: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    "epochs": (1, math.inf),
    "train_batch_size": (1, math.inf),
    "eval_batch_size": (1, math.inf),
    "learning_rate": (0, math.inf),
    "weight_decay": (0, math.inf),
    "loss_decimal_place": (0, 16),
    "metric_decimal_place": (0, 16),
}
_CLIP_ARGUMENTS: dict[str, tuple[type, ...]] = {
    "max_norm": (int, float),
    "norm_type": (int, float),
    "error_if_nonfinite": (bool,),
    "foreach": (bool,),
}
_NUMBER_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float)}
# numbers in a YAML file of RecBole's that may be texts such as "500,100,20" as well
_NUMBERS_OR_LISTS = ("reranker_CAN_NUM",)
LOSS_TYPES = ("CE", "BPR")
LEARNERS = ("adam", "adamw", "sgd", "adagrad", "rmsprop", "sparse_adam")
_EVAL_MODE = re.compile(r"full|labeled|(uni|pop)0*[1-9]\d*")
_METRICS_WITHOUT_TOPK = ("auc", "gauc", "logloss", "mae", "rmse")


def check_values(config: RecBoleConfig) -> None:
    """Refuse values of one model's Config that make RecBole fail, or that it ignores silently. Raises KDError."""
    for name in recbole_numbers():
        _check_number(name, config[name])
    for name, default in (recbole_defaults() | recbole_defaults("dataset/sample")).items():
        if isinstance(default, bool):
            _check_switch(name, config[name])
    _check_kinds(config)
    if config["log_wandb"] and importlib.util.find_spec("wandb") is None:
        raise KDError("log_wandb=True needs the package wandb, which is not installed: leave it out, or install it")
    _check_clip(config["clip_grad_norm"])
    _check_learner(config["learner"])
    _check_intervals(config)
    _check_negatives(config["train_neg_sample_args"] or {})
    _check_sequences(config)
    check_valid_metric(config)


def _check_switch(name: str, value: Any) -> None:
    """Raise KDError where a switch is a word: RecBole takes any word for True, 'no' among them."""
    if value not in (None, True, False):  # 0 and 1 are equal to two of these
        raise KDError(f"{name}={value!r} is out of range: it takes True or False")


def _check_kinds(config: RecBoleConfig) -> None:
    """Raise KDError where the model's YAML file has a number or a switch for a key, and the value is neither."""
    for name, default in model_defaults(model_reference(config)).items():
        value = config[name]
        if isinstance(default, bool):
            _check_switch(name, value)
        elif name in _NUMBERS_OR_LISTS:
            continue
        elif isinstance(default, (int, float)) and not isinstance(value, (int, float, type(None))):
            raise KDError(
                f"{name}={value!r} is not a number, and {config['model']}'s {name} is one, {default} by default"
            )


def _check_number(name: str, value: Any) -> None:
    """Raise KDError where one of RecBole's numbers is something else, or out of its limits."""
    if name == "loss_decimal_place" and value is None:  # RecBole takes 4 then
        return
    kind = recbole_numbers()[name]
    low, high = _LIMITS.get(name, (-math.inf, math.inf))
    is_number = isinstance(value, _NUMBER_TYPES[kind]) and not isinstance(value, bool)
    if not is_number or not low <= value <= high or value == math.inf:  # False for NaN
        limits = f"[{low}, {high}{')' if math.isinf(high) else ']'}"
        raise KDError(f"{name}={value!r} is out of range: it takes a value of type {kind} in {limits}")


def _check_clip(value: Any) -> None:
    """Raise KDError where clip_grad_norm is no dict of what torch's function takes."""
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise KDError(f"clip_grad_norm={value!r} is not a dict: write {{max_norm: {value}}}")
    # torch takes the word inf as a norm
    arguments = {key: argument for key, argument in value.items() if (key, argument) != ("norm_type", "inf")}
    fits = all(isinstance(argument, _CLIP_ARGUMENTS.get(key, ())) for key, argument in arguments.items())
    if "max_norm" not in value or not fits:
        raise KDError(
            f"clip_grad_norm={value!r}: write {{max_norm: 5}}, say, and beside it at most {list(_CLIP_ARGUMENTS)[1:]}"
        )


def check_user_values(keys: Mapping[str, Any]) -> None:
    """Refuse values that make RecBole fail while it builds a Config.

    Args:
        keys: the keys of one block, as the user gives them.

    Raises:
        KDError: the first such value.
    """
    if keys.get("metrics", True) in ([], (), ""):
        raise KDError(f"metrics={keys['metrics']!r} measure nothing: write [NDCG], say")
    for name, default in recbole_defaults().items():
        if isinstance(default, Mapping) and isinstance(keys.get(name), Mapping):
            _check_nested(name, default, keys[name])
    for name in ("load_col", "unload_col"):
        if keys.get(name) is not None and not isinstance(keys[name], Mapping):
            raise KDError(f"{name}={keys[name]!r} is not a dict: write {{inter: [user_id, item_id]}}, say")
    _check_eval_mode(keys.get("eval_args"))


def _check_nested(name: str, default: Mapping[str, Any], value: Mapping[str, Any]) -> None:
    """Check the keys and switches inside one of RecBole's dicts."""
    for key, setting in value.items():
        if key not in default:
            hint = did_you_mean(str(key), default) or f": it takes {', '.join(default)}"
            raise KDError(f"unknown key '{key}' in {name}{hint}")
        if isinstance(default[key], bool):
            _check_switch(f"{name}: {key}", setting)


def _check_eval_mode(eval_args: Any) -> None:
    mode = eval_args.get("mode") if isinstance(eval_args, Mapping) else None
    for part in mode if isinstance(mode, Mapping) else ():
        if part not in ("valid", "test"):
            raise KDError(f"eval_args: mode: unknown part '{part}': it takes valid and test")
    for value in mode.values() if isinstance(mode, Mapping) else [mode]:
        if value is not None and not (isinstance(value, str) and _EVAL_MODE.fullmatch(value)):
            raise KDError(f"eval_args: mode: RecBole has no mode {value}: write full, or uni100 or pop100, say")


def _check_learner(value: Any) -> None:
    if str(value).lower() not in LEARNERS:  # RecBole would take Adam
        raise KDError(f"learner={value!r} is not one of {', '.join(LEARNERS)}{did_you_mean(str(value), LEARNERS)}")


def _check_sequences(config: RecBoleConfig) -> None:
    """Raise KDError for a length, a loss or a switch that a sequential or knowledge-aware model would fail over."""
    if config["MODEL_TYPE"] == ModelType.KNOWLEDGE:
        _check_switch("kg_reverse_r", config["kg_reverse_r"])
    if config["MODEL_TYPE"] != ModelType.SEQUENTIAL:
        return
    length = config["MAX_ITEM_LIST_LENGTH"]
    if not isinstance(length, int) or isinstance(length, bool) or length < 1:
        raise KDError(f"MAX_ITEM_LIST_LENGTH={length!r} is out of range: it takes an int in [1, inf)")
    # RecBole chooses the form of the batches by the loss, unless the model's class does
    chooses = "loss_type" in model_defaults(model_reference(config)) and not hasattr(config.model_class, "input_type")
    if chooses and config["loss_type"] not in LOSS_TYPES:
        raise KDError(f"loss_type={config['loss_type']!r} is not one of {', '.join(LOSS_TYPES)}")


def _check_intervals(config: RecBoleConfig) -> None:
    names = ("user_inter_num_interval", "item_inter_num_interval", "entity_kg_num_interval", "relation_kg_num_interval")
    intervals = {name: config[name] for name in names}
    values = config["val_interval"] if isinstance(config["val_interval"], Mapping) else {}
    # a list names the tokens that stay
    intervals |= {f"val_interval: {name}": value for name, value in values.items() if isinstance(value, str)}
    for name, value in intervals.items():
        if value is not None and not all(map(_is_interval, str(value).split(";"))):  # RecBole would leave it out
            raise KDError(f"{name}={value!r} is not an interval: write '[5,inf)', say, or several separated by ';'")


def _is_interval(text: str) -> bool:
    text = text.strip()
    try:
        bounds = [float(bound) for bound in text[1:-1].split(",")]
    except ValueError:
        return False
    return len(bounds) == 2 and text[0] in "[(" and text[-1] in "])"


def _check_negatives(arguments: Mapping[str, Any]) -> None:
    if arguments.get("distribution", "none") == "none":
        return  # RecBole has words in place of the numbers then
    checks: list[tuple[str, tuple[type, ...], float, str]] = [
        ("sample_num", (int,), 1, "an int in [1, inf)"),
        ("alpha", (int, float), -sys.float_info.max, "a number"),
    ]
    if arguments.get("dynamic"):
        checks.append(("candidate_num", (int,), 1, "an int in [1, inf) where dynamic is True"))
    for name, types, least, allowed in checks:
        value = arguments.get(name, 1)
        is_number = isinstance(value, types) and not isinstance(value, bool)
        if not is_number or not least <= value < math.inf:
            raise KDError(f"train_neg_sample_args: {name}: {value!r} is out of range: it takes {allowed}")


def check_valid_metric(config: RecBoleConfig) -> None:
    """Refuse an unknown metric: RecBole looks it up only after the first epoch. Raises KDError."""
    names = metric_names(config)
    if config["valid_metric"].lower() not in names:
        raise KDError(f"valid_metric={config['valid_metric']} is not among metrics at topk: {', '.join(names)}")


def metric_names(config: RecBoleConfig) -> list[str]:
    """RecBole's names of the metrics that it evaluates, such as ``ndcg@10``."""
    names: list[str] = []
    for metric in config["metrics"]:
        name = metric.lower()
        names += [name] if name in _METRICS_WITHOUT_TOPK else [f"{name}@{k}" for k in config["topk"]]
    return names
