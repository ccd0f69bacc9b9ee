"""A toy world of 5 users and 7 items, and building blocks of formulas in plain Python.

A term is tested against a slow reference: its formula in plain Python numbers, drawn by a copy of its generator.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from recbole_kd.backbone.factors import FactorBackbone
from recbole_kd.knowledge.model import ModelKnowledge
from recbole_kd.term.batch import Batch

Row = tuple[int, int, int]  # (user, positive item, negative item)
Vector = Sequence[float]
Table = list[list[float]]

USERS, ITEMS, D_S, D_T = 5, 7, 3, 4
# the items of each user in training: the third has all, so that nothing is left to draw; the fourth all but two
SEEN = {1: {1, 4}, 2: {3}, 3: set(range(1, 8)), 4: {1, 2, 5, 6, 7}, 5: {2, 6}}
# a batch in which users and items are repeated, one row occurs twice, and the fifth user is missing
ROWS = [(4, 5, 3), (1, 1, 2), (2, 3, 6), (1, 4, 3), (3, 7, 2), (2, 3, 5), (1, 1, 2)]
APART = [(1, 4, 2), (2, 3, 6), (3, 7, 5), (4, 1, 3)]  # nothing is repeated: sums are 4 times the means

COMMON: dict[str, Any] = {
    "device": torch.device("cpu"),
    "seed": 11,
    "kd_reduction": "mean",
    "kd_rows": 0,
    "clip_grad_norm": None,
    "train_neg_sample_args": {"sample_num": 1},
}


class Toy(nn.Module):
    """The part of RecBole's model interface that FactorBackbone and ModelKnowledge use.

    The padding rows hold random numbers as well, so that a term that reads them gives another loss.

    Args:
        width: dimension of the factors.
        seed: seed of the weights.
    """

    n_users, n_items, device = USERS + 1, ITEMS + 1, torch.device("cpu")
    USER_ID = "user_id"

    def __init__(self, width: int, seed: int) -> None:
        super().__init__()
        self.user_embedding, self.item_embedding = nn.Embedding(USERS + 1, width), nn.Embedding(ITEMS + 1, width)
        self.shake(seed)

    def shake(self, seed: int) -> None:
        """Draw all weights again."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(torch.randn(weight.shape, generator=generator))

    def calculate_loss(self, interaction: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The BPR loss."""
        user = self.user_embedding(interaction["user_id"])
        pos, neg = (self.item_embedding(interaction[name]) for name in ("item_id", "neg_item_id"))
        return -nn.functional.logsigmoid((user * (pos - neg)).sum(1)).mean()


class World:
    """A teacher, a student, and a term at the beginning of an epoch.

    Args:
        kind: class of the term.
        epoch: the epoch that begins.
        seed: seed of teacher, student and term.
        keys: keys of the term.

    Attributes:
        common: default keys of the terms that a test file is about; a subclass sets them.
        term: the term.
        trained_module: the module whose parameters the term trains: the term itself, unless it shares another's.
        early: a copy of the term's generator before the epoch began.
        before: the trained numbers before the epoch began, as ``numbers`` gives them.
    """

    common: dict[str, Any] = {}

    def __init__(self, kind: Any, epoch: int = 0, seed: int = 1, **keys: Any) -> None:
        self.keys = COMMON | self.common | keys
        self.teacher, self.student = Toy(D_T, seed), Toy(D_S, seed + 100)
        pairs = torch.tensor([(user, item) for user, items in SEEN.items() for item in items]).T
        self.knowledge = ModelKnowledge(FactorBackbone(self.teacher), tuple(pairs))
        self.backbone = FactorBackbone(self.student)
        self.term = self.trained_module = self.make(kind, seed)
        self.early = replay(self.term)
        self.before = numbers(self.student, self.term)
        self.term.start_epoch(epoch, self.backbone)
        self.epoch = epoch

    def make(self, kind: Any, seed: int = 1) -> Any:
        """A new term of this world."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return kind(self.keys, self.knowledge, D_S)

    def loss(self, rows: Sequence[Row] = ROWS) -> torch.Tensor:
        """The term's loss on a batch."""
        user, pos, neg = torch.tensor(rows).T
        interaction: Any = {"user_id": user, "item_id": pos, "neg_item_id": neg}
        with self.backbone.view() as view:
            return self.term.loss(Batch(user, pos, neg, view, interaction))

    def gradients(self, rows: Sequence[Row] = ROWS) -> dict[str, torch.Tensor]:
        """The gradient of the loss with respect to each tensor of ``weights``; zeros for an unused one."""
        tensors = weights(self.student, self.trained_module)
        grads = torch.autograd.grad(self.loss(rows), list(tensors.values()), allow_unused=True)
        return {
            name: torch.zeros_like(tensor) if grad is None else grad
            for (name, tensor), grad in zip(tensors.items(), grads, strict=True)
        }


def weights(student: Toy, term: nn.Module) -> dict[str, torch.Tensor]:
    """All trained tensors by name: the student's tables ``user`` and ``item``, and the term's parameters."""
    tables: dict[str, torch.Tensor]
    tables = {"user": student.user_embedding.weight, "item": student.item_embedding.weight}
    return tables | {name.removeprefix("projectors."): weight for name, weight in term.named_parameters()}


def numbers(student: Toy, term: nn.Module) -> dict[str, Any]:
    """The tensors of ``weights`` as nested lists of numbers."""
    return {name: tensor.detach().double().tolist() for name, tensor in weights(student, term).items()}


def factors(teacher: Toy) -> dict[str, Table]:
    """The tables ``user`` and ``item`` as nested lists of numbers."""
    return {side: getattr(teacher, f"{side}_embedding").weight.detach().double().tolist() for side in ("user", "item")}


def replay(term: Any) -> torch.Generator:
    """A copy of the term's generator: it repeats what the term draws from now on."""
    return torch.Generator().set_state(term.generator.get_state())


# building blocks of formulas, in plain Python


def dot(one: Vector, other: Vector) -> float:
    """The inner product."""
    return sum(x * y for x, y in zip(one, other, strict=True))


def unit(vector: Vector) -> list[float]:
    """The vector of the same direction and of length 1."""
    return [x / math.hypot(*vector) for x in vector]


def average(values: Sequence[float], keys: Mapping[str, Any]) -> float:
    """The mean, or the sum under ``kd_reduction: sum``."""
    return math.fsum(values) / (1 if keys["kd_reduction"] == "sum" else len(values))


def row_average(values: Sequence[float], users: Sequence[int], rows: Sequence[Row], keys: Mapping[str, Any]) -> float:
    """The mean of the users' values; under ``kd_reduction: sum`` a sum in which each row counts its user's value.

    Where ``users`` are a sample of the batch's users, the sum is scaled up to all of them.
    """
    if keys["kd_reduction"] == "mean":
        return average(values, keys)
    value, everyone = dict(zip(users, values, strict=True)), {user for user, *_ in rows}
    return math.fsum(value.get(user, 0.0) for user, *_ in rows) * len(everyone) / len(users)


def cross_entropy(labels: Vector, scores: Vector, tau: float) -> float:
    """- sum_i softmax_i(labels / tau) log softmax_i(scores / tau)."""
    q = [math.exp(y / tau) for y in labels]
    p = [math.exp(s / tau) for s in scores]
    return -sum(y / sum(q) * math.log(s / sum(p)) for y, s in zip(q, p, strict=True))


def project(net: Mapping[str, Any], side: str, vector: Vector, keys: Mapping[str, Any], kind: str) -> list[float]:
    """The mean output of a projector's experts, computed expert by expert and neuron by neuron."""
    inner, inner_bias = net[f"{side}_projector.inner.weight"], net[f"{side}_projector.inner.bias"]
    outer, outer_bias = net[f"{side}_projector.outer.weight"], net[f"{side}_projector.outer.bias"]
    experts, width = keys[f"{kind}_experts"], int(D_T * keys[f"{kind}_hidden_ratio"])
    assert len(inner) == experts * width
    result = [0.0] * D_T
    for expert in range(experts):
        neurons = range(expert * width, (expert + 1) * width)
        hidden = {j: max(0.0, dot(inner[j], vector) + inner_bias[j]) for j in neurons}
        for o in range(D_T):
            result[o] += (sum(outer[o][j] * hidden[j] for j in neurons) + outer_bias[o]) / experts
    return result


def chosen(ids: Sequence[int], k: int, generator: torch.Generator) -> Sequence[int]:
    """A random subset of k ids in their order; all of them where k is 0 or there are no more than k."""
    if k <= 0 or len(ids) <= k:
        return ids
    draw = torch.rand(len(ids), generator=generator).tolist()
    return [x for i, x in enumerate(ids) if sum(other > draw[i] for other in draw) < k]


def once(rows: Sequence[Row], column: int) -> list[int]:
    """The distinct ids of a column of the batch, ascending."""
    return sorted({row[column] for row in rows})


def best_unseen(users: Table, items: Table, length: int, seen: bool = False) -> dict[int, list[int]]:
    """The unseen items of each user, or all items with ``seen``, in descending order of score; none for padding."""
    result: dict[int, list[int]] = {0: []}
    for user in range(1, USERS + 1):
        unseen = [item for item in range(1, ITEMS + 1) if seen or item not in SEEN[user]]
        result[user] = sorted(unseen, key=lambda item: -dot(users[user], items[item]))[:length]
    return result


def by_rank(
    lists: Mapping[int, list[int]], k: int, temperature: float, generator: torch.Generator
) -> dict[int, list[int]]:
    """k items of each list, drawn with weights exp(-rank / T): the k earliest of the times -log(u) exp(rank / T)."""
    draw = torch.rand(len(lists), max(len(items) for items in lists.values()), generator=generator).tolist()
    result = {}
    for user, items in lists.items():
        times = {r: -math.log(draw[user][r]) * math.exp((r + 1) / temperature) for r in range(len(items))}
        result[user] = [items[r] for r in sorted(sorted(times, key=times.__getitem__)[:k])]
    return result


def assert_gradients_agree(world: World, slow: Callable, rows: Sequence[Row] = ROWS, step: float = 1e-5) -> None:
    """Compare the gradients with finite differences of the slow reference, number by number.

    Args:
        world: the world of the term.
        slow: the reference: a function from (numbers, constant numbers), both as ``numbers`` gives them, to the loss.
            The second argument is for what the term detaches.
        rows: the batch.
        step: step of the central differences.
    """
    start = replay(world.term)
    grads = world.gradients(rows)
    world.term.generator.set_state(start.get_state())
    live = numbers(world.student, world.trained_module)
    constant = copy.deepcopy(live)
    for name, grad in grads.items():
        expected = torch.zeros_like(grad)
        table = live[name] if grad.dim() == 2 else [live[name]]
        for r, row in enumerate(table):
            for c, value in enumerate(row):
                row[c] = value + step
                up = slow(live, constant)
                row[c] = value - step
                down = slow(live, constant)
                row[c] = value
                expected.view(len(table), -1)[r, c] = (up - down) / (2 * step)
        assert torch.allclose(grad, expected, rtol=1e-3, atol=2e-5), f"{name}: {grad}, expected {expected}"


def named(settings: Sequence[tuple[type, Mapping[str, Any]]]) -> list[str]:
    """Test ids for parameters of the form (term class, keys)."""
    return [" ".join([kind.__name__, *(f"{key}={value}" for key, value in keys.items())]) for kind, keys in settings]


def rows_with_gradient(table: torch.Tensor) -> set[int]:
    """The rows of a gradient that are not 0."""
    return set(table.abs().sum(1).nonzero().flatten().tolist())


def moved_on(world: World, seed: int = 1) -> World:
    """The world with new weights of the student: a term that uses values from before the epoch gives another loss."""
    world.student.shake(seed + 200)
    return world
