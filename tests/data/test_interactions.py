"""The training pairs against plain Python sets."""

import pytest
import torch

from recbole_kd.data.interactions import Interactions
from recbole_kd.ops.sampling import sample_outside
from recbole_kd.ops.top_lists import TopList

USERS, ITEMS = 7, 12  # padding included
SEEN = {1: [3, 1, 11], 2: [5], 4: [2, 3, 4], 6: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]}


@pytest.fixture
def interactions():
    pairs = torch.tensor([(user, item) for user, items in SEEN.items() for item in items])
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0))
    return Interactions(USERS, ITEMS, *pairs[order].T)


def scores_of(users):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(USERS, ITEMS, generator=generator)[users].clone()


def test_pairs_are_sorted_by_user_and_by_item(interactions):
    users, items, starts = interactions.pairs_by_user
    pairs = list(zip(users.tolist(), items.tolist(), strict=True))
    assert pairs == sorted((user, item) for user, seen in SEEN.items() for item in seen)
    for user in range(USERS):
        assert items[starts[user] : starts[user + 1]].tolist() == sorted(SEEN.get(user, []))
    items, users, starts = interactions.pairs_by_item()
    for item in range(ITEMS):
        assert users[starts[item] : starts[item + 1]].tolist() == [user for user in SEEN if item in SEEN[user]]


def test_counts(interactions):
    assert interactions.user_counts().tolist() == [len(SEEN.get(user, [])) for user in range(USERS)]
    expected = [sum(item in seen for seen in SEEN.values()) for item in range(ITEMS)]
    assert interactions.item_counts().tolist() == expected


def test_the_items_of_chosen_users(interactions):
    users = [4, 0, 6, 4]
    row, item = interactions.seen_pairs(torch.tensor(users))
    expected = [(index, item) for index, user in enumerate(users) for item in sorted(SEEN.get(user, []))]
    assert list(zip(row.tolist(), item.tolist(), strict=True)) == expected


def test_training_items_are_masked_in_place(interactions):
    users = torch.arange(3, 7)
    scores = scores_of(users)
    interactions.mask(scores, users)
    for row, user in enumerate(users.tolist()):
        assert scores[row].eq(-torch.inf).nonzero().flatten().tolist() == sorted(SEEN.get(user, []))


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("k", [1, 4, 50])
def test_the_best_items_are_the_same_from_scores_and_from_vectors(interactions, k, seen):
    table = torch.randn(ITEMS, 5, generator=torch.Generator().manual_seed(1))
    vectors = torch.randn(USERS, 5, generator=torch.Generator().manual_seed(2))
    top = interactions.top_unseen_of_scores(lambda users: vectors[users] @ table.T, k, seen)
    assert torch.equal(top.ids, interactions.top_unseen_of_vectors(vectors.__getitem__, table, k, seen).ids)
    assert top.ids.shape == (USERS, min(k, ITEMS - 1)) and not top.ids[0].any()
    scores = (vectors @ table.T).tolist()
    for user in range(1, USERS):
        ranked = [item for item in range(1, ITEMS) if seen or item not in SEEN.get(user, [])]
        best = sorted(ranked, key=lambda item: -scores[user][item])[:k]
        assert top.ids[user].tolist()[: len(best)] == best and not top.ids[user, len(best) :].any()


def test_nothing_excluded_is_drawn_and_everything_else_is(interactions):
    ids = torch.tensor([[0, 0]] + [[7, 8]] * (USERS - 1), dtype=torch.int32)
    top = TopList(ids, torch.zeros(USERS, 2), (ids > 0).sum(1))
    excluded = interactions.excluded_from_sampling(top)
    drawn, mask = sample_outside(excluded, 400, torch.Generator().manual_seed(0))
    for user in range(1, USERS):
        free = set(range(1, ITEMS)) - set(SEEN.get(user, [])) - {7, 8}
        assert set(drawn[user][mask[user]].tolist()) == free
    assert interactions.excluded_from_sampling().free_counts()[1:].tolist() == [
        ITEMS - 1 - len(SEEN.get(user, [])) for user in range(1, USERS)
    ]


def test_users_are_excluded_for_each_item(interactions):
    ids = torch.tensor([[0]] + [[3]] * (ITEMS - 1), dtype=torch.int32)
    top = TopList(ids, torch.zeros(ITEMS, 1), (ids > 0).sum(1))
    drawn, mask = sample_outside(interactions.users_excluded_from_sampling(top), 200, torch.Generator().manual_seed(0))
    for item in range(1, ITEMS):
        free = {user for user in range(1, USERS) if item not in SEEN.get(user, [])} - {3}
        assert set(drawn[item][mask[item]].tolist()) == free
