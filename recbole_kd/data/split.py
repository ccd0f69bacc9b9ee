"""RecBole's split of a dataset, and the pairs in its parts."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from recbole.config import Config
from recbole.data.dataloader import AbstractDataLoader
from recbole.data.dataset import Dataset
from recbole.utils import ModelType, init_seed

from recbole_kd.data.atomic_files import check_headers
from recbole_kd.data.built_dataset import BuiltDataset, read_loaders, reading_of, uses_plain_dataset
from recbole_kd.data.eval_mask import mask_training
from recbole_kd.data.file_numbers import find_wrong_number
from recbole_kd.data.fingerprint import Fingerprint, sha256_of
from recbole_kd.data.pairs import distinct_pairs, hash_training, read_tokens
from recbole_kd.data.split_settings import (
    PARTS,
    check_columns,
    check_split_settings,
)
from recbole_kd.errors import KDError, error_sentence, is_out_of_memory

NO_PATH = os.path.join(os.devnull, "none")
PLAIN_MODEL_TYPES = (ModelType.GENERAL, ModelType.CONTEXT, ModelType.TRADITIONAL, ModelType.DECISIONTREE)


@dataclass(frozen=True)
class Split:
    """RecBole's dataset and loaders of one config, and the pairs in them.

    Attributes:
        dataset: RecBole's Dataset of all interactions.
        train: the training loader.
        valid: the validation loader.
        test: the test loader.
        pairs: for train, valid and test: sorted distinct user * n_items + item, int64.
        tokens: users' and items' tokens by id.
        fingerprint: the hashes that make two models comparable.
    """

    dataset: Dataset
    train: AbstractDataLoader
    valid: AbstractDataLoader
    test: AbstractDataLoader
    pairs: dict[str, np.ndarray]
    tokens: tuple[np.ndarray, ...]
    fingerprint: Fingerprint
    _built: BuiltDataset | None = field(default=None, repr=False, compare=False)
    _training_datasets: dict[str, Dataset] = field(default_factory=dict, repr=False, compare=False)

    def training_dataset(self, config: Config) -> Dataset:
        """The training part as the model of a config reads it: a sequence model's has sequences in its rows.

        Args:
            config: a plain RecBole Config of a model on this split.

        Raises:
            KDError: as ``prepare_split``.
        """
        key = reading_of(config)
        if key == reading_of(self.dataset.config):
            return self.train._dataset
        if key not in self._training_datasets:
            self._training_datasets[key] = self.fresh(config).train._dataset
        return self._training_datasets[key]

    @property
    def train_pairs(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The training pairs as two int64 tensors, users and items."""
        size = len(self.tokens[1])
        return torch.from_numpy(self.pairs["train"] // size), torch.from_numpy(self.pairs["train"] % size)

    @property
    def seen_pairs(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What users have seen in training, two int64 tensors, users and items, sorted by user.

        For a sequence model these are more than the training pairs: a user's first item is the target of no row.
        """
        rows, dataset = self.train._dataset.inter_feat, self.train._dataset
        length = getattr(dataset, "item_list_length_field", None)
        if length is None or length not in rows:
            return self.train_pairs
        size = len(self.tokens[1])
        first = rows[length].numpy() == 1
        items = rows[getattr(dataset, f"{dataset.iid_field}_list_field")].numpy()[first, 0].astype(np.int64)
        users = rows[dataset.uid_field].numpy()[first].astype(np.int64)
        pairs = np.union1d(self.pairs["train"], users * size + items)
        return torch.from_numpy(pairs // size), torch.from_numpy(pairs % size)

    def fresh(self, config: Config) -> "Split":
        """A split with new loaders for one training under ``config``, equal to ``prepare_split(config)``.

        The loaders' batches, their negative samples and the global random states afterwards are those of
        ``prepare_split``, but the dataset is neither read nor filtered again. The new loaders share no mutable state
        with other loaders. Where the config would read another dataset or divide it otherwise (a key of
        ``SPLIT_KEYS`` or ``READING_KEYS`` differs, its model has another dataset class, or the dataset is to be saved
        or loaded), ``prepare_split(config)`` is called.

        Args:
            config: a plain RecBole Config, of the student or of a teacher.

        Raises:
            KDError: as ``prepare_split``.
        """
        if self._built is None or not self._built.fits(config):
            return prepare_split(config)
        with _describe_errors(config), _without_saved_data(config):
            check_split_settings(config)
            self._built.restore_random_states()
            check_columns(config, self._built.dataset)
            dataset, loaders = self._built.make_loaders(config)
        _mask_test(config, loaders, self.pairs)
        train, valid, test = loaders
        return Split(dataset, train, valid, test, self.pairs, self.tokens, self.fingerprint, self._built)


def prepare_split(config: Config) -> Split:
    """RecBole's split of a config, exactly as ``run_recbole`` makes it: seeded first, nothing drawn in between.

    Raises:
        KDError: the dataset is missing or does not fit its settings.
    """
    init_seed(config["seed"], config["reproducibility"])
    with _describe_errors(config):
        check_split_settings(config)
        check_headers(config)
        with _without_saved_data(config):
            built = BuiltDataset.read(config) if uses_plain_dataset(config) else None
            dataset, loaders = built.make_loaders(config) if built is not None else read_loaders(config)
    train, valid, test = loaders
    pairs = {name: distinct_pairs(loader._dataset) for name, loader in zip(PARTS, loaders, strict=True)}
    if not len(pairs["train"]):
        raise KDError(f"the dataset '{config['dataset']}' has no training interaction left after its filters")
    tokens = read_tokens(dataset)
    fingerprint = make_fingerprint(tokens, pairs, train._dataset)
    _mask_test(config, loaders, pairs)
    return Split(dataset, train, valid, test, pairs, tokens, fingerprint, built)


def make_fingerprint(tokens: Sequence[np.ndarray], pairs: Mapping[str, np.ndarray], train: Dataset) -> Fingerprint:
    """The Fingerprint of a split.

    Args:
        tokens: users' and items' tokens by id.
        pairs: for each of ``PARTS`` its distinct pairs.
        train: the training Dataset, whose repeated rows count.
    """
    train_hash = hash_training(train, pairs["train"])
    return Fingerprint(sha256_of(*tokens), train_hash, sha256_of(pairs["valid"]), sha256_of(pairs["test"]))


def _mask_test(config: Config, loaders: Sequence[AbstractDataLoader], pairs: dict[str, np.ndarray]) -> None:
    if config["eval_mask"] == "train":
        mask_training(loaders[2], pairs["train"])


@contextmanager
def _describe_errors(config: Config) -> Iterator[None]:
    """RecBole's own refusals, and its failures over files of another form, as a KDError that names the dataset."""
    try:
        yield
    except KDError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        if isinstance(error, UnicodeError):
            raise KDError(
                f"the files of the dataset '{config['dataset']}' are not text in {config['encoding'] or 'utf-8'} "
                f"({error_sentence(error)}): set encoding to the one they have, encoding=latin-1, say"
            ) from error
        reason = find_wrong_number(config) or error_sentence(error)
        raise KDError(f"the dataset '{config['dataset']}' could not be prepared: {reason}") from error


@contextmanager
def _without_saved_data(config: Config) -> Iterator[None]:
    """Keep RecBole from loaders and datasets that it saved before.

    The negatives and the form of saved loaders may be those of another model, and a dataset that a checkpoint folder
    holds may be of earlier files; a dataset is loaded only where ``dataset_save_path`` names it.
    """
    named = {key: config[key] for key in ("dataset_save_path", "dataloaders_save_path")}
    config.final_config_dict.update(
        dataset_save_path=named["dataset_save_path"] or NO_PATH, dataloaders_save_path=NO_PATH
    )
    try:
        yield
    finally:
        config.final_config_dict.update(named)


def require_part(config: Config, data: Split, part: str, purpose: str) -> None:
    """Refuse a split that leaves one of its parts empty.

    Args:
        config: the run's Config.
        data: its split.
        part: ``train``, ``valid`` or ``test``.
        purpose: what the part is needed for, such as "search by".

    Raises:
        KDError: the part is empty.
    """
    if not len(data.pairs[part]):
        raise KDError(f"eval_args={config['eval_args']!r} leaves no {part} pair to {purpose}: keep some")
