"""A trained model with its data, ready to rank items for users."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from recbole.utils import ModelType
from tqdm import tqdm

from recbole_kd.errors import KDError
from recbole_kd.quick_start import load_student
from recbole_kd.serving.ranking import best_columns
from recbole_kd.serving.scorers import ModelScorer, PairScorer, Queries, Scorer, VectorScorer, as_ids, scorer_of
from recbole_kd.serving.user_items import Sequences, UserItems
from recbole_kd.serving.vectors import SequenceEncoder, Vectors, factor_vectors, sequence_encoder
from recbole_kd.serving.vocabulary import Tokens, Vocabulary, read_tokens

EXCLUDE = ("seen", "all", "none")
LOADERS = {"none": 0, "train": 1, "seen": 2, "all": 3}  # how many of the three loaders count


@dataclass(frozen=True)
class Ranked:
    """The best items of some queries.

    Attributes:
        users: ids, int64, shape [b].
        items: ids, int64, shape [b, k], best first.
        scores: float32, shape [b, k]; -inf where nothing is left.
    """

    users: np.ndarray
    items: np.ndarray
    scores: np.ndarray


class Recommender:
    """A trained RecBole model with its data.

    Args:
        model_file: a RecBole checkpoint; nothing in it is executed.
        data_path: the folder that holds the dataset's folder, where it is no longer where it was at the training.

    Attributes:
        config, model, dataset, loaders: as load_student returns them.
        users, items: Vocabulary of each side.
        is_sequential: whether the model ranks by a user's sequence.

    Raises:
        KDError: as load_student.
    """

    def __init__(self, model_file: str | os.PathLike[str], data_path: str | None = None) -> None:
        self.model_file = os.fspath(model_file)
        self.config, self.model, self.dataset, *self.loaders = load_student(self.model_file, data_path)
        self.users, self.items = (
            Vocabulary(kind, np.asarray(self.dataset.field2id_token[field]))
            for kind, field in (("user", self.dataset.uid_field), ("item", self.dataset.iid_field))
        )
        self.is_sequential = self.config["MODEL_TYPE"] == ModelType.SEQUENTIAL
        self._interactions: dict[str, UserItems] = {}
        self._sequences: dict[str, Sequences] = {}
        self._vectors: dict[str, Vectors | None] = {}

    @property
    def name(self) -> str:
        """The name of the model's class."""
        return type(self.model).__name__

    @property
    def n_users(self) -> int:
        """The number of user ids, padding included."""
        return len(self.users) + 1

    @property
    def n_items(self) -> int:
        """The number of item ids, padding included."""
        return len(self.items) + 1

    def trained_ids(self, side: str) -> np.ndarray:
        """The ids of the users or items that the model was trained on, ascending, int64; those added since are not.

        Args:
            side: ``users`` or ``items``.
        """
        new = (self.config["new_rows"] or {}).get(side, 0)
        return np.arange(1, len(getattr(self, side)) + 1 - new, dtype=np.int64)

    def interactions(self, mode: str) -> UserItems:
        """The items of each user: ``train``; ``seen``: training and validation; ``all``: test as well; ``none``.

        Raises:
            KDError: another mode.
        """
        if mode not in LOADERS:
            raise KDError(f"exclude='{mode}' is unknown: it takes one of {', '.join(EXCLUDE)}")
        if mode not in self._interactions:
            datasets = [
                loader._dataset for loader in self.loaders[: {"none": 0, "train": 1, "seen": 2, "all": 3}[mode]]
            ]
            self._interactions[mode] = UserItems.of_datasets(datasets, self.n_users, self.n_items)
        return self._interactions[mode]

    def sequences(self, mode: str = "seen") -> Sequences:
        """The latest sequence of each user up to the end of the training part (``train``), of the validation part
        (``seen``), or of the data (``all``).
        """
        if mode not in self._sequences:
            datasets = [loader._dataset for loader in self.loaders[: LOADERS[mode]]]
            self._sequences[mode] = Sequences(datasets, self.n_users)
        return self._sequences[mode]

    @cached_property
    def model_scorer(self) -> ModelScorer | PairScorer:
        """The model's own scores."""
        return scorer_of(self.model, self.dataset)

    @cached_property
    def encoder(self) -> SequenceEncoder | None:
        """The encoder of a sequence model with an item table, else None."""
        if not self.is_sequential or not isinstance(self.model_scorer, ModelScorer):
            return None
        return sequence_encoder(self.model, self.model_scorer, self.sequences())

    def vectors(self, mode: str = "seen") -> Vectors | None:
        """The vectors of users and items; None where the model's scores are not their inner product.

        Args:
            mode: up to where the sequences of a sequence model go, as of ``sequences``.
        """
        if mode not in self._vectors:
            if self.is_sequential:
                self._vectors[mode] = self.encoder.vectors(self.sequences(mode)) if self.encoder else None
            elif self.config["MODEL_TYPE"] in (ModelType.GENERAL, ModelType.KNOWLEDGE):
                self._vectors[mode] = factor_vectors(self.model)
            else:
                self._vectors[mode] = None
        return self._vectors[mode]

    def scorer(self) -> Scorer:
        """The fastest source of the model's scores."""
        vectors = None if self.is_sequential else self.vectors()
        return VectorScorer(vectors.users, vectors.items) if vectors else self.model_scorer

    def queries(self, users: np.ndarray, mode: str = "seen") -> Queries:
        """The queries of some users; of a sequence model with the latest sequence, as of ``sequences``."""
        if self.is_sequential:
            return Queries(as_ids(users), *self.sequences(mode).batch(users))
        return Queries(as_ids(users))

    def candidates(
        self, allow: Tokens | None = None, deny: Tokens | None = None, skip_unknown: bool = False
    ) -> np.ndarray:
        """The item ids that may be recommended, ascending, int64: all that the model was trained on, or the allowed
        ones of them, without the denied ones.

        Raises:
            KDError: an unknown token, or nothing is left.
        """
        candidates = self.trained_ids("items")
        if allow is not None:
            candidates = np.intersect1d(candidates, self.items.ids(read_tokens(allow, "allow"), skip_unknown))
        if deny is not None:
            candidates = np.setdiff1d(candidates, self.items.ids(read_tokens(deny, "deny"), skip_unknown))
        if not len(candidates):
            raise KDError(
                "allow and deny leave no item to recommend that the model was trained on: allow more items, or deny "
                "fewer"
            )
        return candidates


def rank(
    scorer: Scorer, queries: Iterator[Queries], k: int, candidates: np.ndarray, hidden: UserItems
) -> Iterator[Ranked]:
    """The best candidates of each batch of queries.

    Args:
        scorer: where the scores come from.
        queries: batches; a row of ``hidden`` belongs to a user id of theirs.
        k: length of a list, at most the number of candidates.
        candidates: item ids, ascending, int64.
        hidden: the items that are left out for each user id.

    Raises:
        KDError: the model's scores are not numbers.
    """
    items = as_ids(candidates)
    column = np.full(int(max(candidates.max(), hidden.items.max(initial=0))) + 1, -1, dtype=np.int64)
    column[candidates] = np.arange(len(candidates))
    for batch in queries:
        users = batch.users.numpy()
        rows, columns = hidden.pairs(users)
        columns = column[columns]
        shown = columns >= 0
        scores, best = best_columns(scorer.blocks(batch, items, k), k, rows[shown], columns[shown])
        if bool(scores.isnan().any()):
            raise KDError("the model gives scores that are not numbers (NaN): train it with a smaller learning_rate")
        yield Ranked(users, candidates[best.cpu().numpy()], scores.float().cpu().numpy())


def batches(ids: np.ndarray, rows: int, unit: str, progress: bool | None = None) -> Iterator[np.ndarray]:
    """Ids in batches of so many rows, under a progress bar.

    Args:
        progress: whether there is a bar; None: on a terminal only.
    """
    disable = None if progress is None else not progress
    with tqdm(total=len(ids), unit=f" {unit}s", disable=disable) as bar:
        for first in range(0, len(ids), rows):
            subset = ids[first : first + rows]
            yield subset
            bar.update(len(subset))


ModelSource = str | os.PathLike[str] | Recommender


def open_recommender(model: ModelSource, data_path: str | None = None) -> Recommender:
    """The Recommender of a checkpoint, or the one that is given."""
    return model if isinstance(model, Recommender) else Recommender(model, data_path)
