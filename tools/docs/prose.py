"""Figures in the prose of pages: each is in a result file that its section names, or follows from two rows of them.

A section names its files by ``name.json``, by a block's marker, or by a comment ``<!-- figures: name name -->``, in
which ``one+other`` are the seeds of two files together and ``name@5`` is seed 5 alone. Checked are numbers of four
decimals (the mean or standard deviation of a row over its seeds; its value where there is one seed), paired differences
with an interval, and p-values of paired tests, before and after Holm's correction for two. ``<!-- no file: 0.3045 -->``
says that a figure of the section is on no file.
"""

import itertools
import json
import math
import re
import statistics
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from scipy.special import stdtr, stdtrit

from benchmarks.result import read_result, result_files
from tools.docs.text import interval

ROOT = Path(__file__).resolve().parents[2]
DOCS = ("results", "methods", "goals", "protocol-a", "cost", "tune", "processes", "compare")
PAGES = ("README.md", *(f"docs/{name}.md" for name in DOCS))
NAMED = re.compile(r"([\w-]+)\.json|<!-- (?:table|text): \w+ ([^>]*?)-->|<!-- figures: ([^>]*?)-->")
GENERATED = re.compile(r"<!-- text: .+? -->\n\n(?:[^\n<].*\n)*")
FENCED = re.compile(r"^```.*?^```", re.M | re.S)
INTERVAL = re.compile(r"[+-]?0\.\d{4} \[[^]]+\]")
P_VALUE = re.compile(r"\b(?:p|the two) (\d\.\d+(?:e-\d+)?|\de-\d+)(?: and (\d\.\d+(?:e-\d+)?|\de-\d+))?")
NO_FILE = re.compile(r"<!-- no file: ([^>]*?)-->")
FIGURE = re.compile(r"(?<![\d.])0\.\d{4}\b")
SHOWN = ("test_ndcg", "valid_ndcg", "best", "value", "with")  # how the values begin that are figures of the prose
TESTED = ("test_ndcg", "test_recall", "valid_ndcg", "best")  # how the values begin that rows are compared by
Row = dict[int, float]  # seed to value


@lru_cache
def committed() -> dict[str, list[dict]]:
    """The records of all committed result files by name."""
    return {source.name: source.records for source in map(read_result, result_files())}


def records_of(name: str) -> list[dict]:
    """The records of a result file, of ``one+other`` together, or of one seed of ``name@5``."""
    name, _, seed = name.partition("@")
    records = [record for part in name.split("+") for record in committed()[part]]
    return [record for record in records if not seed or record["seed"] == int(seed)]


def paragraphs(text: str) -> Iterator[tuple[str, list[str]]]:
    """The written paragraphs of a page, each with the names of the result files that its section names."""
    text = FENCED.sub("", text)
    for section in re.split(r"\n(?=#+ )", text):
        words = {word for match in NAMED.findall(section) for part in match for word in part.split()}
        names = sorted(word for word in words if set(word.partition("@")[0].split("+")) <= set(committed()))
        for figure in (figure for match in NO_FILE.findall(section) for figure in match.split()):
            section = section.replace(figure, "")
        for paragraph in GENERATED.sub("", section).split("\n\n"):
            if not paragraph.startswith(("|", "<!--")):
                yield " ".join(paragraph.split()), names


@lru_cache
def rows_of(name: str) -> list[tuple[str, Row]]:
    """Of a result file each row's values by seed: (what is measured, seed to value)."""
    rows: dict[tuple, Row] = {}
    for record in records_of(name):
        setting = json.dumps(record.get("setting"))
        for key, value in record["values"].items():
            if isinstance(value, float) and record["seed"] is not None:
                rows.setdefault((record["name"], setting, key), {})[record["seed"]] = value
    return [(key, row) for (_, _, key), row in rows.items()]


@lru_cache
def figures_of(name: str) -> frozenset[str]:
    """The numbers of a result file as they are written: of a row over several seeds its mean and standard deviation,
    of one seed its value; of the metrics that pages speak of.
    """
    rows = [list(row.values()) for key, row in rows_of(name) if key.startswith(SHOWN)]
    numbers = [statistics.fmean(row) for row in rows] + [statistics.stdev(row) for row in rows if len(row) > 1]
    return frozenset(f"{number:.4f}" for number in numbers)


def paired_test(ones: list[float], others: list[float]) -> dict[str, float]:
    """The paired difference with its t interval and p: as ``compare.statistics.paired``, without its bootstrap."""
    differences = [one - other for one, other in zip(ones, others, strict=True)]
    mean, count = statistics.fmean(differences), len(differences)
    error = statistics.stdev(differences) / math.sqrt(count)
    half = error * float(stdtrit(count - 1, 0.975))  # Student's t
    p = 2 * float(stdtr(count - 1, -abs(mean / error))) if error else 1.0
    return {"difference": mean, "t_low": mean - half, "t_high": mean + half, "p": p}


@lru_cache
def tests_of(name: str, other: str) -> list[dict]:
    """The paired tests of every row of one file against every row of another that has its seeds."""
    pairs = itertools.product(rows_of(name), rows_of(other))
    return [
        paired_test(list(ones.values()), [others[seed] for seed in ones])
        for (key, ones), (other_key, others) in pairs
        if key == other_key and key.startswith(TESTED) and len(ones) > 1 and set(ones) <= set(others)
    ]


@lru_cache
def written_tests(names: tuple[str, ...]) -> tuple[set[str], set[str]]:
    """All intervals and all p-values that paired tests of these files can give, as they are written."""
    tests = [test for pair in itertools.product(names, repeat=2) for test in tests_of(*pair)]
    intervals = {interval(test, sign) for test in tests for sign in ("+", "")}
    values = {p for test in tests for p in (test["p"], 2 * test["p"])}
    return intervals, {form.format(p) for p in values for form in ("{:.1g}", "{:.2g}", "{:.2f}", "{:.3f}", "{:.4f}")}


def missing_in(paragraph: str, names: list[str]) -> list[str]:
    """The figures of a paragraph that none of the files gives."""
    intervals, p_values = written_tests(tuple(names))
    missing = [text for text in INTERVAL.findall(paragraph) if text not in intervals]
    paragraph = INTERVAL.sub("", paragraph)
    written = [text for match in P_VALUE.findall(paragraph) for text in match if text]
    missing += [f"p {text}" for text in written if text not in p_values]
    figures = set(FIGURE.findall(P_VALUE.sub("", paragraph)))
    return missing + sorted(figures.difference(*map(figures_of, names)))


def missing_figures() -> list[str]:
    """A line for each figure in the prose of PAGES that no result file of its section gives."""
    return [
        f"{page}: no result file of its section gives {figure} in '{paragraph[:60]}…': correct it, or name its file "
        "in a comment <!-- figures: name -->"
        for page in PAGES
        for paragraph, names in paragraphs((ROOT / page).read_text(encoding="utf-8"))
        if INTERVAL.search(paragraph) or P_VALUE.search(paragraph) or FIGURE.search(paragraph)
        for figure in missing_in(paragraph, names)
    ]
