"""One line on the terminal: what is done, what runs, how long it may still take."""

import sys
import time
from shutil import get_terminal_size
from statistics import fmean


def clock(seconds):
    """Seconds as h:mm:ss or m:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _guessed(known, dataset, name):
    """Seconds of a kind of run that has not been seen: those of its name on other data, at this data's pace."""
    here = {other: fmean(values) for (where, other), values in known.items() if where == dataset}
    there: dict[str, list] = {}
    for (where, other), values in known.items():
        if where != dataset:
            there.setdefault(other, []).extend(values)
    elsewhere = {other: fmean(values) for other, values in there.items()}
    if name not in elsewhere:
        return fmean([*here.values(), *([] if here else elsewhere.values())])
    both = [other for other in here if other in elsewhere]
    pace = sum(here[other] for other in both) / sum(elsewhere[other] for other in both) if both else 1
    return elsewhere[name] * pace


def time_left(known, waiting, running, processes):
    """Seconds that the rest may take, or None where nothing has been measured yet.

    Args:
        known: (dataset, name) to the seconds of such runs.
        waiting: (dataset, name) of each run that has not begun.
        running: ((dataset, name), seconds since it began) of those that have.
        processes: how many run at a time.
    """
    if not known:
        return None

    def expected(kind):
        return fmean(known[kind]) if kind in known else _guessed(known, *kind)

    rest = [max(0.0, expected(name) - gone) for name, gone in running]
    return max([(sum(rest) + sum(map(expected, waiting))) / processes, *rest])


def _kind(run):
    return run.dataset, run.name


class Progress:
    """Writes the line; on a terminal over the one before, elsewhere a line for each run that ends.

    Args:
        total: how many runs there are.
        done: how many of them there were before.
        processes: how many run at a time.
        known: (dataset, name) to seconds of earlier runs.
        stream: where to write.
    """

    def __init__(self, total, done, processes, known=None, stream=None):
        self.total, self.done, self.processes = total, done, processes
        self.known = {kind: list(values) for kind, values in (known or {}).items()}
        self.stream = sys.stderr if stream is None else stream
        self.began, self.failed = time.monotonic(), 0
        self._width = 0

    def ended(self, run, seconds, failed, waiting=(), running=()):
        """One more run is over; ``seconds`` None where it never began; ``waiting`` and ``running`` as of ``show``."""
        self.done += 1
        self.failed += bool(failed)
        if seconds is not None:
            self.known.setdefault(_kind(run), []).append(seconds)
        if not self.stream.isatty():
            said = f"failed: {failed}" if failed else clock(seconds)
            self.stream.write(f"{self.done}/{self.total} {run.label}: {said}{self._left(waiting, running)}\n")
            self.stream.flush()

    def show(self, waiting, running):
        """The line now: ``waiting`` runs, ``running`` ones to the seconds since they began."""
        if not self.stream.isatty():
            return
        done = f"{self.done}/{self.total}" + (f", {self.failed} failed" if self.failed else "")
        clocks = f"{clock(time.monotonic() - self.began)} gone{self._left(waiting, running)}"
        parts = [done, clocks, "; ".join(run.label for run in running)]
        line = " | ".join(part for part in parts if part)[: get_terminal_size().columns - 1]  # it may not wrap
        self.stream.write("\r" + line.ljust(self._width))
        self.stream.flush()
        self._width = len(line)

    def _left(self, waiting, running):
        """', about 2:30 left', or nothing where that is not known, or nothing is left."""
        if not waiting and not running:
            return ""
        under_way = [(_kind(run), gone) for run, gone in dict(running).items()]
        left = time_left(self.known, list(map(_kind, waiting)), under_way, self.processes)
        return "" if left is None else f", about {clock(left)} left"

    def close(self):
        """Leave the line standing."""
        if self._width:
            self.stream.write("\n")
            self.stream.flush()
            self._width = 0
