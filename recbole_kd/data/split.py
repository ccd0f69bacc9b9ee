"""RecBole's split of a dataset, and the pairs in its parts."""

import os
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from recbole.data import create_dataset, data_preparation
from recbole.utils import EvaluatorType, init_seed

from recbole_kd.data.atomic_files import check_headers
from recbole_kd.data.eval_mask import mask_training
from recbole_kd.data.fingerprint import Fingerprint, sha256_of
from recbole_kd.errors import KDError, error_sentence

PARTS = ("train", "valid", "test")
NO_PATH = os.path.join(os.devnull, "none")


@dataclass(frozen=True)
class Split:
    """RecBole's dataset and loaders of one config, and the pairs in them.

    Attributes:
        pairs: for train, valid and test: sorted distinct user * n_items + item, int64.
        tokens: users' and items' tokens by id.
    """

    dataset: Any
    train: Any
    valid: Any
    test: Any
    pairs: dict
    tokens: tuple
    fingerprint: Fingerprint

    @property
    def train_pairs(self):
        """The training pairs as two int64 tensors, users and items."""
        size = len(self.tokens[1])
        return torch.from_numpy(self.pairs["train"] // size), torch.from_numpy(self.pairs["train"] % size)


def prepare_split(config):
    """RecBole's split of a config, exactly as ``run_recbole`` makes it: seeded first, nothing drawn in between.

    Raises:
        KDError: the dataset is not there or does not fit its settings.
    """
    init_seed(config["seed"], config["reproducibility"])
    try:
        _check_split_settings(config)
        check_headers(config)
        with _without_saved_data(config):
            dataset = create_dataset(config)
            _check_columns(config, dataset)
            loaders = data_preparation(config, dataset)
    except KDError:
        raise
    except Exception as error:  # RecBole's own refusals, and what a file of another form makes it stumble over
        raise KDError(f"the dataset '{config['dataset']}' could not be prepared: {error_sentence(error)}") from error
    pairs = {name: distinct_pairs(loader._dataset) for name, loader in zip(PARTS, loaders, strict=True)}
    if not len(pairs["train"]):
        raise KDError(f"the dataset '{config['dataset']}' has no training interaction left after its filters")
    tokens = read_tokens(dataset)
    train, valid, test = loaders
    doubles = _repeated_pairs(train._dataset)  # a pair that stands twice is trained on twice
    trained = sha256_of(pairs["train"], doubles) if doubles.size else sha256_of(pairs["train"])
    fingerprint = Fingerprint(sha256_of(*tokens), trained, sha256_of(pairs["valid"]), sha256_of(pairs["test"]))
    if config["eval_mask"] == "train":
        mask_training(test, pairs["train"])
    return Split(dataset, train, valid, test, pairs, tokens, fingerprint)


@contextmanager
def _without_saved_data(config):
    """RecBole reads no loaders that it has saved, whose negatives and form may be those of another model, and no
    dataset but one that ``dataset_save_path`` names: what lies in a checkpoint folder may be of earlier files.
    """
    named = {key: config[key] for key in ("dataset_save_path", "dataloaders_save_path")}
    config.final_config_dict.update(
        dataset_save_path=named["dataset_save_path"] or NO_PATH, dataloaders_save_path=NO_PATH
    )
    try:
        yield
    finally:
        config.final_config_dict.update(named)


def read_tokens(dataset):
    """Users' and items' tokens by id, two arrays of strings."""
    return tuple(
        np.asarray(dataset.field2id_token[field]).astype(str) for field in (dataset.uid_field, dataset.iid_field)
    )


def require_part(config, data, part, purpose):
    """Refuse a split that leaves nothing in one of its parts, which is there for a ``purpose``. Raises KDError."""
    if not len(data.pairs[part]):
        raise KDError(f"eval_args={config['eval_args']!r} leaves no {part} pair to {purpose}: keep some")


def distinct_pairs(dataset):
    """The distinct pairs of a RecBole dataset as user * n_items + item, sorted, int64."""
    return np.unique(_pair_ids(dataset))


def _repeated_pairs(dataset):
    """The pairs that stand there more than once, and how often, int64, shape [2, c]."""
    pairs, counts = np.unique(_pair_ids(dataset), return_counts=True)
    return np.stack([pairs[counts > 1], counts[counts > 1]])


def _pair_ids(dataset):
    users, items = (
        dataset.inter_feat[field].numpy().astype(np.int64) for field in (dataset.uid_field, dataset.iid_field)
    )
    return users * dataset.item_num + items


def _check_split_settings(config):
    """Refuse what no model can be trained and ranked with, and RecBole would stumble over. Raises KDError."""
    files, asked = config["benchmark_filename"], config["eval_args"] or {}
    ratios = (asked.get("split") or {}).get("RS")
    key, parts = ("benchmark_filename", files) if files else ("eval_args: {split: {RS: …}}", ratios)
    if parts is not None and (not isinstance(parts, (list, tuple)) or len(parts) != len(PARTS)):
        raise KDError(f"{key} is {parts!r}: three parts are needed, for training, validation and test")
    _check_loaded_columns(config)
    mode = asked.get("mode")
    modes = mode.values() if isinstance(mode, dict) else [mode]
    if config["eval_type"] == EvaluatorType.VALUE or "labeled" in modes:
        raise KDError(
            f"eval_args={asked!r} and metrics={config['metrics']!r} measure predicted values: students are measured by "
            "what they rank, so write mode: full and metrics such as NDCG"
        )


def _check_loaded_columns(config):
    """Refuse filters by columns that load_col leaves out. Raises KDError."""
    read = config["load_col"]
    if not isinstance(read, Mapping) or "*" in read.values():
        return
    columns = {column for some in read.values() for column in some or ()}
    for key in ("val_interval", "threshold"):
        asked = config[key] if isinstance(config[key], Mapping) else {}
        for column in asked:
            if column not in columns:
                raise KDError(
                    f"{key} asks for the column '{column}', which was not read: write load_col: {{inter: "
                    f"[{config['USER_ID_FIELD']}, {config['ITEM_ID_FIELD']}, {column}]}}"
                )


def _check_columns(config, dataset):
    for key in ("USER_ID_FIELD", "ITEM_ID_FIELD"):
        if config[key] not in dataset.field2id_token:
            raise KDError(
                f"the dataset '{config['dataset']}' has no column '{config[key]}': set {key} to the name it has"
            )
    sorts = (config["eval_args"] or {}).get("order") == "TO" and not config["benchmark_filename"]
    if sorts and config["TIME_FIELD"] not in dataset.inter_feat.columns:
        raise KDError(
            f"eval_args: order: TO sorts by the column '{config['TIME_FIELD']}', which was not read: write "
            f"load_col: {{inter: [{config['USER_ID_FIELD']}, {config['ITEM_ID_FIELD']}, {config['TIME_FIELD']}]}}"
        )
    longest = max(config["topk"])
    if longest > dataset.item_num:
        raise KDError(f"topk={config['topk']} asks for {longest} items of {dataset.item_num - 1}: take smaller ones")
