"""What an id stands for: a user, a row of training data, or a user's latest sequence."""

import torch
from recbole.data.interaction import Interaction

from recbole_kd.backbone.queries import RowUserQueries, SequenceQueries, UserQueries

ROWS = Interaction({"item_id_list": torch.tensor([[3, 0], [3, 5], [8, 0]]), "item_length": torch.tensor([1, 2, 1])})


def test_users_are_asked_by_their_ids():
    queries = UserQueries("user_id", 6)
    interaction = queries.interaction(torch.tensor([4, 1]))
    assert (queries.size, queries.per_row) == (6, False)
    assert interaction.columns == ["user_id"]
    assert interaction["user_id"].tolist() == [4, 1]


def test_rows_of_a_sequence_student_are_asked_by_their_users():
    queries = RowUserQueries("user_id", torch.tensor([0, 7, 7, 2]))
    assert (queries.size, queries.per_row) == (4, True)
    assert queries.interaction(torch.tensor([3, 1, 2, 1]))["user_id"].tolist() == [2, 7, 7, 7]


def test_rows_are_counted_from_1_and_the_padding_reads_the_first():
    queries = SequenceQueries(ROWS, first_id=1)
    assert (queries.size, queries.per_row) == (4, True)
    interaction = queries.interaction(torch.tensor([0, 1, 3]))
    assert interaction["item_id_list"].tolist() == [[3, 0], [3, 0], [8, 0]]
    assert interaction["item_length"].tolist() == [1, 1, 1]


def test_latest_sequences_are_counted_from_0():
    queries = SequenceQueries(ROWS, per_row=False)
    assert (queries.size, queries.per_row) == (3, False)
    assert queries.interaction(torch.tensor([2, 1]))["item_id_list"].tolist() == [[8, 0], [3, 5]]
