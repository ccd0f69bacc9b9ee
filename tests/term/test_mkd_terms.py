"""Each term's whole loss of a step and its gradient, against plain Python written from the formulas.

The toy has 5 users and 7 items. The references work on lists of numbers, in loops; only the random draws are replayed
from a copy of the term's generator. Each takes the numbers twice, ``live`` and ``still``: a gradient is the change with
``live`` while ``still``, which stands for whatever is detached, stays.
"""

import math

import numpy as np
import pytest
import torch

from recbole_kd.backbone.capabilities import VECTORS, Capability
from recbole_kd.backbone.factors import FactorBackbone
from recbole_kd.term import get_term
from recbole_kd.term.batch import Batch
from recbole_kd.term.cpd import CPD
from recbole_kd.term.nkd import NKD
from recbole_kd.term.sld import SLD
from recbole_kd.testing import toy
from recbole_kd.testing.toy import (
    APART,
    D_S,
    D_T,
    ITEMS,
    ROWS,
    SEEN,
    USERS,
    Toy,
    assert_gradients_agree,
    average,
    best_unseen,
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
    row_average,
    rows_with_gradient,
    unit,
)

KEYS = {
    "nkd_weight": 0.5, "nkd_k": 2, "nkd_mix": "soft", "nkd_alpha": 0.7, "nkd_experts": 2, "nkd_hidden_ratio": 0.5,
    "nkd_dropout": 0.0, "nkd_pca": 150,
    "cpd_weight": 0.5, "cpd_pair_weight": 0.3, "cpd_list_weight": 0.6, "cpd_pair": "hinge", "cpd_pair_items": "batch",
    "cpd_seen": False, "cpd_unit": True, "cpd_k": 3,
    "cpd_temperature": 2.0, "cpd_max_k": 4, "cpd_tau": 0.5, "cpd_rows": 0, "cpd_experts": 2, "cpd_hidden_ratio": 0.5,
    "cpd_dropout": 0.0,
    "sld_weight": 1.0, "sld_mode": "logitmix", "sld_k": 2, "sld_student_k": 2, "sld_uniform_k": 3,
    "sld_temperature": 2.0, "sld_max_k": 3, "sld_student_max_k": 4,
    "sld_tau": 0.5, "sld_gamma": 0.4, "sld_warmup": 4, "sld_refresh": 1,
}  # fmt: skip


class World(toy.World):
    common = KEYS


# NKD


def nearest(table, k, components):
    """The k nearest others of each, by Euclidean distance between the leading principal components."""
    size, real = len(table) - 1, np.array(table[1:])
    directions = np.linalg.svd(real - real.mean(0))[2][:components]
    table = [None, *(real @ directions.T).tolist()]
    return {
        x: sorted((y for y in range(1, size + 1) if y != x), key=lambda y: math.dist(table[x], table[y]))[:k]
        for x in range(1, size + 1)
    }


class SlowNKD:
    def __init__(self, world, rows):
        self.keys, self.table = world.keys, factors(world.teacher)
        generator, keys = replay(world.term), world.keys
        near = {side: nearest(self.table[side], keys["nkd_k"], keys["nkd_pca"]) for side in ("user", "item")}
        self.parts = []
        for side, columns in (("user", {0: 1.0}), ("item", {1: 0.5, 2: 0.5})):
            groups = [chosen(once(rows, column), keys["kd_rows"], generator) for column in columns]
            size = sum(len(ids) for ids in groups)
            drawn = torch.randint(keys["nkd_k"], (size,), generator=generator).tolist()
            of_student = torch.rand(size, D_S, generator=generator).tolist()
            of_teacher = torch.rand(size, D_T, generator=generator).tolist()
            draws = iter(zip(drawn, of_student, of_teacher, strict=True))
            for ids, share in zip(groups, columns.values(), strict=True):
                self.parts.append((side, share, []))
                for x in ids:
                    place, student, teacher = next(draws)
                    self.parts[-1][2].append(((x, near[side][x][place]), student, teacher))

    def rows_reached(self, side):
        """All entities that are looked at, and the neighbours drawn for them."""
        pairs = [pair for part, _, drawn in self.parts if part == side for pair, _, _ in drawn]
        return {x for x, _ in pairs}, {y for _, y in pairs}

    def mix(self, own, other, draw):
        mode, alpha, result = self.keys["nkd_mix"], self.keys["nkd_alpha"], []
        for x, y, u in zip(own, other, draw, strict=True):
            if mode == "hard":
                result.append(x if u < alpha else y)
                continue
            keep = 2 * alpha * u if mode == "soft" else 1 - alpha * u
            result.append(y + keep * (x - y))
        return result

    def __call__(self, live, still):
        total = 0.0
        for side, share, drawn in self.parts:
            losses = []
            for (x, y), of_student, of_teacher in drawn:
                own = self.mix(live[side][x], live[side][y], of_student)
                target = self.mix(self.table[side][x], self.table[side][y], of_teacher)
                losses.append(1 - dot(unit(project(live, side, own, self.keys, "nkd")), unit(target)))
            total += share * average(losses, self.keys)
        return total


# CPD


class SlowCPD:
    def __init__(self, world, rows):
        self.keys = keys = world.keys
        self.table, self.aligns = factors(world.teacher), world.term.aligns
        top = best_unseen(self.table["user"], self.table["item"], keys["cpd_max_k"], keys["cpd_seen"])
        lists = by_rank(top, keys["cpd_k"], keys["cpd_temperature"], world.early)
        if keys["cpd_pair_items"] == "rank":
            two = by_rank(top, 2, keys["cpd_temperature"], world.early)
        generator, self.batch = replay(world.term), rows
        self.rows = chosen(sorted(rows), keys["cpd_rows"], generator)
        drawn = chosen(once(rows, 0), keys["cpd_rows"], generator)
        if keys["cpd_pair_items"] == "rank":
            self.rows = [(user, *two[user]) for user, _, _ in self.rows]
        if keys["cpd_pair_items"] == "uniform":
            items = torch.randint(1, ITEMS + 1, (len(self.rows), 2), generator=generator).tolist()
            self.rows = [(user, *pair) for (user, _, _), pair in zip(self.rows, items, strict=True)]
        self.lists = [(user, lists[user]) for user in drawn]
        sides = (("user", 0, 1.0), ("item", 1, 0.5), ("item", 2, 0.5))
        self.parts = [(side, w, chosen(once(rows, column), keys["kd_rows"], generator)) for side, column, w in sides]

    def __call__(self, live, still):
        keys = self.keys

        def after(user, item):  # the projectors live, the vectors stay
            both = [
                project(live, side, still[side][x], keys, self.kind) for side, x in (("user", user), ("item", item))
            ]
            return dot(*(map(unit, both) if keys["cpd_unit"] else both))

        def before(user, item):
            return dot(still["user"][user], still["item"][item])

        pairs = []
        for user, *items in self.rows:
            if len(items) < 2:  # a list of fewer than two
                pairs.append(0.0)
                continue
            pos, neg = items
            product = (before(user, pos) - before(user, neg)) * (after(user, pos) - after(user, neg))
            pairs.append(max(0.0, -product) if keys["cpd_pair"] == "hinge" else math.log(1 + math.exp(-product)))
        lists = [
            cross_entropy(
                [before(user, item) for item in items], [after(user, item) for item in items], keys["cpd_tau"]
            )
            for user, items in self.lists
        ]
        listed = row_average(lists, [user for user, _ in self.lists], self.batch, keys)
        total = keys["cpd_pair_weight"] * average(pairs, keys) + keys["cpd_list_weight"] * listed
        for side, share, ids in self.parts if self.aligns else ():
            cosines = [
                dot(unit(project(live, side, live[side][x], keys, self.kind)), unit(self.table[side][x])) for x in ids
            ]
            total += share * average([1 - cosine for cosine in cosines], keys)
        return total

    kind = "cpd"  # whose projector it is


# SLD


class SlowSLD:
    def __init__(self, world, rows):
        self.keys = keys = world.keys
        generator, mode = world.early, keys["sld_mode"]
        self.table, old = factors(world.teacher), world.before  # candidates are of the student as it was
        top = best_unseen(self.table["user"], self.table["item"], keys["sld_max_k"])
        drawn = [by_rank(top, keys["sld_k"], keys["sld_temperature"], generator)]
        if mode != "teacher":
            own = best_unseen(old["user"], old["item"], keys["sld_student_max_k"])
            drawn.append(by_rank(own, keys["sld_student_k"], keys["sld_temperature"], generator))
        draw = torch.rand(USERS + 1, keys["sld_uniform_k"], generator=generator, dtype=torch.float64).tolist()
        outside = {0: []}
        for user in range(1, USERS + 1):
            free = [item for item in range(1, ITEMS + 1) if item not in SEEN[user] and item not in top[user]]
            outside[user] = [free[int(u * len(free))] for u in draw[user]] if free else []
        drawn.append(outside)
        self.users = chosen(once(rows, 0), keys["kd_rows"], replay(world.term))
        self.candidates = {user: sorted({item for part in drawn for item in part[user]}) for user in self.users}
        done = min(1.0, world.epoch / keys["sld_warmup"]) if keys["sld_warmup"] else 1.0
        self.gamma = keys["sld_gamma"] * done if mode == "logitmix" else 0.0

    def __call__(self, live, still):
        losses = []
        for user in self.users:
            items = self.candidates[user]
            labels = []
            for item in items:
                teacher = dot(self.table["user"][user], self.table["item"][item])
                student = dot(still["user"][user], still["item"][item])
                labels.append(teacher + self.gamma * (student - teacher))
            scores = [dot(live["user"][user], live["item"][item]) for item in items]
            losses.append(cross_entropy(labels, scores, self.keys["sld_tau"]))
        return average(losses, self.keys)


SLOW = {NKD: SlowNKD, CPD: SlowCPD, SLD: SlowSLD}

SETTINGS = [
    (NKD, {"nkd_mix": "soft"}),
    (NKD, {"nkd_mix": "soft-v1"}),
    (NKD, {"nkd_mix": "hard"}),
    (NKD, {"kd_rows": 2, "nkd_experts": 1, "nkd_hidden_ratio": 1.5, "nkd_k": 3}),
    (NKD, {"nkd_pca": 1}),
    (NKD, {"kd_reduction": "sum"}),
    (CPD, {"cpd_pair": "hinge"}),
    (CPD, {"cpd_pair": "logistic"}),
    (CPD, {"cpd_pair_items": "uniform", "cpd_unit": False, "cpd_rows": 4}),
    (CPD, {"cpd_pair_items": "rank", "cpd_pair": "logistic", "cpd_temperature": 0.7}),
    (CPD, {"cpd_seen": True, "cpd_max_k": 6, "cpd_temperature": 0.7}),
    (CPD, {"cpd_tau": 3.0, "cpd_temperature": 0.5, "cpd_k": 7, "cpd_max_k": 7}),
    (CPD, {"cpd_pair": "logistic", "kd_rows": 3, "cpd_rows": 2, "cpd_experts": 3}),
    (CPD, {"kd_reduction": "sum"}),
    (CPD, {"cpd_pair_weight": 0.0}),
    (CPD, {"cpd_pair_weight": 0.0, "cpd_pair_items": "rank"}),
    (CPD, {"cpd_list_weight": 0.0}),
    (CPD, {"cpd_pair_weight": 0.0, "cpd_list_weight": 0.0}),
    (SLD, {"sld_mode": "logitmix", "epoch": 0}),
    (SLD, {"sld_mode": "logitmix", "epoch": 3}),
    (SLD, {"sld_mode": "logitmix", "epoch": 9}),
    (SLD, {"sld_mode": "union", "epoch": 3}),
    (SLD, {"sld_mode": "teacher", "epoch": 3}),
    (SLD, {"sld_tau": 2.0, "sld_temperature": 5.0, "sld_k": 1, "sld_uniform_k": 1, "sld_warmup": 0}),
    (SLD, {"kd_rows": 2, "epoch": 2, "sld_student_max_k": 2}),
    (SLD, {"kd_reduction": "sum", "epoch": 9}),
]
NAMES = named(SETTINGS)
EACH = pytest.mark.parametrize("kind", [NKD, CPD, SLD], ids=lambda kind: kind.__name__)


def both(kind, keys, seed=1, rows=ROWS):
    """A world and its slow reference; between the two draws and the loss the student has moved on."""
    world = moved_on(World(kind, seed=seed, **keys), seed)
    return world, SLOW[kind](world, rows)


@pytest.mark.parametrize(("kind", "keys"), SETTINGS, ids=NAMES)
def test_the_whole_loss_is_that_of_the_formulas(kind, keys):
    for seed in range(1, 6):
        world, slow = both(kind, keys, seed)
        now = numbers(world.student, world.term)
        assert world.loss().item() == pytest.approx(slow(now, now), rel=1e-5)


@pytest.mark.parametrize(("kind", "keys"), SETTINGS, ids=NAMES)
def test_the_gradient_is_that_of_the_formulas(kind, keys):
    assert_gradients_agree(*both(kind, keys))


def sharing(**keys):
    """CPD on NKD's projectors, as MKD puts them together."""
    world = World(CPD, **keys)
    nkd = world.make(NKD, seed=7)
    world.term.share(nkd)
    world.trained_module = nkd
    return world, nkd


@pytest.mark.parametrize("pair", ["hinge", "logistic"])
def test_cpd_that_shares_regularises_nkds_projectors_and_aligns_nothing(pair):
    world, nkd = sharing(cpd_pair=pair, cpd_experts=1, nkd_experts=3)
    slow = SlowCPD(world, ROWS)
    slow.kind, slow.aligns = "nkd", False
    now = numbers(world.student, nkd)
    assert world.loss().item() == pytest.approx(slow(now, now), rel=1e-5)
    assert_gradients_agree(world, slow)


# where the gradient goes


def parts_of_projectors(grads):
    return {name: grad for name, grad in grads.items() if "projector" in name}


ONE_ROW = [(1, 1, 2)]
MANY = 16  # experts, so that for every vector some unit is awake


@pytest.mark.parametrize("seed", range(1, 6))
def test_nkd_reaches_the_batch_its_neighbours_and_no_one_else(seed):
    world = World(NKD, seed=seed, nkd_k=1, nkd_experts=MANY)
    slow, grads = SlowNKD(world, ONE_ROW), world.gradients(ONE_ROW)
    for side in ("user", "item"):
        own, neighbours = slow.rows_reached(side)
        assert rows_with_gradient(grads[side]) == own | neighbours
    assert all(grad.abs().sum() > 0 for grad in parts_of_projectors(grads).values())


def test_nkd_hard_takes_all_of_the_one_or_of_the_other():
    for alpha in (0.0, 1.0):
        world = World(NKD, nkd_mix="hard", nkd_alpha=alpha, nkd_k=1, nkd_experts=MANY)
        slow, grads = SlowNKD(world, ONE_ROW), world.gradients(ONE_ROW)
        for side in ("user", "item"):
            own, neighbours = slow.rows_reached(side)
            assert rows_with_gradient(grads[side]) == (own if alpha else neighbours)


def test_nkds_neighbours_are_others_and_never_padding():
    term = World(NKD, nkd_k=4).term
    for side, size in (("user", USERS), ("item", ITEMS)):
        near = term.neighbours[side].tolist()
        for x in range(1, size + 1):
            assert len(set(near[x])) == 4 and not {0, x} & set(near[x])


def test_cpds_regularisers_train_the_projectors_alone():
    world, _ = sharing()
    grads = world.gradients()
    assert not grads["user"].any() and not grads["item"].any()
    assert all(grad.any() for name, grad in parts_of_projectors(grads).items() if "outer.weight" in name)
    assert not list(world.term.parameters())


def test_the_regularisers_do_not_bend_the_alignments_gradient_of_the_student():
    plain = World(CPD, cpd_experts=MANY, cpd_pair_weight=0.0, cpd_list_weight=0.0).gradients()
    heavy = World(CPD, cpd_experts=MANY, cpd_pair_weight=5.0, cpd_list_weight=5.0).gradients()
    for side, column in (("user", {0}), ("item", {1, 2})):
        torch.testing.assert_close(plain[side], heavy[side])
        assert rows_with_gradient(plain[side]) == {row[c] for row in ROWS for c in column}
    assert not torch.allclose(plain["item_projector.outer.weight"], heavy["item_projector.outer.weight"])


def test_a_projector_that_keeps_every_angle_has_nothing_to_learn():
    # the identity on unit vectors: b = a, so no pair is lost, and R_list is the entropy of a's own softmax
    world, nkd = sharing(cpd_list_weight=0.0, nkd_experts=1, nkd_hidden_ratio=0.75)
    with torch.no_grad():
        for table in (world.student.user_embedding.weight, world.student.item_embedding.weight):
            table.abs_()  # positive, so that the relu lets everything through
            table.div_(table.norm(dim=1, keepdim=True))
        for projector in (nkd.projectors.user_projector, nkd.projectors.item_projector):
            projector.inner.weight.copy_(torch.eye(3))
            projector.outer.weight.copy_(torch.eye(4)[:, :3])
            projector.inner.bias.zero_(), projector.outer.bias.zero_()
    assert world.loss().item() == 0.0
    world.keys |= {"cpd_pair_weight": 0.0, "cpd_list_weight": 1.0}
    now, entropies = numbers(world.student, nkd), []
    for user in once(ROWS, 0):
        scores = [dot(now["user"][user], now["item"][item]) for item in world.term.items[user].tolist() if item]
        entropies.append(cross_entropy(scores, scores, world.keys["cpd_tau"]))
    assert world.loss().item() == pytest.approx(sum(entropies) / len(entropies), rel=1e-5)
    assert all(grad.abs().max() < 1e-6 for grad in world.gradients().values())


@pytest.mark.parametrize("mode", ["logitmix", "union", "teacher"])
def test_sld_reaches_the_batchs_users_and_their_candidates(mode):
    world = World(SLD, sld_mode=mode, epoch=2)
    slow, grads = SlowSLD(world, ROWS), world.gradients()
    several = {user: set(items) for user, items in slow.candidates.items() if len(items) > 1}
    assert rows_with_gradient(grads["user"]) == set(several) and 3 not in several  # the third has seen everything
    assert rows_with_gradient(grads["item"]) == set().union(*several.values())


@EACH
def test_padding_gets_no_gradient_and_no_say(kind):
    grads = World(kind, epoch=2).gradients()
    assert not grads["user"][0].any() and not grads["item"][0].any()
    plain, changed = World(kind, epoch=2), World(kind, epoch=2)
    with torch.no_grad():
        for table in (changed.student.user_embedding.weight, changed.student.item_embedding.weight):
            table[0] = 1e3
    changed.term.start_epoch(2, changed.backbone), plain.term.start_epoch(2, plain.backbone)
    assert plain.loss().item() == changed.loss().item()


@EACH
def test_the_teacher_gets_no_gradient(kind):
    world = World(kind, epoch=2)
    world.loss().backward()
    assert all(weight.grad is None for weight in world.teacher.parameters())
    assert not any(world.knowledge.factors(side).requires_grad for side in ("user", "item"))


# the batch


@EACH
@pytest.mark.parametrize("looked_at", [0, 3])
def test_the_order_of_the_rows_does_not_matter(kind, looked_at):
    def value(rows):
        return World(kind, epoch=2, kd_rows=looked_at, cpd_rows=looked_at).loss(rows).item()

    plain = value(ROWS)
    assert plain != 0
    for seed in range(4):
        turned = [ROWS[place] for place in torch.randperm(len(ROWS), generator=torch.Generator().manual_seed(seed))]
        assert value(turned) == pytest.approx(plain, rel=1e-6)


@EACH
def test_a_sum_is_the_mean_times_what_is_compared(kind):
    mean, total = (World(kind, epoch=2, kd_reduction=how).gradients(APART) for how in ("mean", "sum"))
    for name in mean:
        torch.testing.assert_close(total[name], len(APART) * mean[name])
    one, other = (World(kind, epoch=2, kd_reduction=how).loss(APART).item() for how in ("mean", "sum"))
    assert other == pytest.approx(len(APART) * one, rel=1e-6)


@pytest.mark.parametrize("kind", [NKD, SLD], ids=lambda kind: kind.__name__)
def test_a_row_that_comes_again_counts_once(kind):
    one, twice = World(kind, epoch=2).loss(APART).item(), World(kind, epoch=2).loss(APART + APART[:2]).item()
    assert one == pytest.approx(twice)


def test_a_batchs_users_and_items_come_once_each():
    batch = Batch(*torch.tensor(ROWS).T, None)
    assert batch.queries.tolist() == [1, 2, 3, 4]
    assert batch.pos_items.tolist() == [1, 3, 4, 5, 7] and batch.neg_items.tolist() == [2, 3, 5, 6]


def test_a_mean_of_nothing_is_zero():
    assert World(SLD).term.reduce(torch.zeros(0), 0).item() == 0.0


# between epochs


def test_cpd_draws_its_lists_anew_each_epoch_from_what_is_unseen():
    world = World(CPD, cpd_k=2)
    draws = []
    for epoch in range(8):
        world.term.start_epoch(epoch, world.backbone)
        draws.append(world.term.items.tolist())
        for user in range(1, USERS + 1):
            items = [item for item in draws[-1][user] if item]
            assert len(items) == len(set(items)) == min(2, ITEMS - len(SEEN[user])) and not SEEN[user] & set(items)
        assert draws[-1][0] == [0, 0]
    assert len({str(draw) for draw in draws}) > 1


@pytest.mark.parametrize("mode", ["logitmix", "union", "teacher"])
def test_slds_candidates_are_unseen_and_distinct(mode):
    world = World(SLD, sld_mode=mode)
    for epoch in range(5):
        world.term.start_epoch(epoch, world.backbone)
        for user in range(1, USERS + 1):
            items = [item for item in world.term.candidates.ids[user].tolist() if item]
            assert len(items) == len(set(items)) and not (SEEN[user] | {0}) & set(items)
            assert bool(items) == (user != 3)
        assert not world.term.candidates.ids[0].any()


def test_sld_asks_the_student_as_it_is_now():
    world = World(SLD, sld_k=1, sld_uniform_k=0, sld_student_k=1, sld_temperature=1e-3)
    for seed in range(4):
        world.student.shake(seed)
        world.term.start_epoch(1, world.backbone)
        now = numbers(world.student, world.term)
        for user, best in best_unseen(now["user"], now["item"], 1).items():
            assert set(best) <= set(world.term.candidates.ids[user].tolist())


def test_sld_draws_when_a_refresh_is_due():
    world = World(SLD, sld_refresh=3)
    drawn = []
    for epoch in range(7):
        before = world.term.generator.get_state()
        world.term.start_epoch(epoch, world.backbone)
        drawn.append(not torch.equal(world.term.generator.get_state(), before))
    assert drawn == [True, False, False, True, False, False, True]


def test_slds_share_of_the_student_grows_every_epoch_whether_it_draws_or_not():
    term = World(SLD, sld_refresh=3).term
    shares = [(term.start_epoch(epoch, FactorBackbone(Toy(D_S, 1))), term.gamma)[1] for epoch in range(6)]
    assert shares == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.4])
    for mode in ("union", "teacher"):
        assert World(SLD, sld_mode=mode, epoch=9).term.gamma == 0.0


def test_early_stopping_waits_for_slds_ramp_alone():
    assert World(SLD).term.last_phase == 4
    assert World(SLD, sld_mode="union").term.last_phase == 0
    assert World(NKD).term.last_phase == World(CPD).term.last_phase == 0


# randomness


@pytest.mark.parametrize("kind", [NKD, CPD], ids=lambda kind: kind.__name__)
def test_dropout_acts_in_training_alone(kind):
    def value(training, dropout):
        world = World(kind, nkd_dropout=dropout, cpd_dropout=dropout)
        world.term.train(training)
        return world.loss().item()

    assert value(True, 0.5) != pytest.approx(value(True, 0.0))
    assert value(False, 0.5) == value(False, 0.0) == value(True, 0.0)


@EACH
def test_the_global_generator_is_left_alone(kind):
    world = World(kind, nkd_dropout=0.2, cpd_dropout=0.2, kd_rows=2, cpd_rows=2)
    before = torch.get_rng_state()
    world.term.start_epoch(0, world.backbone)
    world.loss()
    assert torch.equal(torch.get_rng_state(), before)


@EACH
def test_a_terms_stream_is_kept_and_put_back(kind):
    world = World(kind, kd_rows=2, cpd_rows=2)
    state = world.term.get_extra_state()
    losses = [world.loss().item() for _ in range(3)]
    drawn = torch.rand(4, generator=world.term.generator)
    fresh = World(kind, kd_rows=2, cpd_rows=2)
    torch.rand(9, generator=fresh.term.generator)
    fresh.term.set_extra_state(state)
    assert [fresh.loss().item() for _ in range(3)] == losses
    assert torch.equal(torch.rand(4, generator=fresh.term.generator), drawn)


def test_streams_differ_by_term_and_by_seed():
    starts = [World(kind).make(kind).generator for kind in (NKD, CPD, SLD)]
    world = World(NKD)
    world.keys = world.keys | {"seed": 12}
    starts.append(world.make(NKD).generator)
    assert len({torch.rand(1, generator=generator).item() for generator in starts}) == 4


# what a term is


@pytest.mark.parametrize(
    ("name", "layer", "needs"),
    [
        ("NKD", "input", VECTORS),
        ("CPD", "intermediate", VECTORS | Capability.RANKS),
        ("SLD", "output", Capability.RANKS | Capability.SCORES),
    ],
)
def test_a_term_is_found_by_its_name(name, layer, needs):
    kind = get_term(name)
    assert (kind.__name__, kind.layer, kind.teacher_needs) == (name, layer, needs)
    assert World(kind).term.weight == KEYS[f"{name.lower()}_weight"]


def test_a_term_that_is_not_there():
    with pytest.raises(ModuleNotFoundError):
        get_term("Nothing")
