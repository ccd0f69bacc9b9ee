"""The rows of a sequence model's training data, on a dataset that is written by hand."""

from types import SimpleNamespace

import pytest
import torch
from recbole.data.interaction import Interaction
from recbole.utils import ModelType

from recbole_kd.backbone.queries import SequenceQueries, UserQueries
from recbole_kd.backbone.training_rows import (
    ROW_FIELD,
    append_items,
    latest_sequences,
    number_rows,
    row_positives,
    row_users,
    training_queries,
)

# user 2 has the items 5 6 7 8, of which 3 fit; user 1 has 4 9; user 3 has no row
SEQUENCES = [[5, 0, 0], [4, 0, 0], [5, 6, 0], [5, 6, 7]]
LENGTHS, USERS, TARGETS = [1, 1, 2, 3], [2, 1, 2, 2], [6, 9, 7, 8]


@pytest.fixture
def dataset():
    columns = {
        "user_id": torch.tensor(USERS),
        "item_id": torch.tensor(TARGETS),
        "item_id_list": torch.tensor(SEQUENCES),
        "item_length": torch.tensor(LENGTHS),
        "rating": torch.ones(4),
    }
    return SimpleNamespace(
        inter_feat=Interaction(columns),
        uid_field="user_id",
        iid_field="item_id",
        item_id_list_field="item_id_list",
        item_list_length_field="item_length",
        user_num=4,
        item_num=10,
    )


def test_a_users_latest_sequence_ends_in_the_last_target(dataset):
    queries = latest_sequences(dataset)
    assert (queries.size, queries.per_row) == (4, False)
    read = queries.interaction(torch.arange(4))
    # a full sequence loses its first item; the padding and the user without a row have the padding item alone
    assert read["item_id_list"].tolist() == [[0, 0, 0], [4, 9, 0], [6, 7, 8], [0, 0, 0]]
    assert read["item_length"].tolist() == [1, 2, 3, 1]
    assert read["user_id"].tolist() == [0, 1, 2, 3]


def test_latest_sequences_leave_the_training_data_alone(dataset):
    latest_sequences(dataset)
    assert dataset.inter_feat["item_id_list"].tolist() == SEQUENCES
    assert dataset.inter_feat["item_length"].tolist() == LENGTHS


def test_rows_are_numbered_from_1_and_keep_their_users_and_targets(dataset):
    number_rows(dataset)
    assert dataset.inter_feat[ROW_FIELD].tolist() == [1, 2, 3, 4]
    assert row_users(dataset).tolist() == [0, 2, 1, 2, 2]
    rows, items = row_positives(dataset)
    assert (rows.tolist(), items.tolist()) == ([1, 2, 3, 4], TARGETS)


def test_the_queries_of_a_sequence_model_are_its_rows(dataset):
    queries = training_queries({"MODEL_TYPE": ModelType.SEQUENTIAL}, dataset)
    assert isinstance(queries, SequenceQueries) and queries.per_row and queries.size == 5
    read = queries.interaction(torch.tensor([4, 2]))
    assert read["item_id_list"].tolist() == [SEQUENCES[3], SEQUENCES[1]]
    assert set(read.columns) == {"user_id", "item_id", "item_id_list", "item_length"}  # what models read, no rating


@pytest.mark.parametrize("kind", [ModelType.GENERAL, ModelType.KNOWLEDGE])
def test_the_queries_of_other_models_are_users(kind, dataset):
    queries = training_queries({"MODEL_TYPE": kind}, dataset)
    assert isinstance(queries, UserQueries) and (queries.size, queries.per_row) == (4, False)


def test_an_appended_item_follows_the_sequence():
    sequences, lengths = append_items(torch.tensor([[1, 2, 3], [4, 0, 0]]), torch.tensor([3, 1]), torch.tensor([9, 8]))
    assert sequences.tolist() == [[2, 3, 9], [4, 8, 0]]
    assert lengths.tolist() == [3, 2]
