"""A toy of 5 users and 7 items, and the parts of formulas in plain Python, for the slow references of the terms."""

import copy
import math

import torch
from torch import nn

from recbole_kd.backbone.factors import FactorBackbone
from recbole_kd.knowledge.model import ModelKnowledge
from recbole_kd.term.base import Batch

USERS, ITEMS, D_S, D_T = 5, 7, 3, 4
# what each user has seen in training: the third everything, so that nothing is left to draw; the fourth all but two
SEEN = {1: {1, 4}, 2: {3}, 3: set(range(1, 8)), 4: {1, 2, 5, 6, 7}, 5: {2, 6}}
# (user, positive, negative): users and items come again, one row comes twice, the fifth user does not come
ROWS = [(4, 5, 3), (1, 1, 2), (2, 3, 6), (1, 4, 3), (3, 7, 2), (2, 3, 5), (1, 1, 2)]
APART = [(1, 4, 2), (2, 3, 6), (3, 7, 5), (4, 1, 3)]  # everyone once: sums are 4 times the means

COMMON = {
    "device": torch.device("cpu"),
    "seed": 11,
    "kd_reduction": "mean",
    "kd_rows": 0,
    "clip_grad_norm": None,
    "train_neg_sample_args": {"sample_num": 1},
}


class Toy(nn.Module):
    """What FactorBackbone and Knowledge ask of a RecBole model. The padding rows hold numbers: a leak would show."""

    n_users, n_items, device = USERS + 1, ITEMS + 1, torch.device("cpu")

    def __init__(self, width, seed):
        super().__init__()
        self.user_embedding, self.item_embedding = nn.Embedding(USERS + 1, width), nn.Embedding(ITEMS + 1, width)
        self.shake(seed)

    def shake(self, seed):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(torch.randn(weight.shape, generator=generator))

    def calculate_loss(self, interaction):
        user, pos, neg = (
            table(interaction[name])
            for table, name in (
                (self.user_embedding, "user_id"), (self.item_embedding, "item_id"), (self.item_embedding, "neg_item_id")
            )
        )  # fmt: skip
        return -nn.functional.logsigmoid((user * (pos - neg)).sum(1)).mean()


class World:
    """A teacher, a student, a term of the given kind with its first epoch begun, and where its generator stood.

    Attributes:
        common: the keys of the terms that a test file is about; set by a subclass.
        parts: the term whose parameters are trained, where it is not the term itself.
    """

    common: dict = {}

    def __init__(self, kind, epoch=0, seed=1, **keys):
        self.keys = COMMON | self.common | keys
        self.teacher, self.student = Toy(D_T, seed), Toy(D_S, seed + 100)
        pairs = torch.tensor([(user, item) for user, items in SEEN.items() for item in items]).T
        self.knowledge = ModelKnowledge(FactorBackbone(self.teacher), tuple(pairs))
        self.backbone = FactorBackbone(self.student)
        self.term = self.parts = self.make(kind, seed)
        self.early = replay(self.term)
        self.before = numbers(self.student, self.term)
        self.term.start_epoch(epoch, self.backbone)
        self.epoch = epoch

    def make(self, kind, seed=1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return kind(self.keys, self.knowledge, D_S)

    def loss(self, rows=ROWS):
        columns = torch.tensor(rows).T
        interaction = dict(zip(("user_id", "item_id", "neg_item_id"), columns, strict=True))
        with self.backbone.view() as view:
            return self.term.loss(Batch(*columns, view, interaction))

    def gradients(self, rows=ROWS):
        """The gradient of the loss for each number of ``numbers``, zeros where there is none."""
        tensors = weights(self.student, self.parts)
        found = torch.autograd.grad(self.loss(rows), list(tensors.values()), allow_unused=True)
        return {
            name: torch.zeros_like(tensor) if grad is None else grad
            for (name, tensor), grad in zip(tensors.items(), found, strict=True)
        }


def weights(student, term):
    tables = {"user": student.user_embedding.weight, "item": student.item_embedding.weight}
    return tables | {name.removeprefix("projectors."): weight for name, weight in term.named_parameters()}


def numbers(student, term):
    """Everything that can be trained, as lists of numbers by name."""
    return {name: tensor.detach().double().tolist() for name, tensor in weights(student, term).items()}


def factors(teacher):
    return {side: getattr(teacher, f"{side}_embedding").weight.detach().double().tolist() for side in ("user", "item")}


def replay(term):
    """A copy of the term's generator, to draw again what the term draws from here on."""
    return torch.Generator().set_state(term.generator.get_state())


# the formulas' parts, in plain Python


def dot(one, other):
    return sum(x * y for x, y in zip(one, other, strict=True))


def unit(vector):
    return [x / math.hypot(*vector) for x in vector]


def average(values, keys):
    return math.fsum(values) / (1 if keys["kd_reduction"] == "sum" else len(values))


def row_average(values, users, rows, keys):
    """A value for each of some users to one: their mean, or the sum that a batch's rows have of their users' values."""
    if keys["kd_reduction"] == "mean":
        return average(values, keys)
    value, everyone = dict(zip(users, values, strict=True)), {user for user, *_ in rows}
    return math.fsum(value.get(user, 0.0) for user, *_ in rows) * len(everyone) / len(users)


def cross_entropy(labels, scores, tau):
    """- sum_i softmax_i(labels / tau) log softmax_i(scores / tau)."""
    q = [math.exp(y / tau) for y in labels]
    p = [math.exp(s / tau) for s in scores]
    return -sum(y / sum(q) * math.log(s / sum(p)) for y, s in zip(q, p, strict=True))


def project(net, side, vector, keys, kind):
    """The mean of the experts, one after the other, neuron by neuron."""
    inner, inner_bias = net[f"{side}_projector.inner.weight"], net[f"{side}_projector.inner.bias"]
    outer, outer_bias = net[f"{side}_projector.outer.weight"], net[f"{side}_projector.outer.bias"]
    experts, width = keys[f"{kind}_experts"], int(D_T * keys[f"{kind}_hidden_ratio"])
    assert len(inner) == experts * width
    result = [0.0] * D_T
    for expert in range(experts):
        own = range(expert * width, (expert + 1) * width)
        hidden = {j: max(0.0, dot(inner[j], vector) + inner_bias[j]) for j in own}
        for o in range(D_T):
            result[o] += (sum(outer[o][j] * hidden[j] for j in own) + outer_bias[o]) / experts
    return result


def chosen(ids, k, generator):
    """The draw of k of them."""
    if k <= 0 or len(ids) <= k:
        return ids
    draw = torch.rand(len(ids), generator=generator).tolist()
    return [x for place, x in enumerate(ids) if sum(other > draw[place] for other in draw) < k]


def once(rows, column):
    return sorted({row[column] for row in rows})


def best_unseen(users, items, length, seen=False):
    """Each user's unseen items, or all of them, the best first."""
    result = {0: []}
    for user in range(1, USERS + 1):
        unseen = [item for item in range(1, ITEMS + 1) if seen or item not in SEEN[user]]
        result[user] = sorted(unseen, key=lambda item: -dot(users[user], items[item]))[:length]
    return result


def by_rank(lists, k, temperature, generator):
    """A race: rank r (from 1) arrives at the time -log(u) exp(r / T), the first k are drawn."""
    draw = torch.rand(len(lists), max(len(items) for items in lists.values()), generator=generator).tolist()
    result = {}
    for user, items in lists.items():
        times = {r: -math.log(draw[user][r]) * math.exp((r + 1) / temperature) for r in range(len(items))}
        result[user] = [items[r] for r in sorted(sorted(times, key=times.get)[:k])]
    return result


def assert_gradients_agree(world, slow, rows=ROWS, step=1e-5):
    """The gradient of every number that can be trained, by small steps of the slow reference."""
    start = replay(world.term)
    grads = world.gradients(rows)
    world.term.generator.set_state(start.get_state())
    live = numbers(world.student, world.parts)
    still = copy.deepcopy(live)
    for name, grad in grads.items():
        expected = torch.zeros_like(grad)
        table = live[name] if grad.dim() == 2 else [live[name]]
        for r, row in enumerate(table):
            for c, value in enumerate(row):
                row[c] = value + step
                up = slow(live, still)
                row[c] = value - step
                down = slow(live, still)
                row[c] = value
                expected.view(len(table), -1)[r, c] = (up - down) / (2 * step)
        torch.testing.assert_close(grad, expected, rtol=1e-3, atol=2e-5, msg=lambda text, name=name: f"{name}: {text}")


def named(settings):
    """An id for each (kind, keys) of a parametrized test."""
    return [" ".join([kind.__name__, *(f"{key}={value}" for key, value in keys.items())]) for kind, keys in settings]


def rows_with_gradient(table):
    """Which rows of a gradient are not 0."""
    return set(table.abs().sum(1).nonzero().flatten().tolist())


def moved_on(world, seed=1):
    """The world, whose student has moved on since the draws: a detached old value would show in the loss."""
    world.student.shake(seed + 200)
    return world
