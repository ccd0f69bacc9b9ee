"""TinyMF: matrix factorisation, written as a RecBole model of one's own."""

import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType
from torch import nn


class TinyMF(GeneralRecommender):
    input_type = InputType.PAIRWISE

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.persons = nn.Embedding(self.n_users, config["embedding_size"], padding_idx=0)
        self.things = nn.Embedding(self.n_items, config["embedding_size"], padding_idx=0)
        for table in (self.persons, self.things):
            nn.init.normal_(table.weight, std=config["tiny_std"])
            with torch.no_grad():
                table.weight[0] = 0

    def calculate_loss(self, interaction):
        user = self.persons(interaction[self.USER_ID])
        better, worse = self.things(interaction[self.ITEM_ID]), self.things(interaction[self.NEG_ITEM_ID])
        return -nn.functional.logsigmoid((user * (better - worse)).sum(1)).mean()

    def predict(self, interaction):
        return (self.persons(interaction[self.USER_ID]) * self.things(interaction[self.ITEM_ID])).sum(1)

    def full_sort_predict(self, interaction):
        return (self.persons(interaction[self.USER_ID]) @ self.things.weight.T).view(-1)
