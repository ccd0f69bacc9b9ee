"""Terms over the rows of a sequence student, whose lists and draws are made in each step, against plain Python."""

import math

import pytest
import torch

from recbole_kd.backbone.factors import FactorBackbone
from recbole_kd.backbone.queries import RowUserQueries
from recbole_kd.knowledge.model import ModelKnowledge
from recbole_kd.term.kd import KD
from recbole_kd.term.rcekd import RCEKD
from recbole_kd.term.rrd import RRD
from recbole_kd.term.sld import SLD
from recbole_kd.testing import toy
from recbole_kd.testing.toy import D_S, D_T, ITEMS, USERS, by_rank, cross_entropy, dot, factors, numbers, replay

# a row is a query of its own, with the vectors of a toy user; its target is all that it has seen
TARGETS = {1: 4, 2: 3, 3: 7, 4: 1, 5: 6}
ROWS = [(4, 1, 5), (2, 3, 6), (5, 6, 2), (1, 4, 3), (2, 3, 5)]  # (row, target, negative); the second comes twice
QUERIES = [1, 2, 4, 5]  # of the batch, ascending
KEYS = {
    "kd_items": "topk",
    "kd_guide": "teacher",
    "kd_k": 3,
    "kd_seen": False,
    "kd_tau": 0.7,
    "kd_tau_squared": False,
    "rrd_k": 2,
    "rrd_uniform_k": 3,
    "rrd_sampling": "rank",
    "rrd_temperature": 2.0,
    "rrd_max_k": 4,
    "rrd_refresh": 1,
    "sld_mode": "logitmix",
    "sld_k": 2,
    "sld_student_k": 2,
    "sld_uniform_k": 2,
    "sld_temperature": 2.0,
    "sld_max_k": 4,
    "sld_student_max_k": 3,
    "sld_tau": 0.7,
    "sld_gamma": 0.4,
    "sld_warmup": 2,
    "sld_refresh": 3,
    "rcekd_k": 3,
    "rcekd_sample_k": 2,
    "rcekd_sampling": "rce",
    "rcekd_temperature": 2.0,
    "rcekd_max_k": 5,
    "rcekd_beta": 1.5,
    "rcekd_tau": 0.7,
    "rcekd_seen": False,
    "rcekd_refresh": 2,
    "kd_weight": 1.0,
    "rrd_weight": 1.0,
    "sld_weight": 1.0,
    "rcekd_weight": 1.0,
}


class RowWorld(toy.World):
    """A world whose queries are rows."""

    def __init__(self, kind, epoch=0, **keys):
        self.keys = toy.COMMON | KEYS | keys
        self.teacher, self.student = toy.Toy(D_T, 1), toy.Toy(D_S, 101)
        queries = RowUserQueries("user_id", torch.arange(USERS + 1))
        positives = torch.tensor(list(TARGETS)), torch.tensor(list(TARGETS.values()))
        self.knowledge = ModelKnowledge(FactorBackbone(self.teacher, queries), positives)
        self.backbone = FactorBackbone(self.student, queries)
        self.term = self.trained_module = self.make(kind)
        self.term.start_epoch(epoch, self.backbone)
        self.epoch = epoch

    def check(self, slow, **tolerance):
        """The loss of the term is the slow one, which draws by a copy of the term's generator."""
        scores = Scores(self)
        expected = slow(scores, self.keys, replay(self.term))
        assert self.loss(ROWS).item() == pytest.approx(expected, rel=1e-5)
        assert expected > 0


class Scores:
    """The scores of both models, and their lists of items other than the row's target."""

    def __init__(self, world):
        tables = numbers(world.student, world.trained_module)
        self.student = self._table(tables["user"], tables["item"])
        teacher = factors(world.teacher)
        self.teacher = self._table(teacher["user"], teacher["item"])

    @staticmethod
    def _table(users, items):
        return {(q, i): dot(users[q], items[i]) for q in TARGETS for i in range(1, ITEMS + 1)}

    def best(self, side, query, length, seen=False):
        table = getattr(self, side)
        others = [item for item in range(1, ITEMS + 1) if seen or item != TARGETS[query]]
        return sorted(others, key=lambda item: -table[query, item])[:length]

    def of(self, side, query, items):
        return [getattr(self, side)[query, item] for item in items]


def drawn_by_rank(lists, k, temperature, generator):
    """``by_rank`` for the lists of ``QUERIES``."""
    drawn = by_rank(dict(enumerate(lists)), k, temperature, generator)
    return [drawn[position] for position in range(len(lists))]


def uniform(lists, k, generator):
    """k items outside each query's list and target, with replacement."""
    draw = torch.rand(len(lists), k, generator=generator, dtype=torch.float64).tolist()
    result = []
    for query, listed, numbers_of_row in zip(QUERIES, lists, draw, strict=True):
        free = [i for i in range(1, ITEMS + 1) if i not in listed and i != TARGETS[query]]
        result.append([free[int(u * len(free))] for u in numbers_of_row])
    return result


def kd(scores, keys, generator):
    losses = []
    for query in QUERIES:
        items = scores.best(keys["kd_guide"], query, keys["kd_k"], keys["kd_seen"])
        labels, predictions = scores.of("teacher", query, items), scores.of("student", query, items)
        losses.append(cross_entropy(labels, predictions, keys["kd_tau"]))
    return (keys["kd_tau"] ** 2 if keys["kd_tau_squared"] else 1.0) * sum(losses) / len(losses)


def rrd(scores, keys, generator):
    k, lists = keys["rrd_k"], [scores.best("teacher", query, keys["rrd_max_k"]) for query in QUERIES]
    if keys["rrd_sampling"] == "rank":
        listed = drawn_by_rank(lists, k, keys["rrd_temperature"], generator)
    else:
        listed = [items[:k] for items in lists]
    total = 0.0
    for query, ordered, others in zip(QUERIES, listed, uniform(lists, keys["rrd_uniform_k"], generator), strict=True):
        outside = sum(math.exp(score) for score in scores.of("student", query, sorted(set(others))))
        predictions = [math.exp(score) for score in scores.of("student", query, ordered)]
        total -= sum(math.log(p / (sum(predictions[r:]) + outside)) for r, p in enumerate(predictions))
    return total / (len(QUERIES) * k)


def sld(scores, keys, generator, gamma):
    lists = [scores.best("teacher", query, keys["sld_max_k"]) for query in QUERIES]
    draws = [drawn_by_rank(lists, keys["sld_k"], keys["sld_temperature"], generator)]
    if keys["sld_mode"] != "teacher":
        of_student = [scores.best("student", query, keys["sld_student_max_k"]) for query in QUERIES]
        draws.append(drawn_by_rank(of_student, keys["sld_student_k"], keys["sld_temperature"], generator))
    draws.append(uniform(lists, keys["sld_uniform_k"], generator))
    total = 0.0
    for query, *parts in zip(QUERIES, *draws, strict=True):
        items = sorted({item for part in parts for item in part})
        t, s = scores.of("teacher", query, items), scores.of("student", query, items)
        labels = [(1 - gamma) * x + gamma * y for x, y in zip(t, s, strict=True)]
        total += cross_entropy(labels, s, keys["sld_tau"])
    return total / len(QUERIES)


def rcekd(scores, keys, generator):
    k, seen, temperature = keys["rcekd_k"], keys["rcekd_seen"], keys["rcekd_temperature"]
    of_student = [scores.best("student", query, keys["rcekd_max_k"], seen) for query in QUERIES]
    of_teacher = [scores.best("teacher", query, k, seen) for query in QUERIES]
    draw = torch.rand(len(QUERIES), keys["rcekd_max_k"], generator=generator).tolist()
    total = 0.0
    for query, student, teacher, u in zip(QUERIES, of_student, of_teacher, draw, strict=True):
        counts = [sum(item in teacher for item in student[r:]) for r in range(len(student))]
        if keys["rcekd_sampling"] == "rank":
            counts = [-r for r in range(len(student))]
        times = [-math.log(x) / math.exp(c / temperature) for x, c in zip(u, counts, strict=True)]
        drawn = [student[r] for r in sorted(range(len(student)), key=times.__getitem__)[: keys["rcekd_sample_k"]]]
        w = math.exp(-keys["rcekd_beta"] * len(set(drawn) & set(teacher)) / k)
        both = drawn + [item for item in teacher if item not in drawn and item not in student[:k]]
        parts = [
            cross_entropy(scores.of("teacher", query, items), scores.of("student", query, items), keys["rcekd_tau"])
            for items in (student[:k], both)
        ]
        total += (1 - w) * parts[0] + w * parts[1]
    return total / len(QUERIES)


@pytest.mark.parametrize(
    "keys", [{}, {"kd_guide": "student"}, {"kd_seen": True}, {"kd_tau_squared": True}, {"kd_k": ITEMS + 3}]
)
def test_kd(keys):
    RowWorld(KD, **keys).check(kd)


@pytest.mark.parametrize("keys", [{}, {"rrd_sampling": "topk"}, {"rrd_temperature": 0.2}])
def test_rrd(keys):
    RowWorld(RRD, **keys).check(rrd)


@pytest.mark.parametrize(
    ("keys", "epoch", "gamma"),
    [
        ({}, 1, 0.2),  # half of the way to 0.4
        ({}, 5, 0.4),
        ({"sld_mode": "union"}, 5, 0.0),
        ({"sld_mode": "teacher"}, 5, 0.0),
    ],
)
def test_sld(keys, epoch, gamma):
    RowWorld(SLD, epoch, **keys).check(lambda *arguments: sld(*arguments, gamma))


@pytest.mark.parametrize("keys", [{}, {"rcekd_sampling": "rank"}, {"rcekd_seen": True}, {"rcekd_beta": 0.0}])
def test_rcekd(keys):
    RowWorld(RCEKD, **keys).check(rcekd)


@pytest.mark.parametrize("kind", [KD, RRD, SLD, RCEKD])
def test_rows_are_drawn_anew_in_each_step_from_the_students_current_scores(kind):
    world = RowWorld(kind, epoch=5, kd_guide="student")
    start = replay(world.term).get_state()
    first = world.loss(ROWS).item()
    world.term.generator.set_state(start)
    assert world.loss(ROWS).item() == first
    toy.moved_on(world)
    slow = {KD: kd, RRD: rrd, RCEKD: rcekd, SLD: lambda *arguments: sld(*arguments, 0.4)}[kind]
    world.check(slow)


@pytest.mark.parametrize("kind", [KD, RRD, SLD, RCEKD])
def test_rows_of_equal_content_in_another_order_draw_the_same(kind):
    losses = []
    for rows in (ROWS, ROWS[::-1]):
        losses.append(RowWorld(kind).loss(rows).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


@pytest.mark.parametrize("kind", [KD, RRD, SLD, RCEKD])
def test_no_table_of_all_rows_is_kept(kind):
    """There are many rows: a term holds its generator alone."""
    assert set(RowWorld(kind).term.state_dict()) == {"_extra_state"}


def test_drawn_rows_are_a_subset_of_the_batch():
    world = RowWorld(KD, kd_rows=2)
    chosen = toy.chosen(QUERIES, 2, replay(world.term))
    scores, losses = Scores(world), []
    for query in chosen:
        items = scores.best("teacher", query, 3)
        losses.append(cross_entropy(scores.of("teacher", query, items), scores.of("student", query, items), 0.7))
    assert len(chosen) == 2
    assert world.loss(ROWS).item() == pytest.approx(sum(losses) / 2, rel=1e-5)
