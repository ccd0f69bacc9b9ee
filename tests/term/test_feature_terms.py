"""DE, FitNet, FTD, HTD, VkD and FreqD: each one's whole loss of a step and its gradient, against plain Python.

As in test_terms.py: the references work on lists of numbers, only the random draws are replayed from a copy of the
generator, and a gradient is the change with ``live`` while ``still``, which stands for whatever is detached, stays.
"""

import math

import numpy as np
import pytest
import torch

from recbole_kd.backbone.capabilities import FACTORS, VECTORS
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from recbole_kd.method.composed import PCKD
from recbole_kd.term import get_term
from recbole_kd.term.batch import Batch
from recbole_kd.term.cpd import CPD
from recbole_kd.term.de import DE
from recbole_kd.term.fitnet import FitNet
from recbole_kd.term.freqd import FreqD
from recbole_kd.term.ftd import FTD
from recbole_kd.term.htd import HTD
from recbole_kd.term.schedule import geometric_decay
from recbole_kd.term.vkd import VkD
from recbole_kd.testing import toy
from recbole_kd.testing.toy import (
    APART,
    D_S,
    D_T,
    ITEMS,
    ROWS,
    SEEN,
    USERS,
    assert_gradients_agree,
    by_rank,
    chosen,
    cross_entropy,
    dot,
    factors,
    moved_on,
    named,
    numbers,
    once,
    project,
    replay,
    rows_with_gradient,
    unit,
)

KEYS = {
    "de_weight": 0.5, "de_experts": 3, "de_tau_start": 0.8, "de_tau_end": 0.2, "de_anneal": 4,
    "fitnet_weight": 0.4, "fitnet_projector": "linear", "fitnet_experts": 1, "fitnet_hidden_ratio": 1.5,
    "fitnet_dropout": 0.0, "fitnet_unit": False,
    "ftd_weight": 0.3,
    "htd_weight": 0.2, "htd_groups": 2, "htd_alpha": 0.3, "htd_group": "entity", "htd_only_positive": False,
    "htd_tau_start": 0.8, "htd_tau_end": 0.2, "htd_anneal": 4,
    "vkd_weight": 0.1, "vkd_center": True, "vkd_unit": False,
    "freqd_weight": 0.6, "freqd_graph": "bipartite", "freqd_filter": "linear", "freqd_alpha": 0.3, "freqd_k": 2,
    "freqd_counts": True, "freqd_pca": 150, "freqd_keep": 1.0, "freqd_unit": True, "freqd_experts": 1,
    "freqd_hidden_ratio": 1.5, "freqd_dropout": 0.0,
    "cpd_weight": 0.5, "cpd_pair_weight": 0.3, "cpd_list_weight": 0.6, "cpd_pair": "logistic",
    "cpd_pair_items": "rank", "cpd_seen": True, "cpd_unit": False, "cpd_k": 3, "cpd_temperature": 2.0, "cpd_max_k": 4,
    "cpd_tau": 0.5, "cpd_rows": 0, "cpd_experts": 1, "cpd_hidden_ratio": 0.5, "cpd_dropout": 0.0,
}  # fmt: skip
TERMS = [DE, FitNet, FTD, HTD, VkD, FreqD]
EACH = pytest.mark.parametrize("kind", TERMS, ids=lambda kind: kind.__name__)
SIDES = (("user", 0, 1.0), ("item", 1, 0.5), ("item", 2, 0.5))


class World(toy.World):
    common = KEYS

    def make(self, kind, seed=1):
        term = super().make(kind, seed)
        if kind is VkD:  # its projector starts at a matrix with much symmetry
            generator = torch.Generator().manual_seed(seed)
            with torch.no_grad():
                for weight in term.parameters():
                    weight.copy_(torch.randn(weight.shape, generator=generator))
        return term


# the formulas' parts


def reduced(values, keys, whole, parts=1):
    mean = math.fsum(values) / len(values)
    return mean * whole if keys["kd_reduction"] == "sum" else mean / parts


def gap(one, other):
    return sum((x - y) ** 2 for x, y in zip(one, other, strict=True))


def cosine(one, other):
    return dot(unit(one), unit(other))


def unions(rows):
    """The batch's users, and its positive and negative items together."""
    return {"user": once(rows, 0), "item": sorted({*once(rows, 1), *once(rows, 2)})}


def likely(net, side, teacher):
    """The softmax of the selector."""
    weight, bias = net[f"{side}_projector.selector.weight"], net[f"{side}_projector.selector.bias"]
    likes = [math.exp(dot(row, teacher) + b) for row, b in zip(weight, bias, strict=True)]
    return [like / sum(likes) for like in likes]


def mixture(net, side, vector, teacher, noise, tau):
    """The experts, one after the other, each as its gate lets it."""
    experts, width = len(noise), (D_S + D_T) // 2
    if experts == 1:
        gates = [1.0]
    else:  # log alpha + g with g = -log(an exponential), over tau, in an exponential
        raw = [(a / e) ** (1 / tau) for a, e in zip(likely(net, side, teacher), noise, strict=True)]
        gates = [gate / sum(raw) for gate in raw]
    inner, inner_bias = net[f"{side}_projector.inner.weight"], net[f"{side}_projector.inner.bias"]
    outer, outer_bias = net[f"{side}_projector.outer.weight"], net[f"{side}_projector.outer.bias"]
    assert len(inner) == experts * width
    result = [0.0] * D_T
    for k, gate in enumerate(gates):
        own = range(k * width, (k + 1) * width)
        hidden = {j: max(0.0, dot(inner[j], vector) + inner_bias[j]) for j in own}
        for o in range(D_T):
            result[o] += gate * (sum(outer[o][j] * hidden[j] for j in own) + outer_bias[k][o])
    return result


def exponentials(n, experts, generator):
    return torch.empty(n, experts).exponential_(generator=generator).tolist()


def temperature(world, kind):
    keys = world.keys
    start, end, length = (keys[f"{kind}_{name}"] for name in ("tau_start", "tau_end", "anneal"))
    done = min(1.0, world.epoch / length) if length else 1.0
    return math.exp((1 - done) * math.log(start) + done * math.log(end))


class Slow:
    """Draws the ids of the three groups; a subclass gives ``draw`` and ``value``."""

    parts = D_T

    def __init__(self, world, rows):
        self.world, self.keys, self.table = world, world.keys, factors(world.teacher)
        self.generator = replay(world.term)
        self.whole = [once(rows, column) for _, column, _ in SIDES]
        self.some = [chosen(ids, self.keys["kd_rows"], self.generator) for ids in self.whole]
        self.draw()

    def draw(self):
        pass

    def __call__(self, live, still):
        total = 0.0
        for group, (side, _, share) in enumerate(SIDES):
            losses = [self.value(live, group, side, place, x) for place, x in enumerate(self.some[group])]
            total += share * reduced(losses, self.keys, len(self.whole[group]), self.parts)
        return total


class SlowDE(Slow):
    def draw(self):
        self.tau = temperature(self.world, "de")
        user = exponentials(len(self.some[0]), self.keys["de_experts"], self.generator)
        item = exponentials(len(self.some[1] + self.some[2]), self.keys["de_experts"], self.generator)
        self.noise = [user, item[: len(self.some[1])], item[len(self.some[1]) :]]

    def value(self, live, group, side, place, x):
        teacher = self.table[side][x]
        return gap(mixture(live, side, live[side][x], teacher, self.noise[group][place], self.tau), teacher)


class SlowVkD(Slow):
    def draw(self):
        self.base = {
            side: self.world.term.projectors.of(side).parametrizations.weight[0].base.double().numpy()
            for side in ("user", "item")
        }

    def weight(self, live, side):
        """The Cayley map: base (I - A / 2)^-1 (I + A / 2), its leading columns, with A skew-symmetric."""
        lower = np.tril(np.array(live[f"{side}_projector.parametrizations.weight.original"]))
        lower = np.hstack([lower, np.zeros((D_T, D_T - D_S))])
        half = (lower - lower.T) / 2
        return self.base[side] @ (np.linalg.inv(np.eye(D_T) - half) @ (np.eye(D_T) + half))[:, :D_S]

    def value(self, live, group, side, place, x):
        teacher, real = self.table[side][x], self.table[side][1:]
        projected = (self.weight(live, side) @ np.array(live[side][x])).tolist()
        if self.keys["vkd_center"]:
            teacher = (np.array(teacher) - np.array(real).mean(0)).tolist()
        return gap(unit(projected), unit(teacher)) if self.keys["vkd_unit"] else gap(projected, teacher)


class SlowFitNet:
    def __init__(self, world, rows):
        self.keys, self.table, generator = world.keys, factors(world.teacher), replay(world.term)
        self.drawn = []
        for side, size in (("user", USERS), ("item", ITEMS)):
            whole = min(len(rows), size)
            ids = chosen(list(range(1, size + 1)), self.keys["kd_rows"] or whole, generator)
            assert len(ids) == (self.keys["kd_rows"] or whole)
            self.drawn.append((side, whole, ids))

    def projected(self, live, side, vector):
        if self.keys["fitnet_projector"] == "mlp":
            return project(live, side, vector, self.keys, "fitnet")
        weight, bias = live[f"{side}_projector.weight"], live[f"{side}_projector.bias"]
        return [dot(row, vector) + b for row, b in zip(weight, bias, strict=True)]

    def __call__(self, live, still):
        total = 0.0
        for side, whole, ids in self.drawn:
            pairs = [(self.projected(live, side, live[side][x]), self.table[side][x]) for x in ids]
            if self.keys["fitnet_unit"]:
                pairs = [(unit(one), unit(other)) for one, other in pairs]
            total += reduced([gap(*pair) for pair in pairs], self.keys, whole, D_T)
        return total


class SlowTopology:
    def __init__(self, world, rows):
        self.world, self.keys, self.table, self.generator = (
            world,
            world.keys,
            factors(world.teacher),
            replay(world.term),
        )
        self.whole = unions(rows)
        self.some = {side: chosen(ids, self.keys["kd_rows"], self.generator) for side, ids in self.whole.items()}
        self.size = sum(map(len, self.whole.values()))
        self.looked_at = [(side, x) for side, ids in self.some.items() for x in ids]
        self.draw()


class SlowFTD(SlowTopology):
    def draw(self):
        pass

    def __call__(self, live, still):
        gaps = []
        for side, x in self.looked_at:
            for other, y in self.looked_at:
                of_teacher = cosine(self.table[side][x], self.table[other][y])
                gaps.append((cosine(live[side][x], live[other][y]) - of_teacher) ** 2)
        return reduced(gaps, self.keys, self.size**2)


class SlowHTD(SlowTopology):
    def draw(self):
        self.tau, experts = temperature(self.world, "htd"), self.keys["htd_groups"]
        self.noise = {side: exponentials(len(ids), experts, self.generator) for side, ids in self.some.items()}

    def groups(self, net):
        """The entities of each group, by side and number."""
        groups = {}
        for side, x in self.looked_at:
            best = 0
            if self.keys["htd_groups"] > 1:
                likes = likely(net, side, self.table[side][x])
                best = likes.index(max(likes))
            groups.setdefault((side, best), []).append((side, x))
        return list(groups.values())

    def __call__(self, live, still):
        keys = self.keys

        def mean(table, members):
            return [math.fsum(column) / len(members) for column in zip(*(table[s][x] for s, x in members), strict=True)]

        aligned = 0.0
        for side, ids in self.some.items():
            losses = []
            for x, noise in zip(ids, self.noise[side], strict=True):
                teacher = self.table[side][x]
                losses.append(gap(mixture(live, side, live[side][x], teacher, noise, self.tau), teacher))
            aligned += reduced(losses, keys, len(self.whole[side]), D_T)
        groups, within, across = self.groups(live), [], []
        for members in groups:
            for s, x in members:
                for t, y in members:
                    of_teacher = cosine(self.table[s][x], self.table[t][y])
                    if of_teacher > 0 or not keys["htd_only_positive"]:
                        within.append((cosine(live[s][x], live[t][y]) - of_teacher) ** 2)
        by_entity = keys["htd_group"] == "entity"
        for members in groups:
            own, theirs = mean(still if by_entity else live, members), mean(self.table, members)
            if by_entity:
                others = [(live[s][x], self.table[s][x]) for s, x in self.looked_at]
            else:
                others = [(mean(live, part), mean(self.table, part)) for part in groups]
            across += [(cosine(own, one) - cosine(theirs, other)) ** 2 for one, other in others]
        share = self.size / len(self.looked_at)
        topology = reduced(within, keys, len(within) * share**2)
        topology += reduced(across, keys, len(across) * (share if by_entity else 1))
        return keys["htd_alpha"] * topology + (1 - keys["htd_alpha"]) * aligned


class SlowFreqD(Slow):
    """The nodes are pairs of side and id."""

    @property
    def parts(self):
        return 1 if self.keys["freqd_unit"] else D_T

    def draw(self):
        self.nodes = [(side, x) for group, (side, _, _) in enumerate(SIDES) for x in self.some[group]]
        self.edges = self.adjacency()
        self.depth = {"linear": 1, "quadratic": 2}[self.keys["freqd_filter"]]
        self.plan = self.level(self.nodes, self.depth)

    def adjacency(self):
        """The weight of each edge, by node and node."""
        edges, kind, k = {}, self.keys["freqd_graph"], self.keys["freqd_k"]
        if kind == "bipartite":
            for user, items in SEEN.items():
                for item in items:
                    edges["user", user, "item", item] = edges["item", item, "user", user] = 1.0
        else:
            takers = {item: {user for user in SEEN if item in SEEN[user]} for item in range(1, ITEMS + 1)}
            for side, sets in (("user", SEEN), ("item", takers)):
                for x in sets:
                    others, table = [y for y in sets if y != x], self.table[side]
                    if kind == "knn":
                        best = sorted(others, key=lambda y: math.dist(table[x], table[y]))[:k]
                    else:
                        shared = {y: len(sets[x] & sets[y]) for y in others if sets[x] & sets[y]}
                        best = sorted(shared, key=lambda y: (-shared[y], y))[:k]
                    for y in best:
                        weight = shared[y] if kind == "cooc" and self.keys["freqd_counts"] else 1.0
                        for one, other in ((x, y), (y, x)):
                            edges[side, one, side, other] = edges.get((side, one, side, other), 0.0) + weight
        degree = {}
        for (side, x, _, _), weight in edges.items():
            degree[side, x] = degree.get((side, x), 0.0) + weight
        rows = {}
        for (side, x, other, y), weight in edges.items():
            rows.setdefault((side, x), []).append((other, y, weight / math.sqrt(degree[side, x] * degree[other, y])))
        return {node: sorted(row, key=lambda end: (end[0] == "item", end[1])) for node, row in rows.items()}

    def level(self, nodes, depth):
        """What one use of the filter adds up: the uses below it, and each node's edges as far as they are kept."""
        if depth == 0:
            return None
        rows = [self.edges.get(node, []) for node in nodes]
        needed = {*nodes, *((side, y) for row in rows for side, y, _ in row)}
        needed = sorted(needed, key=lambda node: (node[0] == "item", node[1]))
        below, keep = self.level(needed, depth - 1), self.keys["freqd_keep"]
        kept = [1.0] * sum(map(len, rows))
        if keep < 1:
            kept = torch.empty(len(kept)).bernoulli_(keep, generator=self.generator).tolist()
        left = iter(kept)
        rows = [[(side, y, weight * next(left) / keep) for side, y, weight in row] for row in rows]
        return needed, below, rows

    def filtered(self, nodes, plan, table):
        if plan is None:
            return [table(side, x) for side, x in nodes]
        needed, below, rows = plan
        values = dict(zip(needed, self.filtered(needed, below, table), strict=True))
        alpha, result = self.keys["freqd_alpha"], []
        for node, row in zip(nodes, rows, strict=True):
            vector = [(1 - alpha) * x for x in values[node]]
            for side, y, weight in row:
                vector = [x + alpha * weight * other for x, other in zip(vector, values[side, y], strict=True)]
            result.append(vector)
        return result

    def __call__(self, live, still):
        def projected(side, vector):
            return project(live, side, vector, self.keys, "freqd")

        if self.keys["freqd_graph"] == "bipartite":
            own = self.filtered(self.nodes, self.plan, lambda side, x: live[side][x])
            own = [projected(side, vector) for (side, _), vector in zip(self.nodes, own, strict=True)]
        else:
            own = self.filtered(self.nodes, self.plan, lambda side, x: projected(side, live[side][x]))
        theirs = self.filtered(self.nodes, self.plan, lambda side, x: self.table[side][x])
        pairs = zip(own, theirs, strict=True)
        self.losses = [1 - cosine(*pair) if self.keys["freqd_unit"] else gap(*pair) for pair in pairs]
        return super().__call__(live, still)

    def value(self, live, group, side, place, x):
        return self.losses[sum(map(len, self.some[:group])) + place]


SLOW = {DE: SlowDE, FitNet: SlowFitNet, FTD: SlowFTD, HTD: SlowHTD, VkD: SlowVkD, FreqD: SlowFreqD}

SETTINGS = [
    (DE, {}),
    (DE, {"de_experts": 1}),
    (DE, {"epoch": 3, "kd_rows": 2, "de_experts": 2}),
    (DE, {"epoch": 9, "de_anneal": 2}),
    (DE, {"kd_reduction": "sum"}),
    (DE, {"kd_reduction": "sum", "kd_rows": 2, "de_anneal": 0}),
    (FitNet, {}),
    (FitNet, {"fitnet_projector": "mlp", "kd_rows": 2}),
    (FitNet, {"fitnet_unit": True, "rows": 3}),
    (FitNet, {"kd_reduction": "sum", "kd_rows": 2}),
    (FitNet, {"kd_reduction": "sum", "rows": 2}),
    (FTD, {}),
    (FTD, {"kd_rows": 2}),
    (FTD, {"kd_reduction": "sum", "kd_rows": 3}),
    (HTD, {}),
    (HTD, {"htd_group": "prototype", "htd_groups": 3, "epoch": 2}),
    (HTD, {"htd_only_positive": True, "htd_groups": 1}),
    (HTD, {"kd_rows": 3, "htd_alpha": 0.9, "htd_only_positive": True}),
    (HTD, {"kd_reduction": "sum", "kd_rows": 3}),
    (HTD, {"kd_reduction": "sum", "kd_rows": 3, "htd_group": "prototype"}),
    (VkD, {}),
    (VkD, {"vkd_center": False, "kd_rows": 2}),
    (VkD, {"vkd_unit": True}),
    (VkD, {"kd_reduction": "sum", "kd_rows": 3}),
    (FreqD, {}),
    (FreqD, {"freqd_filter": "quadratic", "freqd_unit": False}),
    (FreqD, {"freqd_graph": "cooc"}),
    (FreqD, {"freqd_graph": "cooc", "freqd_counts": False, "freqd_filter": "quadratic", "freqd_alpha": 0.7}),
    (FreqD, {"freqd_graph": "knn", "freqd_k": 1, "kd_rows": 2}),
    (FreqD, {"freqd_keep": 0.5, "freqd_filter": "quadratic"}),
    (FreqD, {"freqd_graph": "cooc", "freqd_keep": 0.7, "freqd_unit": False, "kd_reduction": "sum"}),
    (FreqD, {"freqd_unit": False, "kd_reduction": "sum", "kd_rows": 2}),
]
NAMES = named(SETTINGS)


def both(kind, keys, seed=1):
    """A world, its slow reference and the rows; between the start of the epoch and the loss the student moves on."""
    rows = ROWS[: keys.get("rows", len(ROWS))]
    world = moved_on(World(kind, seed=seed, **{key: value for key, value in keys.items() if key != "rows"}), seed)
    return world, SLOW[kind](world, rows), rows


@pytest.mark.parametrize(("kind", "keys"), SETTINGS, ids=NAMES)
def test_the_whole_loss_is_that_of_the_formulas(kind, keys):
    for seed in range(1, 6):
        world, slow, rows = both(kind, keys, seed)
        now = numbers(world.student, world.term)
        assert world.loss(rows).item() == pytest.approx(slow(now, now), rel=2e-5)


@pytest.mark.parametrize(("kind", "keys"), SETTINGS, ids=NAMES)
def test_the_gradient_is_that_of_the_formulas(kind, keys):
    assert_gradients_agree(*both(kind, keys))


# PCKD: CPD's regularisers on DE's experts


def sharing(**keys):
    world = World(CPD, **keys)
    de = world.make(DE, seed=7)
    world.term.share(de)
    world.trained_module = de
    return world, de


def slow_pckd(world, de):
    keys, table, now = world.keys, factors(world.teacher), numbers(world.student, de)
    best = {0: []}
    for user in range(1, USERS + 1):
        order = sorted(range(1, ITEMS + 1), key=lambda item: -dot(table["user"][user], table["item"][item]))
        best[user] = order[: keys["cpd_max_k"]]
    lists = by_rank(best, keys["cpd_k"], keys["cpd_temperature"], world.early)
    two = by_rank(best, 2, keys["cpd_temperature"], world.early)
    looked_at = [(row[0], two[row[0]]) for row in sorted(ROWS)] + [(user, lists[user]) for user in once(ROWS, 0)]
    generator = replay(de)
    # an item that comes again has one projection; a user that comes again has one each time
    items = sorted({0, *(item for _, part in looked_at for item in part)})
    of_users = exponentials(len(looked_at), keys["de_experts"], generator)
    noise = dict(zip(items, exponentials(len(items), keys["de_experts"], generator), strict=True))
    pairs, listed = [], []
    for (user, part), of_user in zip(looked_at, of_users, strict=True):
        before = [dot(now["user"][user], now["item"][item]) for item in part]
        projected = mixture(now, "user", now["user"][user], table["user"][user], of_user, de.tau)
        after = [
            dot(projected, mixture(now, "item", now["item"][item], table["item"][item], noise[item], de.tau))
            for item in part
        ]
        if len(pairs) < len(ROWS):
            pairs.append(math.log(1 + math.exp(-(before[0] - before[1]) * (after[0] - after[1]))))
        else:
            listed.append(cross_entropy(before, after, keys["cpd_tau"]))
    return keys["cpd_pair_weight"] * np.mean(pairs) + keys["cpd_list_weight"] * np.mean(listed)


@pytest.mark.parametrize("seed", range(1, 4))
def test_the_regularisers_go_through_des_gated_experts(seed):
    world, de = sharing(seed=seed)
    expected = slow_pckd(world, de)
    assert world.loss().item() == pytest.approx(expected, rel=1e-5)


def test_the_regularisers_train_the_experts_alone():
    world, _ = sharing()
    grads = world.gradients()
    assert not grads["user"].any() and not grads["item"].any() and not list(world.term.parameters())
    assert all(grad.any() for name, grad in grads.items() if name.endswith("weight"))


def test_pckd_puts_cpd_on_des_projectors():
    world = World(DE)
    with torch.random.fork_rng():
        de, cpd = PCKD.build_terms([DE, CPD], world.keys, world.knowledge, D_S)
    assert cpd.through == de.project and not cpd.aligns and not list(cpd.parameters())


# any projector may be regularised


@pytest.mark.parametrize("kind", [DE, FitNet, HTD, VkD, FreqD], ids=lambda kind: kind.__name__)
def test_a_projector_of_any_term_can_be_regularised(kind):
    world = World(CPD)
    other = world.make(kind, seed=7)
    world.term.share(other)
    ids = torch.tensor([2, 1, 3, 2])
    for side in ("user", "item"):
        assert other.project(side, ids, torch.randn(4, D_S)).shape == (4, D_T)
    world.loss().backward()
    assert all(weight.grad is not None for weight in other.parameters())
    assert all(weight.grad is None for weight in world.student.parameters())


# where the gradient goes


ONE_ROW = [(1, 1, 2)]


@pytest.mark.parametrize("kind", [DE, FTD, HTD, VkD], ids=lambda kind: kind.__name__)
def test_the_batchs_users_and_items_learn_and_no_one_else(kind):
    grads = World(kind, de_experts=16, htd_groups=8).gradients()
    assert rows_with_gradient(grads["user"]) == {1, 2, 3, 4}
    assert rows_with_gradient(grads["item"]) == {row[column] for row in ROWS for column in (1, 2)}


def test_fitnet_looks_at_all_users_and_items_in_time():
    world, seen = World(FitNet, kd_rows=2), {"user": set(), "item": set()}
    for _ in range(30):
        for side, grad in world.gradients(ONE_ROW).items():
            if side in seen:
                drawn = rows_with_gradient(grad)
                assert len(drawn) == 2
                seen[side] |= drawn
    assert seen == {"user": set(range(1, USERS + 1)), "item": set(range(1, ITEMS + 1))}


def test_freqd_reaches_the_batch_and_its_neighbours():
    grads = World(FreqD, freqd_hidden_ratio=8.0).gradients(ONE_ROW)
    assert rows_with_gradient(grads["user"]) == {1} | {user for user in SEEN if {1, 2} & SEEN[user]}
    assert rows_with_gradient(grads["item"]) == {1, 2} | SEEN[1]
    plain = World(FreqD, freqd_hidden_ratio=8.0, freqd_alpha=0.0).gradients(ONE_ROW)
    assert not plain["user"][2:].any() and not plain["item"][3:].any()


def test_every_part_of_a_term_learns():
    for kind in TERMS:
        world = World(kind, de_experts=2)
        world.loss().backward()
        assert all(weight.grad is not None and weight.grad.any() for weight in world.term.parameters())
    assert not list(World(FTD).term.parameters())


def test_groups_are_the_selectors_and_no_gradient_moves_them_by_the_topology():
    grads = World(HTD, htd_alpha=1.0).gradients()
    assert not any(grad.any() for name, grad in grads.items() if "projector" in name)
    assert grads["user"].any() and grads["item"].any()


@EACH
def test_padding_gets_no_gradient_and_no_say(kind):
    grads = World(kind).gradients()
    assert not grads["user"][0].any() and not grads["item"][0].any()
    plain, changed = World(kind), World(kind)
    with torch.no_grad():
        for table in (changed.student.user_embedding.weight, changed.student.item_embedding.weight):
            table[0] = 1e3
    assert plain.loss().item() == changed.loss().item()


@EACH
def test_the_teacher_gets_no_gradient(kind):
    world = World(kind)
    world.loss().backward()
    assert all(weight.grad is None for weight in world.teacher.parameters())


# the projector that keeps every inner product


@pytest.mark.parametrize("narrow", [False, True])
def test_vkds_projector_is_orthogonal_and_stays_so_while_it_learns(narrow):
    world = World(VkD)
    if narrow:
        world.term = VkD(world.keys, world.knowledge, D_T + 3)
    part = world.term.projectors.user_projector
    # weight decay would empty torch's default parametrisation
    optimizer = torch.optim.Adam(part.parameters(), lr=0.1, weight_decay=0.1)
    before = part.weight.detach().clone()
    for _ in range(20):
        ids = torch.arange(1, USERS + 1)
        vectors = torch.randn(USERS, part.weight.shape[1], generator=torch.Generator().manual_seed(1))
        optimizer.zero_grad()
        world.term.compare("user", ids, vectors).sum().backward()
        optimizer.step()
    weight = part.weight.detach()
    product = weight @ weight.T if narrow else weight.T @ weight
    torch.testing.assert_close(product, torch.eye(len(product)), atol=1e-5, rtol=0)
    assert not torch.allclose(weight, before, atol=1e-2)


def test_vkd_is_of_single_precision_under_autocast():
    world, plain = World(VkD), World(VkD).loss()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(world.loss(), plain)


# the filter


@pytest.mark.parametrize("graph", ["bipartite", "cooc", "knn"])
def test_the_teachers_filtered_table_is_the_product_with_the_filter(graph):
    for power in ("linear", "quadratic"):
        term = World(FreqD, freqd_graph=graph, freqd_filter=power).term
        size = len(term.tables["teacher"])
        offsets, columns, weights = term.graph.rows(torch.arange(size))
        rows = torch.repeat_interleave(torch.arange(size), torch.diff(offsets, append=torch.tensor([len(columns)])))
        smooth = 0.7 * torch.eye(size)
        smooth[rows, columns] += 0.3 * weights
        for _ in range({"linear": 1, "quadratic": 2}[power] - 1):
            smooth = smooth @ smooth
        torch.testing.assert_close(term.tables["target"], smooth @ term.tables["teacher"])


def test_without_neighbours_freqd_is_a_plain_cosine_on_every_graph():
    values = {World(FreqD, freqd_graph=graph, freqd_alpha=0.0).loss().item() for graph in ("bipartite", "cooc", "knn")}
    assert max(values) == pytest.approx(min(values), rel=1e-6)


def test_edges_are_dropped_anew_each_step_and_for_the_teacher_alike():
    world = World(FreqD, freqd_keep=0.5)
    assert len({world.loss().item() for _ in range(4)}) > 1
    assert not hasattr(world.term, "target")


# the batch


@EACH
@pytest.mark.parametrize("looked_at", [0, 3])
def test_the_order_of_the_rows_does_not_matter(kind, looked_at):
    plain = World(kind, kd_rows=looked_at).loss().item()
    assert plain != 0
    for seed in range(4):
        turned = [ROWS[place] for place in torch.randperm(len(ROWS), generator=torch.Generator().manual_seed(seed))]
        assert World(kind, kd_rows=looked_at).loss(turned).item() == pytest.approx(plain, rel=1e-6)


COMPARED = {DE: 4 * D_T, FitNet: 4 * D_T, FTD: 11**2, VkD: 4 * D_T, FreqD: 4}  # HTD has means of several kinds


@pytest.mark.parametrize("kind", COMPARED, ids=lambda kind: kind.__name__)
def test_a_sum_is_the_mean_times_what_is_compared(kind):
    mean, total = (World(kind, kd_reduction=how).gradients(APART) for how in ("mean", "sum"))
    for name in mean:
        torch.testing.assert_close(total[name], COMPARED[kind] * mean[name])
    one, other = (World(kind, kd_reduction=how).loss(APART).item() for how in ("mean", "sum"))
    assert other == pytest.approx(COMPARED[kind] * one, rel=1e-6)


@pytest.mark.parametrize("kind", [DE, FTD, HTD, VkD, FreqD], ids=lambda kind: kind.__name__)
def test_a_row_that_comes_again_counts_once(kind):
    one, twice = World(kind).loss(APART).item(), World(kind).loss(APART + APART[:2]).item()
    assert one == pytest.approx(twice)


@EACH
def test_one_gathering_of_the_students_vectors_a_side_and_step(kind):
    world, asked = World(kind), []
    with world.backbone.view() as view:
        for side in ("query_vectors", "item_vectors"):
            gather = getattr(view, side)
            setattr(view, side, lambda ids, side=side, gather=gather: asked.append(side) or gather(ids))
        world.term.loss(Batch(*torch.tensor(ROWS).T, view))
    assert sorted(asked) == ["item_vectors", "query_vectors"]


# between epochs


def test_a_fall_by_hand():
    assert [geometric_decay(epoch, 2, 8.0, 2.0) for epoch in range(5)] == pytest.approx([8.0, 4.0, 2.0, 2.0, 2.0])
    assert geometric_decay(0, 0, 8.0, 2.0) == 2.0


def test_a_fall_is_a_constant_ratio():
    values = [geometric_decay(epoch, 1000, 1.0, 1e-10) for epoch in range(1200)]
    assert values[0] == 1.0 and values[1000:] == [1e-10] * 200
    assert values[250] == pytest.approx(10**-2.5) and values[700] == pytest.approx(1e-7)


@pytest.mark.parametrize("kind", [DE, HTD], ids=lambda kind: kind.__name__)
def test_the_temperature_falls_from_epoch_to_epoch_and_early_stopping_does_not_wait(kind):
    world = World(kind)
    taus = [(world.term.start_epoch(epoch, None), world.term.tau)[1] for epoch in range(6)]
    assert taus == pytest.approx([0.8, 0.8 * 0.25**0.25, 0.4, 0.8 * 0.25**0.75, 0.2, 0.2])
    assert world.term.last_phase == 0


# randomness


@pytest.mark.parametrize(("kind", "keys"), [(FitNet, {"fitnet_projector": "mlp"}), (FreqD, {})])
def test_dropout_acts_in_training_alone(kind, keys):
    def value(training, dropout):
        world = World(kind, fitnet_dropout=dropout, freqd_dropout=dropout, **keys)
        world.term.train(training)
        return world.loss().item()

    assert value(True, 0.5) != pytest.approx(value(True, 0.0))
    assert value(False, 0.5) == value(False, 0.0) == value(True, 0.0)


@EACH
def test_the_global_generator_is_left_alone(kind):
    world = World(kind, kd_rows=2, fitnet_projector="mlp", fitnet_dropout=0.2, freqd_dropout=0.2, freqd_keep=0.5)
    before = torch.get_rng_state()
    world.term.start_epoch(0, world.backbone)
    world.loss()
    assert torch.equal(torch.get_rng_state(), before)


@EACH
def test_a_terms_stream_is_kept_and_put_back(kind):
    keys = {"kd_rows": 2, "freqd_keep": 0.5}
    world = World(kind, **keys)
    state = world.term.get_extra_state()
    losses = [world.loss().item() for _ in range(3)]
    fresh = World(kind, **keys)
    torch.rand(9, generator=fresh.term.generator)
    fresh.term.set_extra_state(state)
    assert [fresh.loss().item() for _ in range(3)] == losses and len(set(losses)) > 1


@EACH
def test_a_term_is_found_by_its_name(kind):
    term = World(kind).term
    assert get_term(kind.__name__) is kind
    assert (term.layer, term.teacher_needs, term.weight) == (
        "intermediate",
        FACTORS if kind is FreqD else VECTORS,
        KEYS[f"{kind.__name__.lower()}_weight"],
    )


@pytest.mark.parametrize("method", ["FTD", "HTD"])
def test_a_sum_over_part_of_the_pairs_is_refused(method):
    with pytest.raises(KDError, match="kd_rows=0"):
        make_config(method, "ml-100k", config_dict={"kd_reduction": "sum"})
    make_config(method, "ml-100k", config_dict={"kd_reduction": "sum", "kd_rows": 0})


def test_a_row_counts_once_however_many_negatives_it_has():
    term = World(FitNet, train_neg_sample_args={"sample_num": 7}).term
    assert term.positives(Batch(*torch.tensor(ROWS).T, None)) == len(ROWS) / 7
