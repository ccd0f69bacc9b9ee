"""Compressed rows of items, and the latest sequences."""

import numpy as np
import torch

from recbole_kd.serving.checks import without
from recbole_kd.serving.user_items import Sequences, UserItems, append_items, pack_sequences

EVERYBODY = ["u0", "u7", "u39"]


def raw(folder):
    """The interactions of each user in the order of time, from the data file."""
    lines = (folder / "uneven" / "uneven.inter").read_text().splitlines()[1:]
    histories = {}
    for user, item, _ in (line.split("\t") for line in lines):
        histories.setdefault(user, []).append(item)
    return histories


def test_rows_of_some_users_come_in_their_order():
    rows = UserItems.of_pairs(np.array([3, 1, 3, 1]), np.array([2, 5, 1, 5]), 5, 9)
    assert rows.counts(np.array([3, 0, 1])).tolist() == [2, 0, 1]
    row, items = rows.pairs(np.array([3, 0, 1]))
    assert (row.tolist(), items.tolist()) == ([0, 0, 2], [1, 2, 5])
    taken = rows.take(np.array([1, 3]))
    assert (taken.starts.tolist(), taken.items.tolist()) == ([0, 1, 3], [5, 1, 2])


def test_without_removes_the_items_of_the_same_user_alone():
    rows = UserItems.of_pairs(np.array([1, 1, 2]), np.array([4, 5, 4]), 3, 9)
    removed = UserItems.of_pairs(np.array([1, 2]), np.array([4, 5]), 3, 9)
    assert without(rows, removed, 9).take(np.array([1, 2])).items.tolist() == [5, 4]


def test_a_full_sequence_loses_its_first_item():
    sequences, lengths = append_items(torch.tensor([[1, 2, 3], [4, 0, 0]]), torch.tensor([3, 1]), torch.tensor([9, 8]))
    assert sequences.tolist() == [[2, 3, 9], [4, 8, 0]]
    assert lengths.tolist() == [3, 2]


def test_packed_sequences_keep_the_latest_items():
    sequences, lengths = pack_sequences([np.array([1, 2, 3, 4]), np.array([5])], 3)
    assert (sequences.tolist(), lengths.tolist()) == ([[2, 3, 4], [5, 0, 0]], [3, 1])


def test_sequences_and_interactions_are_those_of_the_data_file(recommender, uneven):
    model = recommender("SASRec")
    for mode, left_out in (("train", 2), ("seen", 1), ("all", 0)):
        users = model.users.ids(EVERYBODY)
        sequences, lengths = model.sequences(mode).batch(users)
        row, items = model.interactions(mode).pairs(users)
        for place, token in enumerate(EVERYBODY):
            history = raw(uneven)[token]
            history = history[: len(history) - left_out]
            wanted = model.items.ids(history[-6:]).tolist()
            assert sequences[place, : lengths[place]].tolist() == wanted
            assert set(items[row == place]) == set(model.items.ids(history))


def test_the_interactions_of_a_general_model_are_those_of_its_loaders(recommender):
    model = recommender("BPR")
    for mode, count in (("none", 0), ("train", 1), ("seen", 2), ("all", 3)):
        columns = [loader._dataset.inter_feat for loader in model.loaders[:count]]
        pairs = {
            pair for rows in columns for pair in zip(rows["user_id"].tolist(), rows["item_id"].tolist(), strict=True)
        }
        rows, items = model.interactions(mode).pairs(np.arange(model.n_users))
        assert set(zip(rows.tolist(), items.tolist(), strict=True)) == pairs


def test_who_has_one_interaction_has_no_sequence(recommender):
    model = recommender("SASRec")
    assert isinstance(model.sequences(), Sequences)
    assert model.sequences().has(model.users.ids(["u0", "u40"])).tolist() == [True, False]
