"""Sequence models: the vector of a sequence, and the table of items whose inner product with it is the score."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from recbole.data.interaction import Interaction
from recbole.utils import ModelType
from torch.nn.functional import normalize, pad

from recbole_kd.backbone.base import Backbone, Step
from recbole_kd.backbone.capabilities import SEQUENCE_MODEL
from recbole_kd.backbone.remembered import RememberedForward, kept_for_step, remembered_forward, without_trace
from recbole_kd.backbone.scorer import ScorerBackbone
from recbole_kd.backbone.views import FactorView

# the parameters of RecBole's ``forward`` methods, and the attributes that name the columns which they take
COLUMNS = {
    "item_seq": "ITEM_SEQ",
    "seq_item": "ITEM_SEQ",
    "item_seq_len": "ITEM_SEQ_LEN",
    "seq_item_len": "ITEM_SEQ_LEN",
    "user": "USER_ID",
}


class SequenceBackbone(Backbone):
    """SASRec, GRU4Rec and others that score by ``forward(sequence) · item_embedding``.

    Attributes:
        shares_pass: whether the model's own loss computes the vectors of a step's rows, which the terms then read.
            False: the terms compute those of the rows that they look at.
    """

    capabilities = SEQUENCE_MODEL
    shares_pass: bool = True

    @classmethod
    def matches(cls, model: Any) -> bool:
        if not is_sequence_model(model) or not hasattr(model, "item_embedding"):
            return False
        return set(inspect.signature(model.forward).parameters) <= set(COLUMNS)

    def scores_match(self) -> bool:
        try:
            return super().scores_match()
        except (RuntimeError, AttributeError, TypeError):  # vectors of another shape than the table's
            return False

    def vectors(self, interaction: Interaction) -> torch.Tensor:
        """The vectors of some sequences, shape [n, d]."""
        names = inspect.signature(type(self.model).forward).parameters
        columns = [COLUMNS[name] for name in names if name != "self"]
        return self.model.forward(*(interaction[getattr(self.model, column)] for column in columns))

    def item_table(self) -> torch.Tensor:
        """The vectors of all items, padding included, shape [m + 1, d]."""
        return self.model.item_embedding.weight[: self.item_count]

    @contextmanager
    def view(self, step: Step | None = None) -> Iterator[FactorView]:
        with remembered_forward(self.model) as memory:
            yield _SequenceView(self, step, memory)


class HGNBackbone(SequenceBackbone):
    """HGN, which has another table of items for prediction."""

    @classmethod
    def matches(cls, model: Any) -> bool:
        return super().matches(model) and hasattr(model, "item_embedding_for_prediction")

    def item_table(self) -> torch.Tensor:
        return self.model.item_embedding_for_prediction.weight


class NPEBackbone(SequenceBackbone):
    """NPE, whose items are rectified vectors."""

    @classmethod
    def matches(cls, model: Any) -> bool:
        return super().matches(model) and type(model).__name__ == "NPE"

    def item_table(self) -> torch.Tensor:
        return torch.relu(self.model.item_embedding.weight)


class COREBackbone(SequenceBackbone):
    """CORE, which scores by a cosine over a temperature."""

    @classmethod
    def matches(cls, model: Any) -> bool:
        return super().matches(model) and hasattr(model, "temperature")

    def item_table(self) -> torch.Tensor:
        return normalize(self.model.item_embedding.weight, dim=-1) / self.model.temperature


class BERT4RecBackbone(SequenceBackbone):
    """BERT4Rec, which ranks by the output at a mask after the sequence, with a bias for each item.

    Its loss reads rows with masks inside, so that the terms need a pass of their own.
    """

    shares_pass = False

    @classmethod
    def matches(cls, model: Any) -> bool:
        return super().matches(model) and hasattr(model, "reconstruct_test_data")

    def vectors(self, interaction: Interaction) -> torch.Tensor:
        model = self.model
        sequence, length = interaction[model.ITEM_SEQ], interaction[model.ITEM_SEQ_LEN]
        output = model.forward(model.reconstruct_test_data(sequence, length))
        return pad(model.gather_indexes(output, length - 1), (0, 1), value=1.0)

    def item_table(self) -> torch.Tensor:
        return torch.cat([self.model.item_embedding.weight[: self.model.n_items], self.model.output_bias[:, None]], 1)


class S3RecBackbone(SequenceBackbone):
    """S3Rec, whose number of items counts the mask."""

    @classmethod
    def matches(cls, model: Any) -> bool:
        return type(model).__name__ == "S3Rec"

    @property
    def item_count(self) -> int:
        return self.model.n_items - 1

    def vectors(self, interaction: Interaction) -> torch.Tensor:
        output = self.model.forward(interaction[self.model.ITEM_SEQ], bidirectional=False)
        return self.model.gather_indexes(output, interaction[self.model.ITEM_SEQ_LEN] - 1)


class FPMCBackbone(SequenceBackbone):
    """FPMC, the sum of two inner products: of the user with the item, and of the last item with the next one."""

    shares_pass = False

    @classmethod
    def matches(cls, model: Any) -> bool:
        return is_sequence_model(model) and all(hasattr(model, f"{name}_emb") for name in ("UI", "LI", "IU", "IL"))

    def vectors(self, interaction: Interaction) -> torch.Tensor:
        model = self.model
        last = interaction[model.ITEM_SEQ_LEN][:, None] - 1
        last_item = torch.gather(interaction[model.ITEM_SEQ], 1, last).squeeze(1)
        return torch.cat([model.UI_emb(interaction[model.USER_ID]), model.LI_emb(last_item)], 1)

    def item_table(self) -> torch.Tensor:
        return torch.cat([self.model.IU_emb.weight, self.model.IL_emb.weight], 1)


class SequenceProbabilityBackbone(ScorerBackbone):
    """RepeatNet, GRU4RecCPR and SASRecCPR, whose scores are probabilities: their logarithms are read."""

    @classmethod
    def matches(cls, model: Any) -> bool:
        return is_sequence_model(model) and type(model).__name__ in ("RepeatNet", "GRU4RecCPR", "SASRecCPR")

    def logits(self, scores: torch.Tensor) -> torch.Tensor:
        return scores.clamp(min=torch.finfo(scores.dtype).tiny).log()


def is_sequence_model(model: Any) -> bool:
    """Whether RecBole counts a model among the sequential ones."""
    return getattr(model, "type", None) == ModelType.SEQUENTIAL


class _SequenceView(FactorView):
    """The vectors of a step's sequences, or of any queries without a step."""

    def __init__(self, backbone: SequenceBackbone, step: Step | None, memory: RememberedForward) -> None:
        self.backbone, self.step, self.memory = backbone, step, memory
        self._table: torch.Tensor | None = None
        self._batch_vectors: torch.Tensor | None = None

    @property
    def item_table(self) -> torch.Tensor:  # type: ignore[override]  # made at the first access
        if self._table is None:
            with kept_for_step(self.step):
                self._table = self.backbone.item_table()
        return self._table

    def query_vectors(self, ids: torch.Tensor) -> torch.Tensor:
        if self.step is None:
            return self.backbone.vectors(self.backbone.queries.interaction(ids))
        order = torch.argsort(self.step.ids, stable=True)
        rows = order[torch.searchsorted(self.step.ids[order], ids)]
        if self.backbone.shares_pass:
            if self._batch_vectors is None:
                with kept_for_step(self.step):
                    self._batch_vectors = self._read(self.step.interaction)
            return self._batch_vectors[rows]
        return self._read(self.step.interaction[rows])

    def _read(self, interaction: Interaction) -> torch.Tensor:
        """The vectors of some rows, from the pass of the model's own loss where it has made one for them."""
        self.memory.replays = True
        try:
            with without_trace(self.backbone.model):
                return self.backbone.vectors(interaction)
        finally:
            self.memory.replays = False
