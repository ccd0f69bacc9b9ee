"""Recall by how popular an item is: does a student recommend what is seldom trained on?"""

import numpy as np
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.utils.case_study import full_sort_topk

BINS = 5


def popularity_bins(counts, bins=BINS):
    """The bin of each item: 0 the least popular fifth, items of the same count in the same bin.

    Args:
        counts: training pairs of each item, shape [m + 1]; entry 0 is the padding, in no bin (-1).
    """
    edges = np.quantile(counts[1:], np.arange(1, bins) / bins)
    found = np.searchsorted(edges, counts, side="left")
    found[0] = -1
    return found


def recall_by_bin(pairs, users, lists, counts, bins=BINS):
    """Of the held-out pairs whose item is in a bin, how many stand in their users' lists.

    Args:
        pairs: held-out pairs as user * (m + 1) + item, distinct, int64.
        users: the users of the lists, shape [n].
        lists: their best items, shape [n, k].
        counts: training pairs of each item, shape [m + 1].

    Returns:
        A dict a bin, the least popular first: ``items``, the ``least`` and ``most`` training pairs of one (None where
        the bin is empty), ``pairs`` held out, ``hits`` among them.
    """
    size = len(counts)
    bin_of = popularity_bins(counts, bins)
    hit = np.isin(pairs, (np.asarray(users)[:, None] * size + np.asarray(lists)).ravel())
    pair_bin = bin_of[pairs % size]
    found = []
    for number in range(bins):
        there, inside = counts[bin_of == number], pair_bin == number
        least, most = (int(there.min()), int(there.max())) if len(there) else (None, None)
        found.append(
            {"items": len(there), "least": least, "most": most, "pairs": int(inside.sum()),
             "hits": int((hit & inside).sum())}
        )  # fmt: skip
    return found


def popularity_recall(config, model, data):
    """``recall_by_bin`` of a model on a split's test part, at the longest ``topk``; None where items are sampled."""
    if not isinstance(data.test, FullSortEvalDataLoader) or data.test.is_sequential:
        return None
    users, size = data.test.uid_list.numpy(), len(data.tokens[1])
    k = min(max(config["topk"]), size - 1)
    blocks = np.array_split(users, min(len(users), max(1, len(users) * size // config["eval_batch_size"])))
    lists = [full_sort_topk(block, model, data.test, k, config["device"])[1].cpu().numpy() for block in blocks]
    counts = np.bincount(data.pairs["train"] % size, minlength=size)
    return recall_by_bin(data.pairs["test"], users, np.concatenate(lists), counts)
