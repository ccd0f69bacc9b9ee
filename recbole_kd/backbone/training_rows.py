"""The queries of a training: the users of a dataset, or the rows of a sequence model's training data."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from recbole.config import Config
from recbole.data.interaction import Interaction
from recbole.utils import ModelType

from recbole_kd.backbone.queries import Queries, SequenceQueries, UserQueries

ROW_FIELD = "kd_row"  # the column that numbers the rows of a sequence model's training data, from 1


def is_sequential(config: Config) -> bool:
    """Whether the model of a config reads sequences."""
    return config["MODEL_TYPE"] == ModelType.SEQUENTIAL


def training_queries(config: Config, dataset: Any) -> Queries:
    """Who is asked for items in the training of a model.

    Args:
        config: the model's Config.
        dataset: its training Dataset.

    Returns:
        For a sequence model the rows of the dataset, numbered from 1; for other models the users.
    """
    if is_sequential(config):
        return SequenceQueries(_sequence_columns(dataset, dataset.inter_feat), first_id=1)
    return UserQueries(dataset.uid_field, dataset.user_num)


def number_rows(dataset: Any) -> None:
    """Add the column ROW_FIELD to a sequence model's training Dataset, so that a batch says which rows it holds."""
    dataset.inter_feat.update(Interaction({ROW_FIELD: torch.arange(1, len(dataset.inter_feat) + 1)}))


def row_users(dataset: Any) -> torch.Tensor:
    """The user of each row of a training Dataset, int64, shape [rows + 1]; 0 for the padding."""
    users = dataset.inter_feat[dataset.uid_field].long()
    return torch.cat([users.new_zeros(1), users])


@dataclass(frozen=True)
class RowNames:
    """What names the rows of a training Dataset outside of it; index 0 is the padding.

    Attributes:
        users: the user of each row, int64, shape [rows + 1].
        lengths: how many items the user has before the row's target, in the order of time; int64. A user's k-th row
            has k, more than a sequence holds that is cut at MAX_ITEM_LIST_LENGTH.
        targets: the target of each row, int64.
    """

    users: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray

    def ids_of(self, users: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The rows with these users and lengths; 0 where there is none."""
        width = int(self.lengths.max()) + 1
        known = self.users * width + self.lengths
        order = np.argsort(known)
        wanted = np.where((lengths > 0) & (lengths < width), users * width + lengths, -1)
        place = np.searchsorted(known[order], wanted).clip(max=len(known) - 1)
        result = order[place]
        return np.where(known[result] == wanted, result, 0)


def row_names(dataset: Any) -> RowNames:
    """The names of the rows of a sequence model's training Dataset, where each user's rows are in the order of time."""
    users = row_users(dataset).numpy()
    targets = np.concatenate([[0], dataset.inter_feat[dataset.iid_field].numpy()])
    order = np.argsort(users, kind="stable")
    rank = np.arange(len(users)) - np.searchsorted(users[order], users[order])
    lengths = np.zeros(len(users), np.int64)
    lengths[order] = rank + 1
    lengths[0] = 0
    return RowNames(users, lengths, targets)


def row_positives(dataset: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """The target of each row as training pairs: the rows' numbers and their items, two int64 tensors."""
    items = dataset.inter_feat[dataset.iid_field].long()
    return torch.arange(1, len(items) + 1), items


def latest_sequences(dataset: Any) -> SequenceQueries:
    """The sequence of all training items of each user, as a query for each user id.

    A user's last training row holds the sequence before its target; the target follows it. A user without a row has
    the sequence of the padding item alone.

    Args:
        dataset: the training Dataset of a sequence model, whose rows are in the order of time for each user.
    """
    rows, n_users = dataset.inter_feat, dataset.user_num
    users = rows[dataset.uid_field].long()
    # by the maximum: of several values that are assigned to one place torch keeps any
    last = torch.zeros(n_users, dtype=torch.int64).scatter_reduce_(0, users, torch.arange(len(users)), "amax")
    result = torch.zeros(n_users, dtype=torch.bool)
    result[users] = True
    chosen = _sequence_columns(dataset, rows[last])
    items, lengths = chosen[_list_field(dataset)].clone(), chosen[dataset.item_list_length_field].clone()
    items, lengths = append_items(items, lengths, rows[dataset.iid_field][last].long())
    items[~result], lengths[~result] = 0, 1
    columns = {_list_field(dataset): items, dataset.item_list_length_field: lengths}
    columns[dataset.uid_field] = torch.arange(n_users)
    return SequenceQueries(Interaction(columns), per_row=False)


def append_items(
    sequences: torch.Tensor, lengths: torch.Tensor, items: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put an item at the end of each sequence; a full sequence loses its first item.

    Args:
        sequences: int64, shape [b, L], zeros at the end.
        lengths: int64, shape [b].
        items: int64, shape [b].

    Returns:
        (sequences, lengths), of the same shapes.

    >>> append_items(torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1]), torch.tensor([7, 8]))[0].tolist()
    [[2, 7], [3, 8]]
    """
    full = lengths >= sequences.shape[1]
    sequences = torch.where(full[:, None], sequences.roll(-1, dims=1), sequences)
    lengths = torch.where(full, lengths, lengths + 1)
    return sequences.scatter(1, lengths[:, None] - 1, items[:, None]), lengths


def resize_sequences(sequences: torch.Tensor, lengths: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Give sequences another width: of those that are longer the last items stay, as RecBole cuts them.

    Args:
        sequences: int64, shape [b, L], zeros at the end.
        lengths: int64, shape [b].
        width: the new L.

    Returns:
        (sequences, lengths), shapes [b, width] and [b].

    >>> resize_sequences(torch.tensor([[1, 2, 3], [4, 0, 0]]), torch.tensor([3, 1]), 2)[0].tolist()
    [[2, 3], [4, 0]]
    """
    columns = torch.arange(width, device=sequences.device)
    positions = (lengths - width).clamp(min=0)[:, None] + columns
    items = sequences.gather(1, positions.clamp(max=sequences.shape[1] - 1))
    return torch.where(columns < lengths[:, None], items, 0), lengths.clamp(max=width)


def _list_field(dataset: Any) -> str:
    return getattr(dataset, f"{dataset.iid_field}_list_field")


def _sequence_columns(dataset: Any, rows: Interaction) -> Interaction:
    """The columns that sequence models read: the sequence, its length, its user, and the target."""
    names = (dataset.uid_field, dataset.iid_field, _list_field(dataset), dataset.item_list_length_field)
    return Interaction({name: rows[name] for name in names})
