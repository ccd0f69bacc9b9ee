"""The settings that decide a split, and checks of them before and after the dataset is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole.config import Config
from recbole.data.dataset import Dataset
from recbole.utils import EvaluatorType, ModelType
from recbole.utils.argument_list import dataset_arguments

from recbole_kd.errors import KDError

PARTS = ("train", "valid", "test")
FILTER_KEYS = (
    "val_interval",
    "user_inter_num_interval",
    "item_inter_num_interval",
    "filter_inter_by_user_or_item",
    "rm_dup_inter",
)
SPLIT_KEYS = tuple(dict.fromkeys(("eval_args", "seed", "reproducibility", *FILTER_KEYS, *dataset_arguments)))
# which files RecBole's Dataset reads and how, beside the keys that it lists as its arguments
READING_KEYS = ("dataset", "data_path", "encoding", "discretization", "numerical_features")


def differing_keys(
    keys: tuple[str, ...], first: Mapping[str, Any] | Config, second: Mapping[str, Any] | Config
) -> list:
    """The keys whose values lead to different splits.

    Args:
        keys: RecBole keys, such as ``SPLIT_KEYS``.
        first: a Config, or the dict of one that a checkpoint holds.
        second: likewise.
    """
    return [key for key in keys if not _same_value(key, _value(first, key), _value(second, key))]


def _value(config: Mapping[str, Any] | Config, key: str) -> Any:
    return config.get(key) if isinstance(config, Mapping) else config[key]


def _same_value(key: str, first: Any, second: Any) -> bool:
    first, second = _normalise(key, first), _normalise(key, second)
    if not isinstance(first, (dict, list, str, int, float)):
        return first is second
    return type(first) is type(second) and bool(first == second)


def _normalise(key: str, value: Any) -> Any:
    """One spelling for the values that RecBole treats alike; how models are evaluated is no part of a split."""
    if isinstance(value, str):
        value = value.replace(" ", "")
    if key.endswith("_num_interval") and value in (None, "[0,inf)"):
        return None
    if key == "eval_args" and isinstance(value, Mapping):
        return {name: inner for name, inner in value.items() if name != "mode"}
    return value


def check_split_settings(config: Config) -> None:
    """Refuse settings that no model can be trained and ranked with, and that RecBole would fail over.

    Raises:
        KDError: with the key, its value and what works.
    """
    _check_part_count(config)
    _check_loaded_columns(config)
    _check_ranking_evaluation(config)
    _check_knowledge_files(config)


def _check_part_count(config: Config) -> None:
    files = config["benchmark_filename"]
    ratios = ((config["eval_args"] or {}).get("split") or {}).get("RS")
    key, value = ("benchmark_filename", files) if files else ("eval_args: {split: {RS: …}}", ratios)
    if value is not None and (not isinstance(value, (list, tuple)) or len(value) != len(PARTS)):
        raise KDError(f"{key} is {value!r}: three parts are needed, for training, validation and test")


def _check_loaded_columns(config: Config) -> None:
    """Refuse filters by columns that load_col leaves out."""
    load_col = config["load_col"]
    if not isinstance(load_col, Mapping) or "*" in load_col.values():
        return
    loaded = {column for columns in load_col.values() for column in columns or ()}
    for key in ("val_interval", "threshold"):
        for column in config[key] if isinstance(config[key], Mapping) else {}:
            if column not in loaded:
                raise KDError(
                    f"{key} asks for the column '{column}', which was not read: write load_col: {{inter: "
                    f"[{config['USER_ID_FIELD']}, {config['ITEM_ID_FIELD']}, {column}]}}"
                )


def _check_ranking_evaluation(config: Config) -> None:
    eval_args = config["eval_args"] or {}
    mode = eval_args.get("mode")
    modes = mode.values() if isinstance(mode, dict) else [mode]
    if config["eval_type"] == EvaluatorType.VALUE or "labeled" in modes:
        raise KDError(
            f"eval_args={eval_args!r} and metrics={config['metrics']!r} measure predicted values: students are "
            "measured by what they rank, so write mode: full and metrics such as NDCG"
        )


def _check_knowledge_files(config: Config) -> None:
    """Refuse a knowledge-aware model on a dataset without a knowledge graph; a missing folder is left to RecBole."""
    folder = Path(config["data_path"])
    if config["MODEL_TYPE"] != ModelType.KNOWLEDGE or not folder.is_dir():
        return
    columns = {
        "kg": [config[f"{name}_ID_FIELD"] for name in ("HEAD_ENTITY", "RELATION", "TAIL_ENTITY")],
        "link": [config["ITEM_ID_FIELD"], config["ENTITY_ID_FIELD"]],
    }
    loaded = config["load_col"]
    for suffix, names in columns.items():
        if not (folder / f"{config['dataset']}.{suffix}").is_file():
            raise KDError(
                f"{config['model']} reads a knowledge graph, and '{folder}' has no {config['dataset']}.{suffix} with "
                f"the columns {', '.join(names)}: put it there, or take a model that is not knowledge-aware"
            )
        read = loaded.get(suffix, ()) if isinstance(loaded, Mapping) else "*"
        if read != "*" and not set(names) <= set(read or ()):
            raise KDError(
                f"load_col leaves out columns of the knowledge graph that {config['model']} reads: write {suffix}: "
                f"[{', '.join(names)}] in it"
            )


def check_columns(config: Config, dataset: Dataset) -> None:
    """Refuse a dataset without the columns, or with fewer items, than the settings ask for.

    Raises:
        KDError: with the key, what the dataset has and what works.
    """
    _check_id_columns(config, dataset)
    _check_time_column(config, dataset)
    longest = max(config["topk"])
    if longest > dataset.item_num:
        raise KDError(f"topk={config['topk']} asks for {longest} items of {dataset.item_num - 1}: take smaller ones")


def _check_id_columns(config: Config, dataset: Dataset) -> None:
    for key in ("USER_ID_FIELD", "ITEM_ID_FIELD"):
        if config[key] not in dataset.field2id_token:
            raise KDError(
                f"the dataset '{config['dataset']}' has no column '{config[key]}': set {key} to the name it has"
            )


def _check_time_column(config: Config, dataset: Dataset) -> None:
    if sorts_by_time(config) and config["TIME_FIELD"] not in dataset.inter_feat.columns:
        raise KDError(
            f"eval_args: order: TO sorts by the column '{config['TIME_FIELD']}', which was not read: write "
            f"load_col: {{inter: [{config['USER_ID_FIELD']}, {config['ITEM_ID_FIELD']}, {config['TIME_FIELD']}]}}"
        )


def sorts_by_time(config: Config) -> bool:
    """Whether RecBole sorts the interactions by time before it splits them."""
    return (config["eval_args"] or {}).get("order") == "TO" and not config["benchmark_filename"]
