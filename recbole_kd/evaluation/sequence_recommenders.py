"""Rankings that involve sequence teachers, as RecBole models, so that RecBole's evaluator can measure them."""

from typing import Any

import torch
from recbole.config import Config as RecBoleConfig
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType, ModelType
from torch import nn

from recbole_kd.backbone.queries import Queries
from recbole_kd.backbone.training_rows import resize_sequences
from recbole_kd.knowledge.ensemble import TEMPERATURE, EnsembleKnowledge, consensus_of_lists, standardised_mean
from recbole_kd.knowledge.model import ModelKnowledge
from recbole_kd.knowledge.users_of_rows import UsersOfRows
from recbole_kd.ops.top_lists import TopList

LIST_LENGTH = 100


class _Recommender(GeneralRecommender):
    """A ranking with scores of all items; a pair's score is taken from these."""

    type = ModelType.GENERAL
    input_type = InputType.PAIRWISE

    def __init__(self, config: RecBoleConfig, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.config = config
        self.unused = nn.Parameter(torch.zeros(1))  # RecBole's Trainer makes an optimiser for every model

    def predict(self, interaction: Interaction) -> torch.Tensor:
        """The score of each row's item, shape [rows]. Overrides RecBole's."""
        scores = self.full_sort_predict(interaction).view(len(interaction), -1)
        return scores.gather(1, interaction[self.ITEM_ID][:, None]).flatten()


class LatestSequenceRecommender(_Recommender):
    """A sequence model as a ranking for users: each has the sequence of all that the user has seen in training.

    Args:
        model: the sequence model, in evaluation mode.
        queries: each user's latest sequence.
        config: a plain RecBole Config.
        dataset: the training part of the split.
    """

    def __init__(self, model: Any, queries: Queries, config: RecBoleConfig, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.model, self.queries = model, queries

    def full_sort_predict(self, interaction: Interaction) -> torch.Tensor:
        """The scores of all items for each user, shape [users, n_items]. Overrides RecBole's."""
        sequences = self.queries.interaction(interaction[self.USER_ID])
        return self.model.full_sort_predict(sequences).view(len(interaction), -1)


class SequenceEnsembleRecommender(_Recommender):
    """An ensemble of teachers over sequences, combined as EnsembleKnowledge combines them for training rows.

    A teacher of another ``MAX_ITEM_LIST_LENGTH`` reads the student's sequences at its own width: the last items of
    longer ones.

    Args:
        knowledge: the ensemble of a sequence student.
        config: a plain RecBole Config.
        dataset: the training part of the split.
    """

    def __init__(self, knowledge: EnsembleKnowledge, config: RecBoleConfig, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.knowledge = knowledge
        self.length = min(knowledge.max_list_length, max(LIST_LENGTH, 2 * max(config["topk"])))

    def full_sort_predict(self, interaction: Interaction) -> torch.Tensor:
        """The scores of all items for each sequence, shape [rows, n_items]. Overrides RecBole's."""
        knowledge = self.knowledge
        if knowledge.by_score:
            scores = [self._scores(member, interaction) for member in knowledge.members]
            return standardised_mean(scores, knowledge.weights)
        lists = [self._list(member, interaction) for member in knowledge.members]
        ids, weights = consensus_of_lists(lists, self.length, TEMPERATURE, knowledge.weights)
        empty = torch.zeros(len(ids), self.n_items, device=ids.device)
        return empty.scatter_(1, ids.long(), torch.where(ids > 0, weights, 0.0))

    def _list(self, member: Any, interaction: Interaction) -> torch.Tensor:
        if isinstance(member, UsersOfRows):  # what users have seen is in none of its lists, here as in training
            return member.users.top_items_of(interaction[self.USER_ID], self.length).ids
        scores = self._scores(member, interaction).clone()
        scores[:, 0] = -torch.inf
        return TopList.from_scores(scores, self.length).ids

    def _scores(self, member: Any, interaction: Interaction) -> torch.Tensor:
        if isinstance(member, UsersOfRows):
            return member.users.score_all(interaction[self.USER_ID]).float()
        return _sequence_scores(member, interaction)


def _sequence_scores(member: ModelKnowledge, interaction: Interaction) -> torch.Tensor:
    """The teacher's logits of all items for the sequences of an interaction."""
    model = member.backbone.model
    sequences, lengths = interaction[model.ITEM_SEQ], interaction[model.ITEM_SEQ_LEN]
    if sequences.shape[1] != model.max_seq_length:
        sequences, lengths = resize_sequences(sequences, lengths, model.max_seq_length)
        columns = {name: interaction[name] for name in interaction.columns}
        interaction = Interaction({**columns, model.ITEM_SEQ: sequences, model.ITEM_SEQ_LEN: lengths})
    return member.backbone.score_interaction(interaction).float()
