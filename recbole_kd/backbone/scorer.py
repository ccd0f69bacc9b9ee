"""Models that are read by their scores: all items of a query at once, as MultiVAE gives them, or pairs, as NeuMF."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from recbole.data.interaction import Interaction

from recbole_kd.backbone.base import Backbone, Step, eval_mode, sample_queries
from recbole_kd.backbone.capabilities import SCORER_MODEL
from recbole_kd.backbone.queries import Queries
from recbole_kd.backbone.remembered import RememberedForward, kept_for_step, remembered_forward, without_trace
from recbole_kd.backbone.views import View

PAIRS_AT_ONCE = 1_000_000


class ScorerBackbone(Backbone):
    """A model with ``full_sort_predict``, which is differentiable in the model's parameters.

    Attributes:
        sigmoid: whether the model's scores end in a sigmoid; they are then read before it, as logits.
        by_pairs: whether scoring a few items costs less than scoring all.
        whole_batch: whether the terms read the scores of a step's batch as a whole, from the pass that the model's
            own loss has made.
    """

    capabilities = SCORER_MODEL
    by_pairs: bool = False
    full_batch: bool = False

    def __init__(self, model: Any, queries: Queries | None = None) -> None:
        super().__init__(model, queries)
        with without_trace(model), eval_mode(model):
            self.sigmoid = self._ends_in_sigmoid()

    @classmethod
    def adapt(cls, model: Any, queries: Queries | None = None) -> "Backbone | None":
        backbone = cls(model, queries) if cls.matches(model) else None
        return backbone if backbone is not None and backbone.scores_match() else None

    @classmethod
    def matches(cls, model: Any) -> bool:
        return True

    def scores_match(self) -> bool:
        """Whether the model scores all items of a few queries."""
        ids = sample_queries(self, 2)
        try:
            with without_trace(self.model), eval_mode(self.model):
                scores = self.score_all(ids)
        except (NotImplementedError, RuntimeError, AssertionError):  # ConvNCF of a width that its kernels do not fit
            return False
        return scores.shape == (len(ids), self.item_count)

    @contextmanager
    def view(self, step: Step | None = None) -> Iterator[View]:
        with remembered_forward(self.model) as memory:
            yield _ScoreView(self, step if self.full_batch else None, memory)

    def score_interaction(self, interaction: Interaction) -> torch.Tensor:
        """The logits of all items for each row of an interaction, shape [rows, m + 1]."""
        return self.logits(super().score_interaction(interaction))

    def score_pairs(self, queries: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Logits of chosen items: queries [n], items [n, c], result [n, c]."""
        return torch.gather(self.score_all(queries), 1, items)

    def logits(self, scores: torch.Tensor) -> torch.Tensor:
        """The model's scores before their sigmoid, if it has one."""
        return scores.logit(eps=torch.finfo(scores.dtype).eps) if self.sigmoid else scores

    def _raw_scores(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """The model's scores of pairs of ids, after its sigmoid if it has one."""
        scores = super().score_interaction(self.queries.interaction(users))
        return scores[torch.arange(len(users)), items]

    def _ends_in_sigmoid(self) -> bool:
        """Whether the model's scores are the sigmoid of what ``forward`` returns, tried on a few pairs."""
        ids = torch.arange(1, min(self.queries.size, self.item_count, 9), device=self.model.device)
        try:
            return torch.allclose(self.model.forward(ids, ids).sigmoid(), self._raw_scores(ids, ids), atol=1e-6)
        except Exception:  # forward() takes other arguments, or the model cannot score
            return False


class AutoencoderBackbone(ScorerBackbone):
    """MultiVAE and others that encode a user's row of ratings: the loss and the terms share one pass and its noise."""

    full_batch = True

    @classmethod
    def matches(cls, model: Any) -> bool:
        return hasattr(model, "get_rating_matrix")


class CDAEBackbone(AutoencoderBackbone):
    """CDAE, whose scores are an activation of what ``forward`` returns: they are read before it."""

    @classmethod
    def matches(cls, model: Any) -> bool:
        return super().matches(model) and hasattr(model, "o_act")

    def score_interaction(self, interaction: Interaction) -> torch.Tensor:
        users = interaction[self.model.USER_ID]
        return self.model.forward(self.model.get_rating_matrix(users), users)

    def _ends_in_sigmoid(self) -> bool:
        return False


class DMFBackbone(ScorerBackbone):
    """DMF, which scores all items by a sparse product: in float32 under AMP, which has no gradient for it on a CPU."""

    @classmethod
    def matches(cls, model: Any) -> bool:
        return hasattr(model, "get_item_embedding") and hasattr(model, "item_linear")

    def score_interaction(self, interaction: Interaction) -> torch.Tensor:
        with torch.autocast(self.model.device.type, enabled=False):
            return super().score_interaction(interaction)


class _ScoreView(View):
    """The model's scores in one step; a pass that its loss has made is not made again.

    Args:
        backbone: the model.
        step: the rows whose scores are read as a whole; None to score the queries that are asked for.
        memory: the passes of the step.
    """

    def __init__(self, backbone: ScorerBackbone, step: Step | None, memory: RememberedForward) -> None:
        self.backbone, self.step, self.memory = backbone, step, memory
        self._batch_scores: tuple[torch.Tensor, torch.Tensor] | None = None

    def score_all(self, queries: torch.Tensor) -> torch.Tensor:
        if self.step is None:
            with self._replay():
                return self.backbone.score_all(queries)
        if self._batch_scores is None:
            order = torch.argsort(self.step.ids, stable=True)
            with kept_for_step(self.step), self._replay():
                batch_scores = self.backbone.score_interaction(self.step.interaction)[order]
            self._batch_scores = self.step.ids[order], batch_scores
        ids, scores = self._batch_scores
        return scores[torch.searchsorted(ids, queries)]

    def score(self, queries: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        if not self.backbone.by_pairs:
            return super().score(queries, items)
        with self._replay():
            return self.backbone.score_pairs(queries, items)

    @contextmanager
    def _replay(self) -> Iterator[None]:
        self.memory.replays = True
        try:
            with without_trace(self.backbone.model):
                yield
        finally:
            self.memory.replays = False


class PairBackbone(ScorerBackbone):
    """A model with ``predict`` for pairs only, such as NeuMF: each query is paired with the items, in blocks."""

    by_pairs = True

    def score_all(self, queries: torch.Tensor) -> torch.Tensor:
        items = torch.arange(self.item_count, device=queries.device)
        return self.score_pairs(queries, items.expand(len(queries), -1))

    def score_pairs(self, queries: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        scores = []
        for rows in torch.arange(len(queries), device=queries.device).split(max(1, PAIRS_AT_ONCE // items.shape[1])):
            scores.append(self._pair_scores(queries[rows], items[rows]))
        return torch.cat(scores).reshape(items.shape)

    def _pair_scores(self, queries: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """The logits of a block of pairs, flattened."""
        interaction = self.queries.interaction(queries).repeat_interleave(items.shape[1])
        flat = items.flatten().long()
        interaction.update(Interaction({self.model.ITEM_ID: flat}))
        if self.sigmoid:
            return self.model.forward(interaction[self.model.USER_ID], flat)
        return self.model.predict(interaction).reshape(-1)

    def _raw_scores(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        return self.model.predict(Interaction({self.model.USER_ID: users, self.model.ITEM_ID: items}))
