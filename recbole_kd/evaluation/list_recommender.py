"""Lists as a RecBole model, so that RecBole's evaluator can say how good they are."""

import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType, ModelType
from torch import nn

LIST_LENGTH = 100


class ListRecommender(GeneralRecommender):
    """Scores an item by its place in the user's list of 100, and all that are not in it alike.

    Args:
        knowledge: a Lists.
        config: a plain RecBole Config.
        dataset: the training part of the split.
    """

    type = ModelType.GENERAL
    input_type = InputType.PAIRWISE

    def __init__(self, knowledge, config, dataset):
        super().__init__(config, dataset)
        self.config = config
        self.ids = knowledge.top_items(min(knowledge.max_list_length, max(LIST_LENGTH, 2 * max(config["topk"])))).ids
        self.unused = nn.Parameter(torch.zeros(1))  # RecBole's Trainer makes an optimiser for every model

    def full_sort_predict(self, interaction):
        ids = self.ids[interaction[self.USER_ID]].long()
        place = torch.arange(ids.shape[1], 0, -1, device=ids.device, dtype=torch.float32).expand(ids.shape)
        return torch.zeros(len(ids), self.n_items, device=ids.device).scatter_(1, ids, place).view(-1)

    def predict(self, interaction):
        scores = self.full_sort_predict(interaction).view(-1, self.n_items)
        return scores.gather(1, interaction[self.ITEM_ID][:, None]).flatten()
