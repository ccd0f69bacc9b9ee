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


def time_left(known, waiting, running, processes):
    """Seconds that the rest may take, or None where nothing has been measured yet.

    Args:
        known: name to the seconds of runs of that name.
        waiting: the names of the runs that have not begun.
        running: (name, seconds since it began) of those that have.
        processes: how many run at a time.
    """
    measured = [seconds for values in known.values() for seconds in values]
    if not measured:
        return None

    def expected(name):
        return fmean(known.get(name) or measured)

    rest = [max(0.0, expected(name) - gone) for name, gone in running]
    return max([(sum(rest) + sum(map(expected, waiting))) / processes, *rest])


class Progress:
    """Writes the line; on a terminal over the one before, elsewhere a line for each run that ends.

    Args:
        total: how many runs there are.
        done: how many of them there were before.
        processes: how many run at a time.
        known: name to seconds of earlier runs.
        stream: where to write.
    """

    def __init__(self, total, done, processes, known=None, stream=None):
        self.total, self.done, self.processes = total, done, processes
        self.known = {name: list(values) for name, values in (known or {}).items()}
        self.stream = sys.stderr if stream is None else stream
        self.began, self.failed = time.monotonic(), 0
        self._width = 0

    def ended(self, run, seconds, failed):
        """One more run is over; ``seconds`` None where it never began."""
        self.done += 1
        self.failed += bool(failed)
        if seconds is not None:
            self.known.setdefault(run.name, []).append(seconds)
        if not self.stream.isatty():
            said = f"failed: {failed}" if failed else clock(seconds)
            self.stream.write(f"{self.done}/{self.total} {run.label}: {said}\n")
            self.stream.flush()

    def show(self, waiting, running):
        """The line now: ``waiting`` runs, ``running`` ones to the seconds since they began."""
        if not self.stream.isatty():
            return
        left = time_left(
            self.known, [run.name for run in waiting], [(run.name, gone) for run, gone in running.items()],
            self.processes,
        )  # fmt: skip
        done = f"{self.done}/{self.total}" + (f", {self.failed} failed" if self.failed else "")
        clocks = f"{clock(time.monotonic() - self.began)} gone" + (
            "" if left is None else f", about {clock(left)} left"
        )
        parts = [done, clocks, "; ".join(run.label for run in running)]
        line = " | ".join(part for part in parts if part)[: get_terminal_size().columns - 1]  # it may not wrap
        self.stream.write("\r" + line.ljust(self._width))
        self.stream.flush()
        self._width = len(line)

    def close(self):
        """Leave the line standing."""
        if self._width:
            self.stream.write("\n")
            self.stream.flush()
            self._width = 0
