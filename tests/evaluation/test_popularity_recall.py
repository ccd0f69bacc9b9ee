"""Recall by popularity, against a count pair by pair."""

from itertools import pairwise

import numpy as np

from recbole_kd.evaluation.popularity_recall import popularity_bins, recall_by_bin


def slow_recall(held_out, lists, counts, bins):
    order = sorted(counts[1:])
    edges = [np.quantile(order, index / bins) for index in range(1, bins)]
    result = [[0, 0] for _ in range(bins)]
    for user, item in held_out:
        number = sum(counts[item] > edge for edge in edges)
        result[number][0] += 1
        result[number][1] += item in lists[user]
    return result


def test_recall_by_popularity_is_counted_pair_by_pair():
    draw = np.random.default_rng(5)
    counts = np.concatenate([[0], draw.integers(0, 9, 40)])
    users = np.arange(1, 31)
    lists = np.stack([draw.permutation(40)[:8] + 1 for _ in users])
    held_out = [(user, int(item)) for user in users for item in draw.permutation(40)[:5] + 1]
    result = recall_by_bin(np.array([user * 41 + item for user, item in held_out]), users, lists, counts)
    expected = slow_recall(held_out, dict(zip(users, lists.tolist(), strict=True)), counts, 5)
    assert [[one["pairs"], one["hits"]] for one in result] == expected
    assert sum(one["items"] for one in result) == 40
    assert all(one["most"] < other["least"] for one, other in pairwise(result))


def test_items_of_one_count_are_in_one_bin():
    assert popularity_bins(np.array([0, 1, 1, 1, 1, 9])).tolist() == [-1, 0, 0, 0, 0, 4]
    empty = recall_by_bin(np.array([7]), [1], [[1]], np.array([0, 1, 1, 1, 1, 9]))[1]
    assert empty == {"items": 0, "least": None, "most": None, "pairs": 0, "hits": 0}
