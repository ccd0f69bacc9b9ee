"""A dataset as RecBole reads and divides it, and what decides how a model reads its data."""

import copy
import importlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.dataloader import AbstractDataLoader
from recbole.data.dataset import Dataset
from recbole.utils import ModelType, init_seed

from recbole_kd.data.split_settings import READING_KEYS, SPLIT_KEYS, check_columns, differing_keys

PLAIN_MODEL_TYPES = (ModelType.GENERAL, ModelType.CONTEXT, ModelType.TRADITIONAL, ModelType.DECISIONTREE)


@dataclass(frozen=True)
class BuiltDataset:
    """A dataset that was read, filtered and divided, before any loader has sorted it or drawn from it.

    Attributes:
        settings: the values of the keys that decide what is read and how it is divided, when that was done.
        dataset: RecBole's Dataset of all interactions.
        subsets: its training, validation and test Datasets.
        random_states: the global generators of Python, numpy and torch (CPU) right after the division.
    """

    settings: dict[str, Any]
    dataset: Dataset
    subsets: Sequence[Dataset]
    random_states: tuple[Any, Any, torch.Tensor]

    @classmethod
    def read(cls, config: Config) -> "BuiltDataset":
        """Read, filter and divide the dataset of a config, whose seed was set just before."""
        settings = copy.deepcopy({key: config[key] for key in (*SPLIT_KEYS, *READING_KEYS)})
        dataset = create_dataset(config)
        check_columns(config, dataset)
        subsets = dataset.build()
        return cls(settings, dataset, subsets, (random.getstate(), np.random.get_state(), torch.get_rng_state()))

    def fits(self, config: Config) -> bool:
        """Whether reading the dataset under ``config`` would give this very dataset and division."""
        if type(self.dataset) is not Dataset or not uses_plain_dataset(config):
            return False
        if config["save_dataset"] or config["dataset_save_path"]:  # reading has a side effect or another source
            return False
        return not differing_keys(tuple(self.settings), self.settings, config)

    def restore_random_states(self) -> None:
        """Set the global generators to where reading and dividing left them."""
        init_seed(self.settings["seed"], self.settings["reproducibility"])  # the GPU's too
        python, numpy, torch_state = self.random_states
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(torch_state)

    def make_loaders(self, config: Config) -> tuple[Dataset, tuple[AbstractDataLoader, ...]]:
        """A copy of the dataset, and RecBole's own loaders over copies of its subsets.

        Loaders sort their subset in place and add fields to it, so each set of loaders has its own copies.
        """
        # the vocabulary is copied table by table: its strings cannot change, and copying them would be slow
        vocabulary = (self.dataset.field2token_id, self.dataset.field2id_token)
        memo = {id(table): table.copy() for tables in vocabulary for table in tables.values()}
        memo[id(self.dataset.config)] = config
        dataset, subsets = copy.deepcopy((self.dataset, self.subsets), memo)
        dataset.build = lambda: subsets  # for RecBole's data_preparation, which divides the dataset otherwise
        try:
            return dataset, data_preparation(config, dataset)
        finally:
            del dataset.build


def read_loaders(config: Config) -> tuple[Dataset, tuple[AbstractDataLoader, ...]]:
    """RecBole's dataset and loaders without copies: those of sequences and of knowledge graphs take much memory."""
    dataset = create_dataset(config)
    check_columns(config, dataset)
    return dataset, data_preparation(config, dataset)


def uses_plain_dataset(config: Config) -> bool:
    """Whether RecBole reads a model's data as its plain Dataset; ``create_dataset`` decides by the same names."""
    return config["MODEL_TYPE"] in PLAIN_MODEL_TYPES and not _has_dataset_class(config)


def _has_dataset_class(config: Config) -> bool:
    """Whether RecBole has a class of datasets for this very model."""
    return hasattr(importlib.import_module("recbole.data.dataset"), f"{config['model']}Dataset")


def reading_of(config: Config) -> str:
    """What decides how a model reads its data: its kind of dataset, and the keys that say what is in the rows."""
    kinds = {ModelType.SEQUENTIAL: "sequences", ModelType.KNOWLEDGE: "knowledge graph"}
    kind = f"{config['model']}Dataset" if _has_dataset_class(config) else kinds.get(config["MODEL_TYPE"], "pairs")
    keys = {key: str(config[key]) for key in (*SPLIT_KEYS, *READING_KEYS) if key != "eval_args"}
    return repr([kind, sorted(keys.items())])
