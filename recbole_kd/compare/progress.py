"""Progress of a comparison on the terminal: finished runs, current runs, estimated time left."""

import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from shutil import get_terminal_size
from statistics import fmean
from typing import TextIO

from recbole_kd.compare.run import Run

RunKind = tuple[str, str]  # dataset and name of a run


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss.

    >>> clock(3661)
    '1:01:01'
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _estimated_seconds(known: Mapping[RunKind, Sequence[float]], dataset: str, name: str) -> float:
    """Seconds of a kind of run that was not measured: those of its name on other datasets, scaled to this dataset."""
    here = {other: fmean(values) for (where, other), values in known.items() if where == dataset}
    by_name: dict[str, list[float]] = {}
    for (where, other), values in known.items():
        if where != dataset:
            by_name.setdefault(other, []).extend(values)
    elsewhere = {other: fmean(values) for other, values in by_name.items()}
    if name not in elsewhere:
        return fmean([*here.values(), *([] if here else elsewhere.values())])
    both = [other for other in here if other in elsewhere]
    scale = sum(here[other] for other in both) / sum(elsewhere[other] for other in both) if both else 1
    return elsewhere[name] * scale


def time_left(
    known: Mapping[RunKind, Sequence[float]],
    waiting: Collection[RunKind],
    running: Iterable[tuple[RunKind, float]],
    processes: int,
) -> float | None:
    """Estimate the seconds until all runs have ended; None where no run has been measured yet.

    Args:
        known: (dataset, name) to the seconds of such runs.
        waiting: (dataset, name) of each run that has not started.
        running: ((dataset, name), seconds since its start) of each current run.
        processes: number of runs at a time.
    """
    if not known:
        return None

    def expected(kind: RunKind) -> float:
        return fmean(known[kind]) if kind in known else _estimated_seconds(known, *kind)

    rest = [max(0.0, expected(kind) - elapsed) for kind, elapsed in running]
    return max([(sum(rest) + sum(map(expected, waiting))) / processes, *rest])


def _kind(run: Run) -> RunKind:
    return run.dataset, run.name


class Progress:
    """Writes the progress: on a terminal one line that is overwritten, otherwise one line for each run that ends.

    Args:
        total: number of runs.
        done: number of runs that had ended before.
        processes: number of runs at a time.
        known: (dataset, name) to the seconds of earlier runs.
        stream: where to write; None: the standard error stream.
    """

    def __init__(
        self,
        total: int,
        done: int,
        processes: int,
        known: Mapping[RunKind, Sequence[float]] | None = None,
        stream: TextIO | None = None,
    ) -> None:
        self.total, self.done, self.processes = total, done, processes
        self.known = {kind: list(values) for kind, values in (known or {}).items()}
        self.stream = sys.stderr if stream is None else stream
        self.began, self.failed = time.monotonic(), 0
        self._width = 0

    def ended(
        self,
        run: Run,
        seconds: float | None,
        failed: str | None,
        waiting: Collection[Run] = (),
        running: Mapping[Run, float] | None = None,
    ) -> None:
        """Count a run that has ended.

        Args:
            run: the run.
            seconds: its duration; None where it was not started.
            failed: why it failed; None where it did not.
            waiting: the runs that have not started.
            running: the current runs, each with the seconds since its start.
        """
        self.done += 1
        self.failed += bool(failed)
        if seconds is not None:
            self.known.setdefault(_kind(run), []).append(seconds)
        if not self.stream.isatty():
            outcome = f"failed: {failed}" if failed else clock(seconds or 0)
            self.stream.write(f"{self.done}/{self.total} {run.label}: {outcome}{self._left(waiting, running or {})}\n")
            self.stream.flush()

    def show(self, waiting: Collection[Run], running: Mapping[Run, float]) -> None:
        """Rewrite the line on a terminal; arguments as of ``ended``."""
        if not self.stream.isatty():
            return
        done = f"{self.done}/{self.total}" + (f", {self.failed} failed" if self.failed else "")
        clocks = f"{clock(time.monotonic() - self.began)} elapsed{self._left(waiting, running)}"
        pieces = [done, clocks, "; ".join(run.label for run in running)]
        line = " | ".join(piece for piece in pieces if piece)[: get_terminal_size().columns - 1]  # it must not wrap
        self.stream.write("\r" + line.ljust(self._width))
        self.stream.flush()
        self._width = len(line)

    def _left(self, waiting: Collection[Run], running: Mapping[Run, float]) -> str:
        """', about 2:30 left'; empty where that is unknown or all runs have ended."""
        if not waiting and not running:
            return ""
        current = [(_kind(run), elapsed) for run, elapsed in running.items()]
        left = time_left(self.known, list(map(_kind, waiting)), current, self.processes)
        return "" if left is None else f", about {clock(left)} left"

    def close(self) -> None:
        """End the line, so that it stays on the terminal."""
        if self._width:
            self.stream.write("\n")
            self.stream.flush()
            self._width = 0
