"""How quantities move over the epochs."""

from itertools import pairwise

import pytest

from recbole_kd.term.schedule import is_refresh_epoch, ramp


def test_ramp_by_hand():
    assert [ramp(epoch, 4) for epoch in range(7)] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_ramp_of_one_epoch_is_a_step():
    assert [ramp(epoch, 1) for epoch in range(3)] == [0.0, 1.0, 1.0]


def test_no_ramp_is_one_from_the_start():
    assert [ramp(epoch, 0) for epoch in range(3)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("length", [2, 7, 20])
def test_ramp_never_falls_and_reaches_its_end_at_its_length_and_no_earlier(length):
    values = [ramp(epoch, length) for epoch in range(3 * length)]
    assert values == sorted(values) and values[0] == 0.0
    assert values.index(1.0) == length
    steps = {round(after - before, 9) for before, after in pairwise(values[: length + 1])}
    assert steps == {round(1 / length, 9)}  # a straight line


@pytest.mark.parametrize("every", [1, 2, 3, 5])
def test_a_refresh_is_due_at_the_first_epoch_and_every_so_many_after(every):
    assert [epoch for epoch in range(20) if is_refresh_epoch(epoch, every)] == list(range(0, 20, every))
