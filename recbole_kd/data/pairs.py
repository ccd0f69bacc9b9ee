"""The pairs of user and item in a RecBole dataset, as numbers and as a hash."""

import numpy as np
from recbole.data.dataset import Dataset, SequentialDataset

from recbole_kd.data.fingerprint import sha256_of


def distinct_pairs(dataset: Dataset) -> np.ndarray:
    """The distinct pairs of a RecBole dataset as user * n_items + item, sorted, int64."""
    return np.unique(_pair_ids(dataset))


def read_tokens(dataset: Dataset) -> tuple[np.ndarray, ...]:
    """Users' and items' tokens by id, two arrays of strings."""
    return tuple(
        np.asarray(dataset.field2id_token[name]).astype(str) for name in (dataset.uid_field, dataset.iid_field)
    )


def hash_training(dataset: Dataset, pairs: np.ndarray) -> str:
    """The hash of the training part; of sequences also the order of its rows and the lengths of their histories."""
    if isinstance(dataset, SequentialDataset):
        return sha256_of(_pair_ids(dataset), dataset.inter_feat[dataset.item_list_length_field].numpy())
    repeated = _repeated_pairs(dataset)  # a pair that the data hold twice is trained on twice
    return sha256_of(pairs, repeated) if repeated.size else sha256_of(pairs)


def _repeated_pairs(dataset: Dataset) -> np.ndarray:
    """The pairs that occur more than once, and how often, int64, shape [2, c]."""
    pairs, counts = np.unique(_pair_ids(dataset), return_counts=True)
    return np.stack([pairs[counts > 1], counts[counts > 1]])


def _pair_ids(dataset: Dataset) -> np.ndarray:
    users, items = (
        dataset.inter_feat[name].numpy().astype(np.int64) for name in (dataset.uid_field, dataset.iid_field)
    )
    return users * dataset.item_num + items
