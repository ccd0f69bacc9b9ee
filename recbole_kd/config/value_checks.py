"""Checks of the values of RecBole's own keys, which RecBole takes without checking."""

import importlib.util
import math
import re
import sys
from collections.abc import Mapping

from recbole_kd.config.recbole_schema import recbole_defaults, recbole_numbers
from recbole_kd.errors import KDError, did_you_mean

_LIMITS = {  # of its numbers, which its comments don't give
    "seed": (0, 2**32 - 1),
    "epochs": (1, math.inf),
    "train_batch_size": (1, math.inf),
    "eval_batch_size": (1, math.inf),
    "learning_rate": (0, math.inf),
    "weight_decay": (0, math.inf),
    "loss_decimal_place": (0, 16),
    "metric_decimal_place": (0, 16),
}
_CLIP_ARGUMENTS = {
    "max_norm": (int, float),
    "norm_type": (int, float),
    "error_if_nonfinite": (bool,),
    "foreach": (bool,),
}
_NUMBER_TYPES: dict = {"int": int, "float": (int, float)}
LEARNERS = ("adam", "adamw", "sgd", "adagrad", "rmsprop", "sparse_adam")
_EVAL_MODE = re.compile(r"full|labeled|(uni|pop)0*[1-9]\d*")


def check_values(config):
    """Refuse values of one model's Config that RecBole would fail over, or pass over in silence. Raises KDError."""
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
    check_valid_metric(config)


def _check_switch(name, value):
    """Raise KDError where what turns something on or off is a word: RecBole takes any for True, 'no' among them."""
    if value not in (None, True, False):  # 0 and 1 among these
        raise KDError(f"{name}={value!r} is out of range: it takes True or False")


def _check_kinds(config):
    """Raise KDError where a key of a model's own is no number and RecBole's value is one, or no switch likewise."""
    for name, default in recbole_defaults(f"model/{config['model']}").items():
        value = config[name]
        if isinstance(default, bool):
            _check_switch(name, value)
        elif isinstance(default, (int, float)) and not isinstance(value, (int, float, type(None))):
            raise KDError(f"{name}={value!r} is no number, and {config['model']}'s {name} is one, {default} by default")


def _check_number(name, value):
    """Raise KDError where one of RecBole's numbers is none, or a count of nothing."""
    if name == "loss_decimal_place" and value is None:  # 4, to RecBole
        return
    kind = recbole_numbers()[name]
    low, high = _LIMITS.get(name, (-math.inf, math.inf))
    number = isinstance(value, _NUMBER_TYPES[kind]) and not isinstance(value, bool)
    if not number or not low <= value <= high or value == math.inf:  # false for NaN
        limits = f"[{low}, {high}{')' if math.isinf(high) else ']'}"
        raise KDError(f"{name}={value!r} is out of range: it takes a value of type {kind} in {limits}")


def _check_clip(value):
    """Raise KDError where RecBole's clip_grad_norm is no dict of what torch's function takes."""
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise KDError(f"clip_grad_norm={value!r} is no dict: write {{max_norm: {value}}}")
    given = {key: inner for key, inner in value.items() if (key, inner) != ("norm_type", "inf")}  # torch takes the word
    if "max_norm" not in value or not all(
        isinstance(inner, _CLIP_ARGUMENTS.get(key, ())) for key, inner in given.items()
    ):
        raise KDError(
            f"clip_grad_norm={value!r}: write {{max_norm: 5}}, say, and beside it at most {list(_CLIP_ARGUMENTS)[1:]}"
        )


def check_user_values(keys):
    """Refuse what RecBole would fail over while it makes a Config; ``keys``: as the user gives them. Raises KDError."""
    if keys.get("metrics", True) in ([], (), ""):
        raise KDError(f"metrics={keys['metrics']!r} measure nothing: write [NDCG], say")
    for name, default in recbole_defaults().items():
        if isinstance(default, Mapping) and isinstance(keys.get(name), Mapping):
            for key in keys[name]:
                if key not in default:
                    hint = did_you_mean(str(key), default) or f": it takes {', '.join(default)}"
                    raise KDError(f"nobody knows the key '{key}' in {name}{hint}")
                if isinstance(default[key], bool):
                    _check_switch(f"{name}: {key}", keys[name][key])
    for name in ("load_col", "unload_col"):
        if keys.get(name) is not None and not isinstance(keys[name], Mapping):
            raise KDError(f"{name}={keys[name]!r} is no dict: write {{inter: [user_id, item_id]}}, say")
    asked = keys.get("eval_args")
    mode = asked.get("mode") if isinstance(asked, Mapping) else None
    for part in mode if isinstance(mode, Mapping) else ():
        if part not in ("valid", "test"):
            raise KDError(f"eval_args: mode: nobody knows the part '{part}': it takes valid and test")
    for one in mode.values() if isinstance(mode, Mapping) else [mode]:
        if one is not None and not (isinstance(one, str) and _EVAL_MODE.fullmatch(one)):
            raise KDError(f"eval_args: mode: {one} is none of RecBole's: write full, or uni100 or pop100, say")


def _check_learner(value):
    if str(value).lower() not in LEARNERS:  # RecBole would take Adam
        raise KDError(f"learner={value!r} is none of {', '.join(LEARNERS)}{did_you_mean(str(value), LEARNERS)}")


def _check_intervals(config):
    found = {name: config[name] for name in ("user_inter_num_interval", "item_inter_num_interval")}
    values = config["val_interval"] if isinstance(config["val_interval"], Mapping) else {}
    # a list is of tokens that stay
    found |= {f"val_interval: {name}": value for name, value in values.items() if isinstance(value, str)}
    for name, value in found.items():
        if value is not None and not all(map(_is_interval, str(value).split(";"))):  # RecBole would leave it out
            raise KDError(f"{name}={value!r} is no interval: write '[5,inf)', say, or several parted by ';'")


def _is_interval(text):
    text = text.strip()
    ends = text[1:-1].split(",")
    try:
        numbers = [float(end) for end in ends]
    except ValueError:
        return False
    return len(numbers) == 2 and text[0] in "[(" and text[-1] in "])"


def _check_negatives(args):
    if args.get("distribution", "none") == "none":
        return  # RecBole writes words where numbers stand else
    asked = [("sample_num", (int,), 1, "an int in [1, inf)"), ("alpha", (int, float), -sys.float_info.max, "a number")]
    if args.get("dynamic"):
        asked.append(("candidate_num", (int,), 1, "an int in [1, inf) where dynamic is True"))
    for name, kinds, least, takes in asked:
        value = args.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value < math.inf:
            raise KDError(f"train_neg_sample_args: {name}: {value!r} is out of range: it takes {takes}")


def check_valid_metric(config):
    """Refuse an unknown metric: RecBole looks it up only after the first epoch. Raises KDError."""
    names = metric_names(config)
    if config["valid_metric"].lower() not in names:
        raise KDError(f"valid_metric={config['valid_metric']} is not among metrics at topk: {', '.join(names)}")


def metric_names(config):
    """What RecBole will call the metrics that it evaluates, ``ndcg@10``, say."""
    whole = ("auc", "gauc", "logloss", "mae", "rmse")
    names = [name.lower() for name in config["metrics"]]
    return [n for name in names for n in ([name] if name in whole else [f"{name}@{k}" for k in config["topk"]])]
