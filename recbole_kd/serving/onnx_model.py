"""An ONNX graph of a model without vectors: the model's own forward pass, traced."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from recbole.utils import ModelType

from recbole_kd.errors import KDError, error_sentence
from recbole_kd.serving.bundle import seen_rows
from recbole_kd.serving.output import require_package
from recbole_kd.serving.recommender import Recommender
from recbole_kd.serving.scorers import ModelScorer, Queries, reads_user

OPSET = 17
EXAMPLES = 3  # queries that the model is traced with


def refuse_untraceable(recommender: Recommender) -> None:
    """Refuse a model that no graph can hold. Raises KDError, with the reason."""
    if recommender.config["MODEL_TYPE"] == ModelType.TRADITIONAL:
        reason = "it computes its scores outside torch"
    elif not isinstance(recommender.model_scorer, ModelScorer):
        reason = "it scores pairs of a user and an item (predict alone), so it has no graph from a user to items"
    elif recommender.is_sequential and reads_user(recommender.model):
        reason = "it reads a sequence and its user together"
    else:
        return
    raise KDError(
        f"{recommender.name} cannot be exported: {reason}; write its lists to a file with recommend --all --output="
    )


def write_traced_graph(path: Path, recommender: Recommender, k: int) -> None:
    """Write a graph of the model's own scores.

    The input of a sequence model is ``sequences`` (int64, [b, L], rows of items.txt, -1 at the end), whose items are
    left out; that of other models is ``users`` (int64, [b], rows of users.txt), whose seen items are left out. The
    outputs are ``items`` and ``scores``, shape [b, k]; k is fixed.

    Args:
        path: the file.
        recommender: the model.
        k: length of the lists.

    Raises:
        KDError: torch cannot trace the model.
    """
    require_package("onnx", "format=onnx")
    refuse_untraceable(recommender)
    graph = _SequenceGraph(recommender, k) if recommender.is_sequential else _UserGraph(recommender, k)
    graph.eval()  # the exporter puts the model back into the mode of the graph
    try:
        with warnings.catch_warnings(), torch.no_grad(), _traceable_ratings(graph.model):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph,
                (graph.example(),),
                str(path),
                input_names=[graph.input],
                output_names=["items", "scores"],
                dynamic_axes={name: {0: "batch"} for name in (graph.input, "items", "scores")},
                opset_version=OPSET,
                dynamo=False,  # the exporter that needs onnx alone
            )
    except Exception as error:  # whatever the exporter stumbles over in the model's code
        raise KDError(
            f"{recommender.name} cannot be exported to ONNX, as torch cannot trace it: {error_sentence(error)}"
        ) from error


@contextmanager
def _traceable_ratings(model: Any) -> Iterator[None]:
    """An autoencoder's rating rows by one scatter: RecBole's way is traced for the example's number of users alone."""
    if not hasattr(model, "get_rating_matrix"):
        yield
        return

    def rating_rows(users: torch.Tensor) -> torch.Tensor:
        items, values = model.history_item_id[users], model.history_item_value[users]
        return torch.zeros(users.shape[0], model.n_items, device=users.device).scatter(1, items, values)

    model.get_rating_matrix = rating_rows  # on the instance, in front of the class's method
    try:
        yield
    finally:
        del model.get_rating_matrix


class _Graph(torch.nn.Module):
    input: str

    def __init__(self, recommender: Recommender, k: int) -> None:
        super().__init__()
        self.model, self.k, self.device = recommender.model.eval(), k, recommender.model.device
        self.scorer = ModelScorer(self.model, recommender.dataset)
        self.n_items = len(recommender.items)

    def example(self) -> torch.Tensor:
        raise NotImplementedError

    def best(self, scores: torch.Tensor, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The best items as rows from 0; ``hidden``: ids that are left out, 0 for none."""
        scores = scores.reshape(-1, self.n_items + 1)
        columns = torch.cat([hidden, torch.zeros_like(hidden[:, :1])], dim=1)
        scores = scores.scatter(1, columns, float("-inf"))
        values, best = scores[:, 1:].topk(self.k, dim=1)
        return best, values


class _UserGraph(_Graph):
    input = "users"

    def __init__(self, recommender: Recommender, k: int) -> None:
        super().__init__(recommender, k)
        users = torch.arange(1, recommender.n_users).numpy()
        seen = seen_rows(recommender, users)
        self.starts, self.items = (torch.from_numpy(a).to(self.device) for a in (seen.starts, seen.items + 1))
        self.longest = torch.arange(max(1, int(seen.counts(users - 1).max())), device=self.device)

    def example(self) -> torch.Tensor:
        return torch.arange(EXAMPLES, device=self.device) % (len(self.starts) - 1)

    def forward(self, users: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        positions = self.starts[users][:, None] + self.longest
        inside = positions < self.starts[users + 1][:, None]
        hidden = torch.where(inside, self.items[positions.clamp(max=len(self.items) - 1)], 0)
        return self.best(self.scorer.scores(Queries(users + 1)), hidden)


class _SequenceGraph(_Graph):
    input = "sequences"

    def __init__(self, recommender: Recommender, k: int) -> None:
        super().__init__(recommender, k)
        self.sequences = recommender.sequences()

    def example(self) -> torch.Tensor:
        users = (self.sequences.last >= 0).nonzero()[0][:EXAMPLES]
        return self.sequences.batch(users)[0].to(self.device) - 1

    def forward(self, sequences: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        ids = sequences + 1
        lengths = (ids > 0).sum(dim=1)
        return self.best(self.scorer.scores(Queries(torch.zeros_like(lengths), ids, lengths)), ids)


def graph_inputs(recommender: Recommender, users: Any) -> dict[str, Any]:
    """The inputs of the traced graph for some user ids, by name."""
    if recommender.is_sequential:
        return {"sequences": recommender.sequences().batch(users)[0].numpy() - 1}
    return {"users": users - 1}
