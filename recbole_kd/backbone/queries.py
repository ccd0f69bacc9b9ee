"""Who is asked for items: users, or the rows of a sequence model's training data. An id stands for a query."""

from typing import Any

import torch
from recbole.data.interaction import Interaction


class Queries:
    """The queries of a model, numbered from 1; id 0 is padding.

    Args:
        size: the number of ids, padding included.

    Attributes:
        size: the argument.
        per_row: whether an id stands for a row of the student's training data, not for a user.
    """

    per_row: bool = False

    def __init__(self, size: int) -> None:
        self.size = size

    def interaction(self, ids: torch.Tensor) -> Interaction:
        """RecBole's interaction of some queries, as a model's ``full_sort_predict`` reads it.

        Args:
            ids: shape [n].
        """
        raise NotImplementedError


class UserQueries(Queries):
    """The users of a dataset: an id is RecBole's user id.

    Args:
        field: the name of the users' column.
        n_users: number of users, padding included.
    """

    def __init__(self, field: str, n_users: int) -> None:
        super().__init__(n_users)
        self.field = field

    def interaction(self, ids: torch.Tensor) -> Interaction:
        """As of Queries; the padding reads the first user, as RippleNet knows no user 0."""
        return Interaction({self.field: ids.clamp(min=1)})


class RowUserQueries(UserQueries):
    """The rows of a sequence model's training data, of which a model of users reads the user alone.

    Args:
        field: the name of the users' column.
        users: the user of each query, int64, shape [size]; 0 for the padding.
    """

    per_row = True

    def __init__(self, field: str, users: torch.Tensor) -> None:
        super().__init__(field, len(users))
        self.users = users

    def interaction(self, ids: torch.Tensor) -> Interaction:
        """As of Queries."""
        return Interaction({self.field: self.users.to(ids.device)[ids].clamp(min=1)})


class SequenceQueries(Queries):
    """Sequences, a row of a table each: the rows of the training data, or each user's latest sequence.

    Args:
        rows: the columns that a sequence model reads.
        first_id: the id of the first row. 1: ids count the rows from 1, and the padding reads the first row, which
            changes nothing because padding is never ranked.
        per_row: False where the rows are the latest sequences of users.

    >>> rows = Interaction({"item_id_list": torch.tensor([[3, 0], [3, 5]]), "item_length": torch.tensor([1, 2])})
    >>> SequenceQueries(rows, first_id=1).interaction(torch.tensor([2]))["item_id_list"]
    tensor([[3, 5]])
    """

    def __init__(self, rows: Interaction, first_id: int = 0, per_row: bool = True) -> None:
        super().__init__(len(rows) + first_id)
        self.rows, self.first_id, self.per_row = rows, first_id, per_row

    def interaction(self, ids: torch.Tensor) -> Interaction:
        """As of Queries; the columns come from the CPU."""
        index = (ids.cpu() - self.first_id).clamp(min=0)
        return Interaction({name: self.rows[name][index] for name in self.rows.columns}).to(ids.device)


def user_queries(model: Any) -> UserQueries:
    """The users of a RecBole model."""
    return UserQueries(model.USER_ID, model.n_users)
