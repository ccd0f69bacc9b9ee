"""How large a student's own loss is by its definition, so that a term's weight means the same for every student."""

from recbole.model.general_recommender import CDAE, ENMF, MacridVAE, MultiDAE, MultiVAE, RaCT, RecVAE
from torch import nn

from recbole_kd.data.interactions import Interactions

SUMS_OVER_ITEMS = (MultiVAE, MultiDAE, MacridVAE, RecVAE, RaCT)  # of a user; a mean over the batch's users
SUMS_OVER_BATCH = (CDAE, ENMF)  # over the batch's users and their items


class LossScale:
    """How many training pairs the student's own loss of a batch sums over.

    A pairwise or pointwise loss of RecBole's is a mean over pairs, and so are the terms. The loss of an autoencoder is
    a sum over a user's items. Beside it the terms are multiplied by the mean number of a user's items, 85 on ml-100k.
    Without this factor the default weights are far too small for an autoencoder.

    Args:
        student: the student.
        interactions: the training pairs of its queries.

    >>> import torch
    >>> seen = Interactions(4, 6, torch.tensor([1, 1, 1, 2]), torch.tensor([1, 2, 5, 3]))
    >>> LossScale(nn.Linear(2, 2), seen).of_batch(users=8)
    1.0
    """

    def __init__(self, student: nn.Module, interactions: Interactions) -> None:
        self.over_batch = isinstance(student, SUMS_OVER_BATCH)
        users = max(int((interactions.user_counts() > 0).sum()), 1)
        is_sum = self.over_batch or isinstance(student, SUMS_OVER_ITEMS)
        self.items_of_user = len(interactions.items) / users if is_sum else 1.0

    def of_batch(self, users: int) -> float:
        """The factor of the terms for a batch of so many users."""
        return self.items_of_user * (users if self.over_batch else 1)
