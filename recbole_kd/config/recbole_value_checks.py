"""Checks of the values of RecBole's own keys, which RecBole takes without checking."""

import importlib.util
import math
import sys
from collections.abc import Mapping
from typing import Any

from recbole.config import Config as RecBoleConfig
from recbole.utils import ModelType

from recbole_kd.config.model_names import model_reference
from recbole_kd.config.nested_values import check_clip, check_nested_values, is_int, is_interval
from recbole_kd.config.recbole_schema import model_defaults, recbole_defaults, recbole_numbers, recbole_texts
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
_NUMBER_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float)}
# numbers in a YAML file of RecBole's that may be texts such as "500,100,20" as well
_NUMBERS_OR_LISTS = ("reranker_CAN_NUM",)
STATES = ("info", "debug", "error", "warning", "critical")
LOSS_TYPES = ("CE", "BPR")
LEARNERS = ("adam", "adamw", "sgd", "adagrad", "rmsprop", "sparse_adam")
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
    check_clip(config["clip_grad_norm"])
    _check_learner(config["learner"])
    _check_intervals(config)
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
    # False for NaN; an int may be larger than any float
    if not is_number or not low <= value <= high or (kind == "float" and abs(value) > sys.float_info.max):
        limits = f"[{low}, {high}{')' if math.isinf(high) else ']'}"
        raise KDError(f"{name}={value!r} is out of range: it takes a value of type {kind} in {limits}")


def check_user_values(keys: Mapping[str, Any]) -> None:
    """Refuse values that make RecBole fail while it builds a Config.

    Args:
        keys: the keys of one block, as the user gives them.

    Raises:
        KDError: the first such value.
    """
    if keys.get("metrics", True) in ([], (), ""):
        raise KDError(f"metrics={keys['metrics']!r} measure nothing: write [NDCG], say")
    check_nested_values(keys)
    _check_texts(keys)
    _check_gpus(keys.get("gpu_id"))


def _check_texts(keys: Mapping[str, Any]) -> None:
    """Raise KDError where one of RecBole's texts is something else: RecBole fails over it late, or without a name."""
    for name in keys:
        if name not in recbole_texts() or name == "gpu_id":
            continue
        value, default = keys[name], (recbole_defaults() | recbole_defaults("dataset/sample")).get(name)
        optional = default is None or name == "state" or name.endswith("_num_interval")
        if not (value is None and optional) and not (isinstance(value, str) and value):
            raise KDError(f"{name}={value!r} is out of range: it takes a text (default {default!r})")
    if isinstance(keys.get("state"), str) and keys["state"].lower() not in STATES:  # RecBole would take INFO
        raise KDError(f"state={keys['state']!r} is not one of {', '.join(STATES)}{did_you_mean(keys['state'], STATES)}")


def _check_gpus(value: Any) -> None:
    is_single = value is None or (isinstance(value, (str, int)) and not isinstance(value, bool))
    if not is_single and not (isinstance(value, tuple) and all(is_int(gpu, 0) for gpu in value)):
        raise KDError(
            f"gpu_id={value!r} is out of range: write the numbers of GPUs as a text, '0,1', or '' for the CPU"
        )


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
        if value is not None and not is_interval(str(value)):  # RecBole would leave it out
            raise KDError(f"{name}={value!r} is not an interval: write '[5,inf)', say, or several separated by ';'")


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
