"""The draws: their laws, what they never return, and where their randomness comes from."""

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.stats import chi2

from recbole_kd.ops.sampling import (
    ExcludedIds,
    first_occurrence_mask,
    sample_outside,
    sample_ranks,
    sample_subset,
    sample_without_replacement,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def lengths(*values):
    return torch.tensor(values)


def fits(counts, expected, least=1e-3):
    """Whether counts could be drawn from what is expected, by chi-square; the seeds are fixed, so is the answer."""
    counts, expected = torch.as_tensor(counts).double(), torch.as_tensor(expected).double()
    statistic = ((counts - expected) ** 2 / expected).sum().item()
    return chi2.sf(statistic, len(counts) - 1) > least


# by rank


def inclusion(ranks, mask, size):
    """How often each rank is among the drawn."""
    return torch.bincount(ranks[mask], minlength=size).double() / len(ranks)


def test_ranks_are_distinct_sorted_and_within_the_list():
    length = torch.randint(30, 50, (200,), generator=seeded(1))
    ranks, mask = sample_ranks(length, 20, 5.0, seeded())
    assert ranks.shape == mask.shape == (200, 20) and ranks.dtype == torch.int64 and mask.all()
    assert (ranks[:, 1:] > ranks[:, :-1]).all()  # ascending and distinct
    assert (ranks >= 0).all() and (ranks < length[:, None]).all()


def test_both_ends_of_a_list_can_be_drawn():
    ranks, _ = sample_ranks(torch.full((500,), 3), 1, 2.0, seeded())
    assert set(ranks.flatten().tolist()) == {0, 1, 2}  # 0-based


@pytest.mark.parametrize("temperature", [0.7, 3.0])
def test_sets_of_ranks_follow_the_law_exactly(temperature):
    size, k, n = 4, 2, 20000
    weights = np.exp(-np.arange(1, size + 1) / temperature)
    law = {}
    for first, second in permutations(range(size), k):  # one after the other, without putting back
        chance = weights[first] / weights.sum() * weights[second] / (weights.sum() - weights[first])
        law[frozenset((first, second))] = law.get(frozenset((first, second)), 0.0) + chance
    ranks, _ = sample_ranks(torch.full((n,), size), k, temperature, seeded(3))
    drawn = [frozenset(row) for row in ranks.tolist()]
    assert fits([drawn.count(pair) for pair in law], [n * chance for chance in law.values()])


@pytest.mark.parametrize(("size", "k", "temperature"), [(60, 15, 6.0), (500, 100, 10.0)])
def test_the_same_law_as_multinomial(size, k, temperature):
    n = 4000
    ours = inclusion(*sample_ranks(torch.full((n,), size), k, temperature, seeded(1)), size)
    weights = torch.exp(-torch.arange(1, size + 1, dtype=torch.float64) / temperature)
    drawn = torch.multinomial(weights.expand(n, size), k, generator=seeded(2))
    teacher_side = inclusion(drawn, torch.ones_like(drawn, dtype=torch.bool), size)
    error = (2 * 0.25 / n) ** 0.5  # at most: of a difference of two frequencies
    assert (ours - teacher_side).abs().max() < 4 * error


def test_inclusion_frequencies_of_the_authors_setting():
    ranks, mask = sample_ranks(torch.full((4000,), 500), 100, 10.0, seeded(1))
    seen = inclusion(ranks, mask, 500)
    # ranks as arrivals at rate exp(-r / T), the first 100 are in: up to the moment when 100 are expected
    rates, early, late = np.exp(-np.arange(1, 501) / 10.0), 0.0, 1e9
    for _ in range(100):
        moment = (early + late) / 2
        early, late = (moment, late) if (1 - np.exp(-rates * moment)).sum() < 100 else (early, moment)
    expected = 1 - np.exp(-rates * moment)
    assert np.abs(seen.numpy() - expected).max() < 0.03
    # a top 100 with a soft edge; ranks from 1
    for rank, chance in {50: 1.0, 90: 0.80, 100: 0.45, 110: 0.19, 130: 0.03, 200: 0.0}.items():
        assert seen[rank - 1].item() == pytest.approx(chance, abs=0.025)


def test_no_weight_underflows():
    # exp(-500) is 0 in float32, where torch.multinomial finds too few positive weights
    ranks, mask = sample_ranks(torch.full((50,), 500), 300, 1.0, seeded())
    assert mask.all() and (ranks[:, 1:] > ranks[:, :-1]).all()
    assert ranks.max() < 330 and (ranks[:, :250] == torch.arange(250)).all()


def test_a_cold_draw_is_the_top_and_a_hot_one_is_uniform():
    ranks, _ = sample_ranks(torch.full((20,), 40), 7, 1e-3, seeded())
    assert (ranks == torch.arange(7)).all()
    ranks, _ = sample_ranks(torch.full((10000,), 8), 1, 1e6, seeded())
    assert fits(torch.bincount(ranks.flatten(), minlength=8), [1250.0] * 8)


def test_short_lists_give_what_they_have():
    ranks, mask = sample_ranks(lengths(0, 1, 3, 5, 50), 5, 10.0, seeded())
    assert mask.sum(1).tolist() == [0, 1, 3, 5, 5]
    assert (mask[:, 1:] <= mask[:, :-1]).all()  # the unfilled slots come last
    assert (ranks[~mask] == 0).all()
    for row, length in enumerate((0, 1, 3, 5)):
        assert ranks[row, :length].tolist() == list(range(length))


def test_more_ranks_than_the_longest_list():
    ranks, mask = sample_ranks(lengths(2, 0, 3), 6, 10.0, seeded())
    assert ranks.shape == mask.shape == (3, 6)
    assert ranks.tolist() == [[0, 1, 0, 0, 0, 0], [0] * 6, [0, 1, 2, 0, 0, 0]]
    assert mask.sum(1).tolist() == [2, 0, 3]


@pytest.mark.parametrize("length", [lengths(0, 0), torch.zeros(0, dtype=torch.int64)])
def test_lists_without_anything(length):
    ranks, mask = sample_ranks(length, 4, 10.0, seeded())
    assert ranks.shape == mask.shape == (len(length), 4) and not mask.any() and not ranks.any()


# by weight


def test_sets_of_places_follow_the_law_of_their_weights():
    weights, k, n = np.array([0.2, 0.0, 1.5, 0.7, 0.1]), 2, 20000
    law = {}
    for first, second in permutations((0, 2, 3, 4), k):  # one after the other, without putting back
        chance = weights[first] / weights.sum() * weights[second] / (weights.sum() - weights[first])
        law[frozenset((first, second))] = law.get(frozenset((first, second)), 0.0) + chance
    logits = torch.tensor(weights).log().expand(n, -1)
    positions, mask = sample_without_replacement(logits, logits > -torch.inf, k, seeded(3))
    assert mask.all() and (positions[:, 1:] > positions[:, :-1]).all()
    drawn = [frozenset(row) for row in positions.tolist()]
    assert fits([drawn.count(pair) for pair in law], [n * chance for chance in law.values()])


def test_a_row_with_too_few_weights_gives_what_it_has():
    weights = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1e-30, 0.0], [2.0, 0.0, 1e-9], [1.0, 1.0, 1.0]])
    for k in (3, 5):
        positions, mask = sample_without_replacement(weights.log(), weights > 0, k, seeded())
        assert positions.shape == mask.shape == (4, k)
        found = [row[counts].tolist() for row, counts in zip(positions, mask, strict=True)]
        assert found == [[], [1], [0, 2], [0, 1, 2]] and not positions[~mask].any()


# uniformly, outside a set


SIZE = 12
SETS = [{1, 2, 3}, {4, 11, 9, 1}, set(), {11}, set(range(1, 12)), set(range(1, 12)) - {5}, {2, 4, 6, 8, 10}]


def excluded(sets=SETS, size=SIZE, kind=torch.int64):
    """From pairs in a shuffled order, each of them twice."""
    pairs = [(row, identity) for row, ids in enumerate(sets) for identity in ids] * 2
    order = torch.randperm(len(pairs), generator=seeded(8)).tolist()
    rows = torch.tensor([pairs[place][0] for place in order], dtype=kind)
    ids = torch.tensor([pairs[place][1] for place in order], dtype=kind)
    return ExcludedIds.from_pairs(rows, ids, len(sets), size)


@pytest.mark.parametrize("kind", [torch.int32, torch.int64])
def test_what_is_left_is_counted(kind):
    assert excluded(kind=kind).free_counts().tolist() == [SIZE - 1 - len(ids) for ids in SETS]  # padding is never free


def test_padding_may_be_among_the_excluded():
    given = ExcludedIds.from_pairs(torch.tensor([0, 0, 1]), torch.tensor([0, 3, 0]), 2, 5)
    assert given.free_counts().tolist() == [3, 4]


def test_a_draw_reaches_all_that_is_free_and_nothing_else():
    ids, mask = sample_outside(excluded(), 600, seeded())
    assert ids.shape == mask.shape == (len(SETS), 600) and ids.dtype == torch.int64
    for row, taken in enumerate(SETS):
        free = set(range(1, SIZE)) - taken
        assert set(ids[row].tolist()) == (free or {0})
        assert mask[row].all() if free else not mask[row].any()


def test_no_row_is_spoiled_by_its_neighbours():
    # every set of 4 ids as a row of its own: gaps at the start, at the end and in between
    sets = [{place for place in range(1, 5) if number >> (place - 1) & 1} for number in range(16)]
    ids, mask = sample_outside(excluded(sets, 5), 100, seeded(1))
    for row, taken in enumerate(sets):
        assert set(ids[row][mask[row]].tolist()) == set(range(1, 5)) - taken


def test_the_draw_is_uniform():
    sets = [set((torch.randperm(99, generator=seeded(row))[: 13 * row] + 1).tolist()) for row in range(6)]
    ids, _ = sample_outside(excluded(sets, 100), 20000, seeded(5))
    for row, taken in enumerate(sets):
        free = sorted(set(range(1, 100)) - taken)
        counts = torch.bincount(ids[row], minlength=100)
        assert counts.sum() == counts[free].sum()
        assert fits(counts[free], [20000 / len(free)] * len(free))


def test_rows_and_columns_are_drawn_apart():
    ids, _ = sample_outside(excluded([set(), set()], 1000), 500, seeded())
    assert not torch.equal(ids[0], ids[1])
    assert len(ids[0].unique()) > 350  # of 500, with replacement: 393 expected


def test_a_large_catalogue():
    size = 3_000_000  # row times size is beyond int32
    rows, taken = torch.arange(2000, dtype=torch.int32), torch.arange(2000, dtype=torch.int32) + size - 2001
    given = ExcludedIds.from_pairs(rows, taken, 2000, size)
    assert (given.free_counts() == size - 2).all()
    ids, mask = sample_outside(given, 5, seeded())
    assert mask.all() and (ids > 0).all() and (ids < size).all() and (ids != taken[:, None]).all()
    assert ids.double().mean().item() == pytest.approx(size / 2, rel=0.03)


# doubles, and some of many


def slow_first_of_each(ids, mask):
    result = []
    for row, allowed in zip(ids.tolist(), mask.tolist(), strict=True):
        seen, first = set(), []
        for identity, counts in zip(row, allowed, strict=True):
            first.append(counts and identity not in seen)
            if counts:
                seen.add(identity)
        result.append(first)
    return result


def test_first_of_each_by_hand():
    ids = torch.tensor([[5, 3, 5, 5, 3, 2]])
    mask = torch.tensor([[False, True, True, True, True, True]])
    assert first_occurrence_mask(ids, mask).tolist() == [[False, True, True, False, False, True]]


@pytest.mark.parametrize("kind", [torch.int32, torch.int64])
def test_first_of_each_equals_the_slow_reference(kind):
    ids = torch.randint(0, 9, (200, 12), generator=seeded(1)).to(kind)
    mask = torch.rand(200, 12, generator=seeded(2)) < 0.7
    mask[0], mask[1] = False, True
    assert first_occurrence_mask(ids, mask).tolist() == slow_first_of_each(ids, mask)


@pytest.mark.parametrize("columns", [0, 1])
def test_first_of_each_of_narrow_rows(columns):
    mask = torch.ones(3, columns, dtype=torch.bool)
    assert first_occurrence_mask(torch.zeros(3, columns, dtype=torch.int64), mask).tolist() == mask.tolist()


def test_some_of_gives_so_many_of_them_in_order():
    values, generator = torch.tensor([3, 5, 8, 13, 21, 34]), seeded()
    for k in [1, 2, 3, 4, 5] * 10:
        some = sample_subset(values, k, generator)
        assert len(some) == k and set(some.tolist()) <= set(values.tolist())
        assert (some[1:] > some[:-1]).all()


@pytest.mark.parametrize("k", [-1, 0, 3, 4])
def test_some_of_gives_all_where_nothing_is_to_be_left_out(k):
    generator = seeded()
    before = generator.get_state()
    assert sample_subset(torch.tensor([2, 4, 9]), k, generator).tolist() == [2, 4, 9]
    assert torch.equal(generator.get_state(), before)
    assert sample_subset(torch.tensor([], dtype=torch.int64), k, generator).tolist() == []


def test_some_of_takes_each_equally_often():
    generator, values = seeded(), torch.arange(10)
    drawn = torch.cat([sample_subset(values, 3, generator) for _ in range(3000)])
    assert fits(torch.bincount(drawn, minlength=10), [900.0] * 10)


# randomness

DRAWS = {
    "rank_weighted": lambda generator: sample_ranks(torch.full((9,), 40), 10, 10.0, generator)[0],
    "without_replacement": lambda generator: sample_without_replacement(
        torch.zeros(40), torch.ones(9, 40, dtype=torch.bool), 10, generator
    )[0],
    "uniform_outside": lambda generator: sample_outside(excluded(), 10, generator)[0],
    "some_of": lambda generator: sample_subset(torch.arange(200), 20, generator),
}


@pytest.mark.parametrize("name", DRAWS)
def test_the_same_seed_gives_the_same_draw_another_seed_another(name):
    draw = DRAWS[name]
    generator = seeded(1)
    first = draw(generator)
    assert torch.equal(first, draw(seeded(1)))
    assert not torch.equal(first, draw(generator))  # the stream has moved on
    assert not torch.equal(first, draw(seeded(2)))


@pytest.mark.parametrize("name", DRAWS)
def test_the_global_generators_are_left_alone(name):
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()
    first = DRAWS[name](seeded(1))
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert str(np.random.get_state()) == str(numpy_before)
    torch.rand(5), np.random.rand(5)  # nor do they matter
    assert torch.equal(DRAWS[name](seeded(1)), first)


def test_rows_of_excluded_sets_are_those_sets():
    generator = torch.Generator().manual_seed(0)
    rows, ids = torch.randint(6, (40,), generator=generator), torch.randint(1, 20, (40,), generator=generator)
    whole = ExcludedIds.from_pairs(rows, ids, 6, 20)
    part = whole.slice_rows(2, 5)
    assert part.free_counts().tolist() == whole.free_counts()[2:5].tolist()
    drawn, mask = sample_outside(part, 500, torch.Generator().manual_seed(1))
    for row in range(3):
        taken = set(ids[rows == row + 2].tolist()) | {0}
        assert set(drawn[row].tolist()) == set(range(20)) - taken and mask[row].all()
