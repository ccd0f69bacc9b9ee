"""Numbers and tables as text."""

import statistics
import textwrap
from collections.abc import Iterable, Sequence

from tabulate import tabulate

from recbole_kd.evaluation.statistics import paired

WIDTH = 118  # of a filled line


def mean_sd(values: Sequence[float]) -> str:
    """Mean and standard deviation: ``0.2594 ± 0.0018``."""
    return f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f}"


def interval(test: dict, sign: str = "+") -> str:
    """A paired difference and its 95% t interval: ``+0.0037 [+0.0023, +0.0051]``; ``sign=""`` omits plus signs."""
    return f"{test['difference']:{sign}.4f} [{test['t_low']:{sign}.4f}, {test['t_high']:{sign}.4f}]"


def difference(ones: Sequence[float], others: Sequence[float]) -> str:
    """The paired difference of two lists of one value a seed, with its interval."""
    return interval(paired(ones, others))


def markdown(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, a line a row."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def aligned(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with columns of even width."""
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def paragraph(text: str) -> str:
    """A text in filled lines."""
    return textwrap.fill(text, WIDTH, break_on_hyphens=False)
