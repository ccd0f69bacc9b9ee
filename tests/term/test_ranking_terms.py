"""The terms that teach an order: whole losses and gradients against plain Python, as in test_terms.py."""

import math

import pytest
import torch

from recbole_kd.term.dcd import DCD
from recbole_kd.term.irrrd import IRRRD
from recbole_kd.term.kd import KD
from recbole_kd.term.rrd import RRD
from recbole_kd.testing import toy
from recbole_kd.testing.toy import (
    APART,
    ITEMS,
    ROWS,
    SEEN,
    USERS,
    assert_gradients_agree,
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
    replay,
    row_average,
    rows_with_gradient,
)

KEYS = {
    "rrd_weight": 1.0, "rrd_k": 2, "rrd_uniform_k": 3, "rrd_sampling": "rank", "rrd_temperature": 2.0, "rrd_max_k": 3,
    "rrd_refresh": 1,
    "kd_weight": 1.0, "kd_items": "topk", "kd_guide": "teacher", "kd_k": 3, "kd_seen": False, "kd_tau": 0.5,
    "kd_tau_squared": False,
    "irrrd_weight": 1.0, "irrrd_item_weight": 0.3, "irrrd_sides": "both", "irrrd_k": 2, "irrrd_uniform_k": 1,
    "irrrd_item_k": 3, "irrrd_item_uniform_k": 2, "irrrd_sampling": "rank", "irrrd_temperature": 2.0,
    "irrrd_max_k": 2, "irrrd_refresh": 1,
    "dcd_weight": 1.0, "dcd_item_weight": 0.3, "dcd_sides": "both", "dcd_k": 1, "dcd_epsilon": 0.3, "dcd_max_k": 5,
    "dcd_refresh": 1, "dcd_relaxed_weight": 0.0, "dcd_relaxed_k": 2, "dcd_relaxed_uniform_k": 3,
    "dcd_relaxed_temperature": 2.0,
}  # fmt: skip


class World(toy.World):
    common = KEYS


# the formulas' parts


def reduced(values, whole, keys, parts=1):
    """The mean over rows and parts, or the sum that it stands for."""
    mean = math.fsum(values) / len(values)
    return mean * whole if keys["kd_reduction"] == "sum" else mean / parts


def order_above(order, below):
    """- log of the chance to draw the order, one after the other, from an urn that holds what is below too."""
    return -sum(
        score - math.log(sum(map(math.exp, order[place:])) + sum(map(math.exp, below)))
        for place, score in enumerate(order)
    )


def uniform(free, k, generator):
    """The ids of k draws from what each row has left, doubles once."""
    draw = torch.rand(len(free), k, generator=generator, dtype=torch.float64).tolist()
    return {row: {ids[int(u * len(ids))] for u in draw[row]} if ids else set() for row, ids in free.items()}


def relaxed(top, free, keys, kind, k, uniform_k, generator):
    """What stands in order and what does not, by row."""
    listed = {row: ids[:k] for row, ids in top.items()}
    if keys[f"{kind}_sampling"] == "rank":
        listed = by_rank(top, k, keys[f"{kind}_temperature"], generator)
    others = uniform({row: [x for x in free[row] if x not in top[row]] for row in top}, uniform_k, generator)
    return {row: (listed[row], sorted(others[row])) for row in top}


UNSEEN = {0: []} | {user: [i for i in range(1, ITEMS + 1) if i not in SEEN[user]] for user in range(1, USERS + 1)}

NOT_SEEN_BY = {0: []} | {item: [u for u in range(1, USERS + 1) if item not in SEEN[u]] for item in range(1, ITEMS + 1)}


def best_users(users, items, length):
    """For each item those who have not seen it, the best first."""
    return {
        item: sorted(unseen, key=lambda user: -dot(users[user], items[item]))[:length]
        for item, unseen in NOT_SEEN_BY.items()
    }


# RRD


class SlowRRD:
    kind = "rrd"

    def __init__(self, world, rows):
        self.keys, table = world.keys, factors(world.teacher)
        top = best_unseen(table["user"], table["item"], self.key("max_k"))
        self.lists = relaxed(top, UNSEEN, world.keys, self.kind, self.key("k"), self.key("uniform_k"), world.early)
        self.generator, self.everyone = replay(world.term), once(rows, 0)
        self.users = chosen(self.everyone, world.keys["kd_rows"], self.generator)

    def key(self, name):
        return self.keys[f"{self.kind}_{name}"]

    def __call__(self, live, still):
        def scores(user, items):
            return [dot(live["user"][user], live["item"][item]) for item in items]

        losses = [order_above(*(scores(user, items) for items in self.lists[user])) for user in self.users]
        return reduced(losses, len(self.everyone), self.keys, self.key("k"))


# IRRRD


class SlowIRRRD(SlowRRD):
    kind = "irrrd"

    def __init__(self, world, rows):
        super().__init__(world, rows)
        table, self.generator = factors(world.teacher), replay(world.term)
        top = best_users(table["user"], table["item"], self.key("max_k"))
        of_items = self.key("item_k"), self.key("item_uniform_k")
        self.item_lists = relaxed(top, NOT_SEEN_BY, world.keys, self.kind, *of_items, world.early)
        self.listed = sorted({item for user in self.everyone for part in self.lists[user] for item in part})
        self.items = chosen(self.listed, world.keys["kd_rows"], self.generator)
        self.users = chosen(self.everyone, world.keys["kd_rows"], self.generator)

    def __call__(self, live, still):
        def scores(item, users):
            return [dot(live["user"][user], live["item"][item]) for user in users]

        losses = [order_above(*(scores(item, users) for users in self.item_lists[item])) for item in self.items]
        of_items = self.key("item_weight") * reduced(losses, len(self.listed), self.keys, self.key("item_k"))
        return of_items + (super().__call__(live, still) if self.key("sides") == "both" else 0.0)


# KD


class SlowKD:
    def __init__(self, world, rows):
        self.keys, self.table, self.batch = world.keys, factors(world.teacher), rows
        self.users = chosen(once(rows, 0), world.keys["kd_rows"], replay(world.term))
        guide = self.table if world.keys["kd_guide"] == "teacher" else world.before  # the student as it was
        lists = best_unseen(guide["user"], guide["item"], world.keys["kd_k"], world.keys["kd_seen"])
        self.lists = lists if world.keys["kd_items"] == "topk" else {user: range(1, ITEMS + 1) for user in lists}

    def __call__(self, live, still):
        tau, losses = self.keys["kd_tau"], []
        for user in self.users:
            labels, scores = (
                [dot(table["user"][user], table["item"][item]) for item in self.lists[user]]
                for table in (self.table, live)
            )
            losses.append(cross_entropy(labels, scores, tau) * (tau * tau if self.keys["kd_tau_squared"] else 1))
        return row_average(losses, self.users, self.batch, self.keys)


# DCD


class SlowDCD:
    def __init__(self, world, rows):
        self.keys, keys = world.keys, world.keys
        table, old = factors(world.teacher), world.before  # ranks are of the student as it was
        generator, self.sides = replay(world.term), []
        self.weight, self.relaxed = keys["dcd_relaxed_weight"], {}
        if self.weight:
            own = {f"dcd_{name}": keys[f"dcd_relaxed_{name}"] for name in ("k", "uniform_k", "temperature")}
            own["dcd_sampling"] = "rank"
            top = best_unseen(table["user"], table["item"], keys["dcd_max_k"])
            self.relaxed = relaxed(top, UNSEEN, own, "dcd", own["dcd_k"], own["dcd_uniform_k"], world.early)
        for side, column in (("user", 0), ("item", 1)) if keys["dcd_sides"] == "both" else (("user", 0),):
            best, size = (best_unseen, ITEMS) if side == "user" else (best_users, USERS)
            top = best(table["user"], table["item"], keys["dcd_max_k"])
            everyone = once(rows, column)
            some = chosen(everyone, keys["kd_rows"], generator)
            ranks = {}
            for x in some:
                scores = {y: self.score(side, old, x, y) for y in top[x]}
                ranks[x] = {y: sum(other > scores[y] for other in scores.values()) for y in scores}
            two = []
            draw = torch.rand(len(some), min(keys["dcd_max_k"], size), generator=generator).tolist()
            for sign in (1, -1):  # too low, too high
                drawn = {}
                for x, row in zip(some, draw, strict=True):
                    gaps = {y: sign * (ranks[x][y] - place) for place, y in enumerate(top[x])}
                    chances = {y: math.tanh(keys["dcd_epsilon"] * gap) for y, gap in gaps.items() if gap > 0}
                    times = {y: -math.log(row[top[x].index(y)]) / chance for y, chance in chances.items()}
                    first = sorted(times, key=times.get)[: keys["dcd_k"]]
                    drawn[x] = sorted(first, key=top[x].index)
                two.append(drawn)
            self.sides.append((side, len(everyone), {x: (two[0][x], two[1][x]) for x in some}))
        everyone = once(rows, 0)
        self.whole, self.users = len(everyone), chosen(everyone, keys["kd_rows"], generator) if self.weight else []

    @staticmethod
    def score(side, table, x, y):
        return dot(table["user"][x], table["item"][y]) if side == "user" else dot(table["user"][y], table["item"][x])

    def __call__(self, live, still):
        total = 0.0
        for side, whole, lists in self.sides:
            losses = [
                order_above(*([self.score(side, live, x, y) for y in part] for part in parts))
                for x, parts in lists.items()
            ]
            share = 1.0 if side == "user" else self.keys["dcd_item_weight"]
            total += share * reduced(losses, whole, self.keys, self.keys["dcd_k"])
        if self.weight:
            losses = [
                order_above(*([self.score("user", live, user, item) for item in part] for part in self.relaxed[user]))
                for user in self.users
            ]
            total += self.weight * reduced(losses, self.whole, self.keys, self.keys["dcd_relaxed_k"])
        return total


SLOW = {RRD: SlowRRD, KD: SlowKD, IRRRD: SlowIRRRD, DCD: SlowDCD}

SETTINGS = [
    (RRD, {}),
    (RRD, {"rrd_sampling": "topk"}),
    (RRD, {"rrd_temperature": 0.5, "rrd_k": 3, "rrd_max_k": 5, "rrd_uniform_k": 1}),
    (RRD, {"rrd_k": 6, "rrd_max_k": 4, "rrd_sampling": "topk"}),
    (RRD, {"rrd_k": 6, "rrd_max_k": 9, "rrd_uniform_k": 0}),
    (RRD, {"kd_rows": 2}),
    (RRD, {"kd_reduction": "sum"}),
    (RRD, {"kd_reduction": "sum", "kd_rows": 2, "rrd_sampling": "topk"}),
    (KD, {}),
    (KD, {"kd_k": 9, "kd_tau": 3.0, "kd_tau_squared": True}),
    (KD, {"kd_seen": True}),
    (KD, {"kd_guide": "student"}),
    (KD, {"kd_guide": "student", "kd_seen": True, "kd_k": 2}),
    (KD, {"kd_items": "all"}),
    (KD, {"kd_items": "all", "kd_guide": "student", "kd_tau": 2.0, "kd_tau_squared": True}),
    (KD, {"kd_rows": 2}),
    (KD, {"kd_reduction": "sum"}),
    (KD, {"kd_reduction": "sum", "kd_rows": 2, "kd_items": "all"}),
    (IRRRD, {}),
    (IRRRD, {"irrrd_sampling": "topk", "irrrd_item_k": 1, "irrrd_max_k": 1}),
    (IRRRD, {"irrrd_sides": "item"}),
    (IRRRD, {"irrrd_temperature": 0.5, "irrrd_item_k": 2, "irrrd_max_k": 4, "irrrd_uniform_k": 0}),
    (IRRRD, {"kd_rows": 2}),
    (IRRRD, {"kd_reduction": "sum"}),
    (IRRRD, {"kd_reduction": "sum", "kd_rows": 2, "irrrd_sampling": "topk"}),
    (DCD, {}),
    (DCD, {"dcd_k": 2, "dcd_epsilon": 2.0}),
    (DCD, {"dcd_k": 9, "dcd_max_k": 9}),
    (DCD, {"dcd_sides": "user", "dcd_k": 2, "dcd_max_k": 4}),
    (DCD, {"kd_rows": 2}),
    (DCD, {"dcd_relaxed_weight": 10.0}),
    (DCD, {"dcd_relaxed_weight": 0.5, "kd_rows": 2, "dcd_max_k": 3}),
    (DCD, {"dcd_relaxed_weight": 2.0, "kd_reduction": "sum", "dcd_sides": "user"}),
    (DCD, {"kd_reduction": "sum", "dcd_k": 2}),
    (DCD, {"kd_reduction": "sum", "kd_rows": 2, "dcd_k": 3}),
]
NAMES = named(SETTINGS)
EACH = pytest.mark.parametrize("kind", list(SLOW), ids=lambda kind: kind.__name__)


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


# where the gradient goes

ONE_ROW = [(1, 1, 2)]


def test_rrd_reaches_the_batchs_users_and_their_lists():
    world = World(RRD)
    slow, grads = SlowRRD(world, ROWS), world.gradients()
    lists = {user: {*listed, *others} for user, (listed, others) in slow.lists.items() if user in slow.users}
    taught = {user for user, items in lists.items() if len(items) > 1}
    assert rows_with_gradient(grads["user"]) == taught and 3 not in taught  # the third has seen everything
    assert rows_with_gradient(grads["item"]) == set().union(*(lists[user] for user in taught))


def test_rrd_raises_the_teachers_first_and_lowers_what_lies_outside():
    world = World(RRD, rrd_sampling="topk", rrd_k=2, rrd_max_k=2)
    slow = SlowRRD(world, ONE_ROW)
    (first, _), others = slow.lists[1]
    toward = world.student.user_embedding.weight[1].detach()
    moves = world.gradients(ONE_ROW)["item"] @ toward / toward.square().sum()
    assert moves[first] < 0 and all(moves[item] > 0 for item in others) and others


def test_irrrds_items_are_those_in_the_lists_of_the_batchs_users():
    world = World(IRRRD, irrrd_sides="item")
    slow, grads = SlowIRRRD(world, [(2, 3, 6)]), world.gradients([(2, 3, 6)])
    taught = {item for item in slow.listed if sum(map(len, slow.item_lists[item])) > 1}
    assert slow.listed == sorted({*slow.lists[2][0], *slow.lists[2][1]}) and taught
    assert rows_with_gradient(grads["item"]) == taught
    users = {user for item in taught for part in slow.item_lists[item] for user in part}
    assert rows_with_gradient(grads["user"]) == users


@pytest.mark.parametrize("guide", ["teacher", "student"])
def test_kd_reaches_the_batchs_users_and_the_first_of_the_guides_list(guide):
    world = World(KD, kd_guide=guide)
    slow, grads = SlowKD(world, ROWS), world.gradients()
    several = {user: set(slow.lists[user]) for user in slow.users if len(slow.lists[user]) > 1}
    assert rows_with_gradient(grads["user"]) == set(several) == {1, 2, 4}  # the third has seen everything
    assert rows_with_gradient(grads["item"]) == set().union(*several.values())


def test_kd_over_all_items_reaches_all_items():
    grads = World(KD, kd_items="all").gradients()
    assert rows_with_gradient(grads["item"]) == set(range(1, ITEMS + 1))
    assert rows_with_gradient(grads["user"]) == {1, 2, 3, 4}


@pytest.mark.parametrize("keys", [{"kd_guide": "student"}, {"kd_items": "all"}], ids=str)
def test_kd_has_nothing_to_teach_a_student_that_scores_as_the_teacher(keys):
    world = World(KD, **keys)
    with torch.no_grad():  # the student's three columns are all that the teacher says
        for side in ("user", "item"):
            table = world.knowledge.factors(side)
            table[:, 3] = 0
            getattr(world.student, f"{side}_embedding").weight.copy_(table[:, :3])
    world.term.start_epoch(0, world.backbone)
    assert all(grad.abs().max() < 1e-6 for grad in world.gradients().values())


def test_dcd_reaches_what_it_draws_and_no_one_else():
    world = World(DCD, dcd_k=2)
    slow, grads = SlowDCD(world, ROWS), world.gradients()
    reached = {"user": set(), "item": set()}
    for side, _, lists in slow.sides:
        for x, (under, over) in lists.items():
            if under:  # then something stands too high as well
                assert over
                reached[side].add(x)
                reached["item" if side == "user" else "user"].update(under, over)
    assert reached["user"] and reached["item"]
    assert {side: rows_with_gradient(grads[side]) for side in reached} == reached


def test_dcd_raises_what_the_student_ranks_too_low_and_lowers_what_it_ranks_too_high():
    world = World(DCD, dcd_sides="user", dcd_k=5)
    ((_, _, lists),) = SlowDCD(world, ONE_ROW).sides
    under, over = lists[1]
    moves = world.gradients(ONE_ROW)["item"] @ world.student.user_embedding.weight[1].detach()
    assert under and over and moves[under[0]] < 0 and all(moves[item] > 0 for item in over)


def test_dcd_has_nothing_to_correct_in_a_student_that_ranks_as_the_teacher():
    world = World(DCD, dcd_k=3)
    assert world.loss().item() > 0
    with torch.no_grad():  # the student's three columns are all that the teacher says
        for side in ("user", "item"):
            table = world.knowledge.factors(side)
            table[:, 3] = 0
            getattr(world.student, f"{side}_embedding").weight.copy_(table[:, :3])
    world.knowledge._loaded.clear()
    world.term = world.make(DCD)
    world.term.start_epoch(0, world.backbone)
    assert world.loss().item() == 0.0
    assert not any(grad.any() for grad in world.gradients().values())


@EACH
def test_padding_gets_no_gradient_and_no_say(kind):
    grads = World(kind).gradients()
    assert not grads["user"][0].any() and not grads["item"][0].any()
    assert grads["user"].any() and grads["item"].any()
    plain, changed = World(kind), World(kind)
    with torch.no_grad():
        for table in (changed.student.user_embedding.weight, changed.student.item_embedding.weight):
            table[0] = 1e3
    changed.term.start_epoch(0, changed.backbone), plain.term.start_epoch(0, plain.backbone)
    assert plain.loss().item() == changed.loss().item()


@EACH
def test_the_teacher_gets_no_gradient(kind):
    world = World(kind)
    world.loss().backward()
    assert all(weight.grad is None for weight in world.teacher.parameters())


@EACH
def test_a_batch_of_a_user_who_has_seen_everything_teaches_nothing_about_users(kind):
    world = World(kind)
    loss = world.loss([(3, 7, 2)])
    loss.backward()
    assert torch.isfinite(loss) and not world.student.user_embedding.weight.grad[3].any()


# the batch


@EACH
@pytest.mark.parametrize("looked_at", [0, 3])
def test_the_order_of_the_rows_does_not_matter(kind, looked_at):
    def value(rows):
        return World(kind, kd_rows=looked_at).loss(rows).item()

    plain = value(ROWS)
    assert plain != 0
    for seed in range(4):
        turned = [ROWS[place] for place in torch.randperm(len(ROWS), generator=torch.Generator().manual_seed(seed))]
        assert value(turned) == pytest.approx(plain, rel=1e-6)


@EACH
def test_a_row_that_comes_again_counts_once(kind):
    assert World(kind).loss(APART).item() == pytest.approx(World(kind).loss(APART + APART[:2]).item())


@pytest.mark.parametrize("sampling", ["rank", "topk"])
def test_rrds_sum_is_the_mean_times_users_and_positions(sampling):
    mean, total = (World(RRD, kd_reduction=how, rrd_sampling=sampling).loss().item() for how in ("mean", "sum"))
    assert total == pytest.approx(len(once(ROWS, 0)) * KEYS["rrd_k"] * mean, rel=1e-6)


# between epochs


def filled(lists, row):
    """The ids of the list and of the rest, as the term holds them."""
    ids, there = lists.ids[row], lists.mask[row]
    return ids[: lists.k][there[: lists.k]].tolist(), ids[lists.k :][there[lists.k :]].tolist()


@pytest.mark.parametrize("sampling", ["rank", "topk"])
def test_rrds_items_are_unseen_and_distinct_the_listed_in_the_teachers_order(sampling):
    world = World(RRD, rrd_sampling=sampling)
    table = factors(world.teacher)
    top = best_unseen(table["user"], table["item"], KEYS["rrd_max_k"])
    draws = []
    for epoch in range(8):
        world.term.start_epoch(epoch, world.backbone)
        for user in range(1, USERS + 1):
            listed, others = filled(world.term.lists, user)
            assert len(listed) == min(2, len(top[user])) and listed == [x for x in top[user] if x in listed]
            assert len(others) == len(set(others)) and not (SEEN[user] | {0, *top[user]}) & set(others)
            if sampling == "topk":
                assert listed == top[user][:2]
        assert not world.term.lists.ids[0].any()
        draws.append(str(world.term.lists.ids.tolist()))
    assert len(set(draws)) > 1  # with topk too: the others are drawn anew


@pytest.mark.parametrize("sampling", ["rank", "topk"])
def test_irrrds_users_of_an_item_have_not_seen_it_and_stand_in_the_teachers_order(sampling):
    world = World(IRRRD, irrrd_sampling=sampling, irrrd_item_k=1)
    table = factors(world.teacher)
    top = best_users(table["user"], table["item"], KEYS["irrrd_max_k"])
    draws = []
    for epoch in range(8):
        world.term.start_epoch(epoch, world.backbone)
        for item in range(1, ITEMS + 1):
            listed, others = filled(world.term.item_lists, item)
            assert len(listed) == 1 and listed == [x for x in top[item] if x in listed]
            assert len(others) == len(set(others)) and set(others) <= set(NOT_SEEN_BY[item]) - set(top[item])
            if sampling == "topk":
                assert listed == top[item][:1]
        assert not world.term.item_lists.ids[0].any()
        draws.append(str(world.term.item_lists.ids.tolist()))
    assert (len(set(draws)) > 1) == (sampling == "rank")  # at most one user is left outside


@pytest.mark.parametrize(
    ("kind", "key"), [(RRD, "rrd_refresh"), (IRRRD, "irrrd_refresh")], ids=lambda value: str(value)
)
def test_a_term_draws_when_a_refresh_is_due(kind, key):
    world = World(kind, **{key: 3})
    drawn = []
    for epoch in range(7):
        before = world.term.generator.get_state()
        world.term.start_epoch(epoch, world.backbone)
        drawn.append(not torch.equal(world.term.generator.get_state(), before))
    assert drawn == [True, False, False, True, False, False, True]


def test_kd_asks_the_student_as_it_is_now():
    world = World(KD, kd_guide="student")
    for seed in range(4):
        world.student.shake(seed)
        world.term.start_epoch(seed, world.backbone)
        now = numbers(world.student, world.term)
        for user, items in best_unseen(now["user"], now["item"], KEYS["kd_k"]).items():
            assert [item for item in world.term.top.ids[user].tolist() if item] == items


@pytest.mark.parametrize("block", [1, 40, 10**6])
def test_dcd_reads_the_students_ranks_within_the_teachers_lists(block, monkeypatch):
    monkeypatch.setattr("recbole_kd.ops.blocks.BLOCK_SIZE", block)
    world = World(DCD)
    table, own = factors(world.teacher), world.before
    for lists, top, score in (
        (world.term.user_lists, best_unseen(table["user"], table["item"], 5), lambda u, i: (u, i)),
        (world.term.item_lists, best_users(table["user"], table["item"], 5), lambda i, u: (u, i)),
    ):
        assert lists.ranks.dtype == torch.int16 and lists.top.ids.shape == lists.ranks.shape == (len(top), 5)
        for x, listed in top.items():
            pairs = [score(x, y) for y in listed]
            scores = [dot(own["user"][user], own["item"][item]) for user, item in pairs]
            assert lists.top.ids[x].tolist()[: len(listed)] == listed
            assert lists.ranks[x].tolist()[: len(listed)] == [sum(s > mine for s in scores) for mine in scores]
        behind = lists.rank_gaps(torch.arange(len(top)))
        assert not behind[lists.top.ids == 0].any() and not behind.sum(1).any() and behind.any()


def test_dcd_reads_the_students_ranks_when_a_refresh_is_due():
    world, ranks = World(DCD, dcd_refresh=3), []
    for epoch in range(7):
        world.student.shake(epoch)
        world.term.start_epoch(epoch, world.backbone)
        ranks.append((world.term.user_lists.ranks.tolist(), world.term.item_lists.ranks.tolist()))
    for side in (0, 1):
        first, second, third = (ranks[epoch][side] for epoch in (0, 3, 6))
        assert first != second != third
        assert [rank[side] for rank in ranks] == [first] * 3 + [second] * 3 + [third]


def test_dcd_draws_anew_each_step():
    world = World(DCD)
    assert len({world.loss().item() for _ in range(8)}) > 1


@pytest.mark.parametrize("epsilon", [0.01, 1.0])
def test_dcd_draws_in_proportion_to_the_places_between_the_ranks(epsilon):
    term = World(DCD, dcd_epsilon=epsilon).term
    places = [3, 1, 0, -2, 2, -4]
    low, low_mask, high, high_mask = term._draw(torch.tensor(places).expand(20000, -1), 1)
    for sign, drawn, there in ((1, low, low_mask), (-1, high, high_mask)):
        shares = torch.bincount(drawn[:, 0], minlength=len(places)) / len(drawn)
        chances = [math.tanh(epsilon * max(sign * place, 0)) for place in places]
        wanted = [chance / sum(chances) for chance in chances]
        assert there.all() and shares.tolist() == pytest.approx(wanted, abs=0.015)
    both = torch.stack([low[:, 0], high[:, 0]]).double()
    assert abs(torch.corrcoef(both)[0, 1]) < 0.03  # one race, and yet drawn apart


@EACH
def test_what_lasts_is_in_the_state_of_the_term(kind):
    world = World(kind, kd_rows=2)
    state = world.term.state_dict()
    world.student.shake(9)
    losses = [world.loss().item() for _ in range(3)]
    fresh = World(kind, kd_rows=2)
    fresh.student.shake(8)
    for epoch in range(2):
        fresh.term.start_epoch(epoch, fresh.backbone)
    fresh.student.shake(9)
    fresh.term.load_state_dict(state)
    assert [fresh.loss().item() for _ in range(3)] == losses


@EACH
def test_the_global_generator_is_left_alone(kind):
    world = World(kind, kd_rows=2)
    before = torch.get_rng_state()
    world.term.start_epoch(0, world.backbone)
    world.loss()
    assert torch.equal(torch.get_rng_state(), before)
