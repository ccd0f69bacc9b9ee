"""The line on the terminal: what runs, and how long the rest takes."""

import pytest

from recbole_kd.compare.expand import plan_runs
from recbole_kd.compare.progress import Progress, clock, time_left


def test_the_time_left_is_that_of_runs_of_the_same_name():
    a, b = ("toy", "A"), ("toy", "B")
    assert time_left({}, [a], [], 1) is None
    known = {a: [10.0, 20.0], b: [3.0]}
    assert time_left(known, [a, b], [], 1) == pytest.approx(18)
    assert time_left(known, [a, b], [(a, 5.0)], 2) == pytest.approx(14)
    assert time_left(known, [("toy", "new")], [], 1) == pytest.approx(9)
    assert time_left(known, [], [(a, 99.0)], 2) == 0


def test_the_time_left_on_other_data_is_scaled_to_it():
    known = {("toy", "A"): [10.0, 20.0], ("toy", "B"): [3.0]}
    assert time_left(known, [("large", "A"), ("large", "B")], [], 1) == pytest.approx(18)  # nothing is known of it yet
    known["large", "A"] = [150.0]
    assert time_left(known, [("large", "A"), ("large", "B")], [], 1) == pytest.approx(180)
    assert time_left(known, [("large", "new")], [], 1) == pytest.approx(150)
    assert time_left(known, [("other", "new")], [], 1) == pytest.approx((60 + 3) / 2)
    assert (clock(59.6), clock(61), clock(3661)) == ("1:00", "1:01", "1:01:01")


def test_the_line_says_what_runs_and_what_is_left(done):
    class Terminal(list):
        write = list.append

        def isatty(self):
            return True

        def flush(self):
            pass

    first, second = plan_runs(done[0])[:2]
    stream = Terminal()
    line = Progress(8, 2, 1, {("toy", "student alone"): [90.0]}, stream)
    line.show([second], {first: 30.0})
    assert stream[-1] == "\r2/8 | 0:00 elapsed, about 2:30 left | toy, seed 1, teacher"
    line.ended(first, 45.0, "it diverged")
    line.show([], {})
    assert stream[-1].startswith("\r3/8, 1 failed") and len(stream[-1]) >= len(stream[0])
    line.close()
    assert stream[-1] == "\n"
