"""Queries, positive and negative items of every kind of batch that RecBole's loaders give."""

import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_kd.backbone.training_rows import ROW_FIELD
from recbole_kd.data.interactions import Interactions
from recbole_kd.term.batch import BatchReader

# the training pairs: user 3 has none
PAIRS = [(1, 4), (1, 2), (2, 7), (4, 1), (4, 3), (4, 5)]
ITEMS_OF = {1: {2, 4}, 2: {7}, 3: {0}, 4: {1, 3, 5}}
CONFIG = {
    "USER_ID_FIELD": "user_id",
    "ITEM_ID_FIELD": "item_id",
    "LABEL_FIELD": "label",
    "NEG_PREFIX": "neg_",
    "device": torch.device("cpu"),
    "seed": 5,
}


@pytest.fixture
def reader():
    return new_reader()


def new_reader(seed=5):
    users, items = torch.tensor(PAIRS).T
    return BatchReader({**CONFIG, "seed": seed}, Interactions(5, 9, users, items))


def batch(**columns):
    return Interaction({name: torch.tensor(values) for name, values in columns.items()})


def lists(tensors):
    return [tensor.tolist() for tensor in tensors]


def test_pairs_come_as_they_are(reader):
    read = reader.read(batch(user_id=[1, 2], item_id=[4, 7], neg_item_id=[3, 3]))
    assert lists(read) == [[1, 2], [4, 7], [3, 3]]


def test_a_negative_row_joins_the_positive_row_that_it_was_drawn_for(reader):
    columns = {"user_id": [1, 2, 1, 2, 1, 2], "item_id": [4, 7, 3, 8, 5, 6], "label": [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]}
    assert lists(reader.read(batch(**columns))) == [[1, 2, 1, 2], [4, 7, 4, 7], [3, 8, 5, 6]]


@pytest.mark.parametrize("labels", [[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
def test_labels_of_the_data_join_no_rows(reader, labels):
    """Their negative rows belong to no positive row: an item is drawn for each positive one."""
    users, positives, negatives = reader.read(batch(user_id=[1, 2, 4], item_id=[4, 6, 5], label=labels))
    kept = [row for row, label in enumerate(labels) if label]
    assert users.tolist() == [[1, 2, 4][row] for row in kept]
    assert positives.tolist() == [[4, 6, 5][row] for row in kept]
    assert all(1 <= item <= 8 for item in negatives.tolist())


def test_rows_without_negatives_get_an_item_each(reader):
    rows = batch(**{ROW_FIELD: [12, 3], "user_id": [1, 2], "item_id": [4, 7]})
    queries, positives, negatives = reader.read(rows)
    assert lists((queries, positives)) == [[12, 3], [4, 7]]  # a query is the row, not its user
    assert negatives.shape == (2,) and negatives.dtype == torch.int64


def test_drawn_items_are_uniform_over_the_catalogue_without_padding(reader):
    rows = batch(**{ROW_FIELD: list(range(1, 8001)), "item_id": [1] * 8000})
    counts = reader.read(rows)[2].bincount(minlength=9)
    assert counts[0] == 0
    assert counts[1:].sub(1000).abs().max() < 5 * 1000**0.5


def test_users_alone_get_items_of_their_training(reader):
    users = [0, *[1, 2, 3, 4] * 300]  # RecBole's loader of users gives the padding too
    queries, positives, _ = reader.read(batch(user_id=users))
    assert queries.tolist() == users[1:]
    drawn = {user: {int(item) for item in positives[queries == user]} for user in ITEMS_OF}
    assert drawn == ITEMS_OF


def test_a_draw_belongs_to_its_query_however_the_batch_is_shuffled():
    columns = {ROW_FIELD: torch.tensor([5, 9, 2, 7]), "item_id": torch.tensor([1, 2, 3, 4])}
    order = torch.tensor([2, 0, 3, 1])
    plain, shuffled = (new_reader().read(Interaction(rows)) for rows in (columns, take(columns, order)))
    assert torch.equal(plain[2][order], shuffled[2])
    users = torch.tensor([4, 1, 2, 3])
    plain, shuffled = (new_reader().read(Interaction({"user_id": ids})) for ids in (users, users[order]))
    assert torch.equal(plain[1][order], shuffled[1]) and torch.equal(plain[2][order], shuffled[2])


def take(columns, order):
    return {name: column[order] for name, column in columns.items()}


def test_draws_come_from_a_generator_of_their_own_that_the_seed_decides():
    rows = batch(**{ROW_FIELD: list(range(1, 51)), "item_id": [1] * 50})
    state = torch.get_rng_state()
    first = new_reader().read(rows)[2]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(new_reader().read(rows)[2], first)
    assert not torch.equal(new_reader(seed=6).read(rows)[2], first)


def test_a_resume_point_continues_the_draws(reader):
    rows = batch(**{ROW_FIELD: list(range(1, 51)), "item_id": [1] * 50})
    reader.read(rows)
    state = reader.state_dict()
    expected = reader.read(rows)[2]
    resumed = new_reader()
    resumed.load_state_dict(state)
    assert torch.equal(resumed.read(rows)[2], expected)


def test_a_resume_point_of_an_earlier_version_leaves_the_draws_at_their_beginning(reader):
    rows = batch(**{ROW_FIELD: list(range(1, 51)), "item_id": [1] * 50})
    reader.load_state_dict({})
    assert torch.equal(reader.read(rows)[2], new_reader().read(rows)[2])
