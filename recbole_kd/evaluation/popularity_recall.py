"""Recall by the popularity of the items: does a model recommend items that are rare in training?"""

from typing import Any, TypedDict

import numpy as np
from recbole.config import Config as RecBoleConfig
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.utils.case_study import full_sort_topk

from recbole_kd.data.split import Split

BINS = 5


class BinRecall(TypedDict):
    """The recall of the items in one bin.

    Attributes:
        items: number of items in the bin.
        least: the smallest number of training pairs of an item in it; None for an empty bin.
        most: the largest one; None for an empty bin.
        pairs: number of held-out pairs whose item is in the bin.
        hits: how many of these pairs are in the lists.
    """

    items: int
    least: int | None
    most: int | None
    pairs: int
    hits: int


def popularity_bins(counts: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Sort items into bins by popularity. Items of the same count are in the same bin.

    Args:
        counts: number of training pairs of each item, shape [m + 1]; entry 0 is the padding.
        bins: number of bins.

    Returns:
        The bin of each item, shape [m + 1]: 0 holds the least popular items; -1 for the padding.

    >>> popularity_bins(np.array([0, 1, 1, 2, 3, 9]), bins=2).tolist()
    [-1, 0, 0, 0, 1, 1]
    """
    edges = np.quantile(counts[1:], np.arange(1, bins) / bins)
    result = np.searchsorted(edges, counts, side="left")
    result[0] = -1
    return result


def recall_by_bin(
    pairs: np.ndarray, users: np.ndarray, lists: np.ndarray, counts: np.ndarray, bins: int = BINS
) -> list[BinRecall]:
    """Count, for each bin of items, the held-out pairs that are in the lists of their users.

    Args:
        pairs: held-out pairs as user * (m + 1) + item, distinct, int64.
        users: the users of the lists, shape [n].
        lists: their best items, shape [n, k].
        counts: number of training pairs of each item, shape [m + 1].
        bins: number of bins.

    Returns:
        A BinRecall for each bin, the least popular one first.
    """
    size = len(counts)
    bin_of = popularity_bins(counts, bins)
    is_hit = np.isin(pairs, (np.asarray(users)[:, None] * size + np.asarray(lists)).ravel())
    pair_bin = bin_of[pairs % size]
    result: list[BinRecall] = []
    for number in range(bins):
        bin_counts, in_bin = counts[bin_of == number], pair_bin == number
        result.append(
            {
                "items": len(bin_counts),
                "least": int(bin_counts.min()) if len(bin_counts) else None,
                "most": int(bin_counts.max()) if len(bin_counts) else None,
                "pairs": int(in_bin.sum()),
                "hits": int((is_hit & in_bin).sum()),
            }
        )
    return result


def popularity_recall(config: RecBoleConfig, model: Any, split: Split) -> list[BinRecall] | None:
    """``recall_by_bin`` of a model on the test part of a split, for lists of the longest ``topk``.

    Args:
        config: the plain RecBole Config of the model.
        model: a RecBole model.
        split: the split of the run.

    Returns:
        A BinRecall for each bin; None where the test part ranks sampled items, or is sequential.
    """
    if not isinstance(split.test, FullSortEvalDataLoader) or split.test.is_sequential:
        return None
    users, size = split.test.uid_list.numpy(), len(split.tokens[1])
    k = min(max(config["topk"]), size - 1)
    blocks = np.array_split(users, min(len(users), max(1, len(users) * size // config["eval_batch_size"])))
    lists = [full_sort_topk(block, model, split.test, k, config["device"])[1].cpu().numpy() for block in blocks]
    counts = np.bincount(split.pairs["train"] % size, minlength=size)
    return recall_by_bin(split.pairs["test"], users, np.concatenate(lists), counts)
