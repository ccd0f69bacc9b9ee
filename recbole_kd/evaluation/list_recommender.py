"""A teacher's lists as a RecBole model, so that RecBole's evaluator can measure them."""

from typing import Any

import torch
from recbole.config import Config as RecBoleConfig
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType, ModelType
from torch import nn

from recbole_kd.knowledge.base import BaseKnowledge

LIST_LENGTH = 100


class ListRecommender(GeneralRecommender):
    """Scores the items in a user's list by their rank, and all other items 0.

    Args:
        knowledge: where the lists are read from.
        config: a plain RecBole Config. Lists hold 100 items, or twice its longest ``topk`` where that is more.
        dataset: the training part of the split.

    Attributes:
        config: the argument.
        ids: the items of each list, the best one first, shape [n_users, k]; row 0 is the padding.
    """

    type = ModelType.GENERAL
    input_type = InputType.PAIRWISE
    ids: torch.Tensor

    def __init__(self, knowledge: BaseKnowledge, config: RecBoleConfig, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.config = config
        length = max(LIST_LENGTH, 2 * max(config["topk"]))
        self.ids = knowledge.top_items(min(knowledge.max_list_length, length)).ids
        self.unused = nn.Parameter(torch.zeros(1))  # RecBole's Trainer makes an optimiser for every model

    def full_sort_predict(self, interaction: Interaction) -> torch.Tensor:
        """The scores of all items for each user, flattened, shape [users * n_items]. Overrides RecBole's."""
        ids = self.ids[interaction[self.USER_ID]].long()
        scores = torch.arange(ids.shape[1], 0, -1, device=ids.device, dtype=torch.float32).expand(ids.shape)
        return torch.zeros(len(ids), self.n_items, device=ids.device).scatter_(1, ids, scores).view(-1)

    def predict(self, interaction: Interaction) -> torch.Tensor:
        """The score of each (user, item) row, shape [rows]. Overrides RecBole's."""
        scores = self.full_sort_predict(interaction).view(-1, self.n_items)
        return scores.gather(1, interaction[self.ITEM_ID][:, None]).flatten()
