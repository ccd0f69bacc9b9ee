"""Weights of an earlier training for a model of grown data: rows of users and items are matched by token."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.config import Config as RecBoleConfig
from recbole.data import create_dataset
from recbole.utils import init_seed

from recbole_kd.checkpoint.reader import load_for_recbole, read_checkpoint
from recbole_kd.data.fingerprint import sha256_of
from recbole_kd.data.split import NO_PATH, read_tokens
from recbole_kd.errors import KDError, error_sentence
from recbole_kd.trainer.rng import preserve_rng

SIDES = ("user", "item")
TRIALS = 2000  # vocabularies that are tried
Tokens = Sequence[np.ndarray]


@dataclass(frozen=True)
class RowMap:
    """Which row of the earlier tables each user or item has.

    Attributes:
        side: ``user`` or ``item``.
        size: how many ids the earlier training had, padding included.
        rows: for each id of today the earlier id, -1 where it is new; int64, shape [n].
    """

    side: str
    size: int
    rows: np.ndarray

    @classmethod
    def of(cls, side: str, earlier: np.ndarray, current: np.ndarray) -> "RowMap":
        """The map between two lists of tokens by id, of which the first is padding.

        >>> RowMap.of("item", np.array(["[PAD]", "a", "b"]), np.array(["[PAD]", "b", "c"])).rows.tolist()
        [0, 2, -1]
        """
        numbers = {token: number for number, token in enumerate(earlier[1:].tolist(), start=1)}
        rows = [numbers.get(token, -1) for token in current[1:].tolist()]
        return cls(side, len(earlier), np.array([0, *rows], dtype=np.int64))

    @property
    def new(self) -> int:
        """How many users or items are new."""
        return int((self.rows < 0).sum())

    def extended(self, extra: int) -> np.ndarray:
        """The rows of a table with further rows behind the ids, as BERT4Rec has one for its mask."""
        return np.concatenate([self.rows, self.size + np.arange(extra)])


def describe_new_rows(file: str | Path, maps: Sequence[RowMap]) -> str:
    """A sentence on how many rows come from a file."""
    known = " and ".join(f"{len(m.rows) - 1 - m.new:,} of {len(m.rows) - 1:,} {m.side}s" for m in maps)
    new = " and ".join(f"{m.new:,} {m.side}s" for m in maps)
    return f"{known} have their rows of '{file}'; {new} are new"


def matched_state(
    earlier: Mapping[str, torch.Tensor], current: Mapping[str, torch.Tensor], maps: Sequence[RowMap], file: str | Path
) -> dict[str, torch.Tensor]:
    """The weights of an earlier training in the shapes of a model of today; rows of new users and items stay.

    Args:
        earlier: the weights in the checkpoint.
        current: the weights of the model, as it was initialised.
        maps: of users and of items.
        file: the checkpoint, for messages.

    Raises:
        KDError: a weight that is missing, or whose size changed otherwise than with the users and items.
    """
    if earlier.keys() != current.keys():
        names = sorted(earlier.keys() ^ current.keys())
        raise KDError(f"the weights in '{file}' are not those of this model: {names[0]} is in one of them alone")
    return {name: _matched(name, earlier[name], weight, maps, file) for name, weight in current.items()}


def _matched(
    name: str, earlier: torch.Tensor, current: torch.Tensor, maps: Sequence[RowMap], file: str | Path
) -> torch.Tensor:
    if earlier.dim() != current.dim():
        raise _misfit(name, earlier, current, file)
    if not earlier.dim():
        return earlier.clone()
    sources, targets = [], []
    for old_size, new_size in zip(earlier.shape, current.shape, strict=True):
        rows = _rows(name, old_size, new_size, maps)
        if rows is None:
            raise _misfit(name, earlier, current, file)
        known = np.flatnonzero(rows >= 0)
        sources.append(torch.from_numpy(rows[known]))
        targets.append(torch.from_numpy(known))
    result = current.detach().clone()
    values = earlier[torch.meshgrid(*sources, indexing="ij")].to(result.device, result.dtype)
    result[tuple(grid.to(result.device) for grid in torch.meshgrid(*targets, indexing="ij"))] = values
    return result


def _rows(name: str, old_size: int, new_size: int, maps: Sequence[RowMap]) -> np.ndarray | None:
    """The earlier place of each place of an axis, -1 where it is new; None where the sizes cannot be matched."""
    fitting = [
        rowmap.extended(extra)
        for rowmap in sorted(maps, key=lambda rowmap: rowmap.side not in name)  # the one that the name has comes first
        for extra in (0, 1)
        if (old_size, new_size) == (rowmap.size + extra, len(rowmap.rows) + extra)
    ]
    if fitting:
        return fitting[0]
    return np.arange(old_size) if old_size == new_size else None


def _misfit(name: str, earlier: torch.Tensor, current: torch.Tensor, file: str | Path) -> KDError:
    return KDError(
        f"the weight {name} has the shape {list(earlier.shape)} in '{file}' and {list(current.shape)} here, which the "
        "number of users and items alone does not explain: take the same model with the same sizes"
    )


def grown_maps(content: Mapping[str, Any], tokens: Tokens) -> list[RowMap] | None:
    """The maps of a checkpoint whose users and items are the first ones of today, in their order.

    RecBole numbers tokens as they come in the file, so that this is so where rows were appended to it. The earlier
    vocabulary is recognised by its hash in the fingerprint.

    Args:
        content: the checkpoint, as read_checkpoint gives it.
        tokens: users' and items' tokens of today by id.

    Returns:
        The maps of users and items; None where the vocabulary is another one, or the checkpoint has no fingerprint.
    """
    fingerprint = content.get("fingerprint")
    if not isinstance(fingerprint, Mapping):
        return None
    for sizes in _possible_sizes(content, tokens):
        parts = [side[:size] for side, size in zip(tokens, sizes, strict=True)]
        if sha256_of(*parts) == fingerprint.get("vocabulary"):
            return [RowMap.of(side, *pair) for side, *pair in zip(SIDES, parts, tokens, strict=True)]
    return None


def _possible_sizes(content: Mapping[str, Any], tokens: Tokens) -> Iterator[tuple[int, int]]:
    """Numbers of users and items that the weights may belong to, the likeliest first; today's above all."""
    n_users, n_items = map(len, tokens)
    yield n_users, n_items
    shapes = [weight.shape for weight in content["state_dict"].values() if isinstance(weight, torch.Tensor)]
    sizes = sorted({size for shape in shapes for size in shape if size > 1}, reverse=True)
    pairs = [(users, items) for users in sizes if users <= n_users for items in sizes if items <= n_items]
    yield from pairs
    # the weights of a sequence model do not tell how many users there were
    more = ((users, items) for users in range(n_users, 1, -1) for items in sizes if items <= n_items)
    yield from (pair for pair, _ in zip(more, range(TRIALS), strict=False))


def folder_tokens(file: str | Path, content: Mapping[str, Any], data_path: str) -> Tokens:
    """The tokens by id of the data that a checkpoint was trained on.

    Args:
        file: the checkpoint.
        content: the same, as read_checkpoint gives it.
        data_path: the folder that holds the earlier dataset's folder.

    Raises:
        KDError: the dataset cannot be read, or is not that of the training.
    """
    try:
        tokens = read_tokens(create_dataset(earlier_config(file, data_path)))
    except KDError:
        raise
    except Exception as error:  # RecBole's, over files of any form
        raise KDError(
            f"init_data_path='{data_path}' holds no data of '{file}' that could be read: {error_sentence(error)}"
        ) from error
    fingerprint = content.get("fingerprint")
    if isinstance(fingerprint, Mapping) and fingerprint.get("vocabulary") != sha256_of(*tokens):
        raise KDError(
            f"init_data_path='{data_path}' does not hold the data that '{file}' was trained on: its users and items "
            "are others, or in another order"
        )
    return tokens


def earlier_config(file: str | Path, data_path: str) -> RecBoleConfig:
    """The RecBole Config in a checkpoint, for its data in a folder."""
    config = load_for_recbole(file)["config"]
    config["data_path"] = str(Path(data_path) / config["dataset"])
    config.final_config_dict.update(dict.fromkeys(("checkpoint_dir", "dataset_save_path"), NO_PATH))
    config.final_config_dict.update(dict.fromkeys(("save_dataset", "save_dataloaders")), dataloaders_save_path=NO_PATH)
    init_seed(config["seed"], config["reproducibility"])
    return config


def warm_start_maps(config: RecBoleConfig, tokens: Tokens) -> tuple[dict[str, Any], list[RowMap]]:
    """What ``init_from`` names, and how its rows are matched.

    Args:
        config: a Config with ``init_from`` and perhaps ``init_data_path``.
        tokens: users' and items' tokens of today by id.

    Returns:
        The checkpoint's content, and the maps of users and items.

    Raises:
        KDError: a checkpoint of another model, or users and items that are not known by token.
    """
    file, content = config["init_from"], read_checkpoint(config["init_from"])
    if content["config"]["model"] != config["model"]:
        raise KDError(
            f"init_from='{file}' holds a {content['config']['model']}, and here a {config['model']} is trained"
        )
    if config["init_data_path"]:
        earlier = folder_tokens(file, content, config["init_data_path"])
        return content, [RowMap.of(side, *pair) for side, *pair in zip(SIDES, earlier, tokens, strict=True)]
    maps = grown_maps(content, tokens)
    if maps is None:
        raise KDError(
            f"init_from='{file}' does not say which of its rows belongs to which user and item of the dataset "
            f"'{config['dataset']}': its own data are not the beginning of these, or it has no fingerprint. Name the "
            "folder of the data that it was trained on with init_data_path"
        )
    return content, maps


def warm_start(model: Any, config: RecBoleConfig, dataset: Any) -> None:
    """Give a model the weights that ``init_from`` names; without it nothing is done.

    Args:
        model: the model, as it was initialised; changed in place.
        config: the Config that it was made with.
        dataset: the training part of the split.

    Raises:
        KDError: as of ``warm_start_maps`` and ``matched_state``.
    """
    if not config["init_from"]:
        return
    with preserve_rng():
        content, maps = warm_start_maps(config, read_tokens(dataset))
    model.load_state_dict(matched_state(content["state_dict"], model.state_dict(), maps, config["init_from"]))
    logging.getLogger().info(describe_new_rows(config["init_from"], maps))
