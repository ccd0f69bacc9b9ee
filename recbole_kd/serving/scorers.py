"""Where the scores of a ranking come from: vectors, a model's scores of all items, or a model's scores of pairs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from recbole.data.interaction import Interaction

from recbole_kd.errors import KDError
from recbole_kd.serving.ranking import inner_products, rows_per_block

PAIRS = 20_000  # user-item pairs that a model scores at once: more of them leave the cache
QUERIES = 4096  # rows of one forward pass at most


@dataclass(frozen=True)
class Queries:
    """Who asks for items.

    Attributes:
        users: ids, int64, shape [b]; 0 for a user whom the model does not know.
        sequences, lengths: for sequence models, int64, shapes [b, L] and [b]; else None.
    """

    users: torch.Tensor
    sequences: torch.Tensor | None = None
    lengths: torch.Tensor | None = None


class Scorer(Protocol):
    """Scores of all items, padding included."""

    rows: int  # how many queries are scored together

    def blocks(self, queries: Queries, items: torch.Tensor, k: int) -> Iterator[torch.Tensor]:
        """Scores of some items, in blocks of columns of shape [b, c]; the first has k columns at least."""
        ...


class VectorScorer:
    """Inner products of user vectors and item vectors.

    Args:
        users: shape [n, d], a row for each user id.
        items: shape [m, d], a row for each item id.
    """

    def __init__(self, users: torch.Tensor, items: torch.Tensor) -> None:
        self.users, self.items = users.detach().float(), items.detach().float()
        self.rows = rows_per_block(len(items))
        self._chosen: tuple[torch.Tensor, torch.Tensor] | None = None

    def blocks(self, queries: Queries, items: torch.Tensor, k: int) -> Iterator[torch.Tensor]:
        """As of Scorer."""
        return inner_products(self.users[queries.users.to(self.users.device)], self._rows_of(items), k)

    def _rows_of(self, items: torch.Tensor) -> torch.Tensor:
        """The vectors of the ranked items; they are gathered once, as all blocks rank the same items."""
        if self._chosen is None or self._chosen[0] is not items:
            self._chosen = items, self.items[items.to(self.items.device)]
        return self._chosen[1]


class ModelScorer:
    """A model's own ``full_sort_predict``.

    Args:
        model: a RecBole model in evaluation mode.
        dataset: its dataset, which holds the features of users.
    """

    def __init__(self, model: Any, dataset: Any) -> None:
        self.model, self.dataset = model, dataset
        self.rows = min(QUERIES, rows_per_block(dataset.item_num))

    def scores(self, queries: Queries) -> torch.Tensor:
        """The scores of all items, padding included, shape [b, m + 1]."""
        with torch.no_grad():
            scores = self.model.full_sort_predict(interaction_of(self.model, self.dataset, queries))
        return scores.reshape(len(queries.users), -1)

    def blocks(self, queries: Queries, items: torch.Tensor, k: int) -> Iterator[torch.Tensor]:
        """As of Scorer."""
        with _readable(self.model):
            scores = self.scores(queries)
        yield scores[:, items.to(scores.device)]


class PairScorer:
    """A model's own ``predict``, each query paired with each item.

    Args:
        model, dataset: as of ModelScorer; the dataset holds the features of items as well.
    """

    def __init__(self, model: Any, dataset: Any) -> None:
        self.model, self.dataset = model, dataset
        self.rows = max(1, PAIRS // max(dataset.item_num, 1))

    def blocks(self, queries: Queries, items: torch.Tensor, k: int) -> Iterator[torch.Tensor]:
        """As of Scorer."""
        with _readable(self.model), torch.no_grad():
            yield torch.cat([self._scores(queries, subset) for subset in items.split(PAIRS)], dim=1)

    def _scores(self, queries: Queries, items: torch.Tensor) -> torch.Tensor:
        n, device = len(queries.users), self.model.device
        pairs = interaction_of(self.model, self.dataset, queries).repeat_interleave(len(items))
        pairs.update(Interaction({self.dataset.iid_field: items}).repeat(n).to(device))
        features = self.dataset.item_feat
        if features is not None:
            pairs.update(features[items].repeat(n).to(device))
        return self.model.predict(pairs).reshape(n, len(items))


class _readable:
    """Turns a column that the model reads and nobody can give into a sentence."""

    def __init__(self, model: Any) -> None:
        self.name = type(model).__name__

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, KeyError):
            raise KDError(
                f"{self.name} reads the column {error} of an interaction, which a user and an item alone do not have: "
                "recommendations need a model of users, items and their features"
            ) from error


def interaction_of(model: Any, dataset: Any, queries: Queries) -> Interaction:
    """RecBole's interaction of some queries, with the features of the users, on the model's device."""
    columns = {dataset.uid_field: queries.users}
    if queries.sequences is not None and queries.lengths is not None:
        columns[model.ITEM_SEQ], columns[model.ITEM_SEQ_LEN] = queries.sequences, queries.lengths
    return dataset.join(Interaction(columns)).to(model.device)


def scores_all_items(model: Any) -> bool:
    """Whether the model has a ``full_sort_predict`` of its own."""
    method = getattr(type(model), "full_sort_predict", None)
    return method is not None and not method.__qualname__.startswith("AbstractRecommender.")


def scorer_of(model: Any, dataset: Any) -> ModelScorer | PairScorer:
    """ModelScorer where the model has ``full_sort_predict``, else PairScorer."""
    return ModelScorer(model, dataset) if scores_all_items(model) else PairScorer(model, dataset)


def reads_user(model: Any) -> bool:
    """Whether a sequence model's scores depend on the user's id beside the sequence."""
    method = type(model).full_sort_predict if scores_all_items(model) else type(model).predict
    return "USER_ID" in method.__code__.co_names


def as_ids(ids: np.ndarray) -> torch.Tensor:
    """Ids as an int64 tensor."""
    return torch.from_numpy(np.ascontiguousarray(ids, dtype=np.int64))
