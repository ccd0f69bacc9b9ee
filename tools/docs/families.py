"""Tables of docs/families.md: the census of RecBole's models, and what can teach what under each method."""

import re

from benchmarks.result import Result, result
from recbole_kd.method.families import STUDENTS, method_family_table
from recbole_kd.report import methods_table
from tools.docs.text import markdown, paragraph

SIDES = ("student", "teacher")


def census(name: str) -> str:
    """A line a model: its family, and for each side whether it works or why not."""
    source = result(name)
    cells = {(record["name"], record["setting"]["side"]): record for record in source.records}
    rows = []
    for model in source.names():
        sides = [cells.get((model, side)) for side in SIDES]
        family = next(record["setting"]["family"] for record in sides if record)
        seconds = sum(record["values"]["seconds"] for record in sides if record)
        rows.append([model, family, *map(_outcome, sides), f"{seconds:.0f}"])
    order = ("general", "traditional", "knowledge", "sequential")
    rows.sort(key=lambda row: order.index(row[1]))
    return markdown(["model", "family", *SIDES, "seconds"], rows)


def census_counts(name: str) -> str:
    """How many models work on each side, and how many are tried."""
    source = result(name)
    texts = [f"{_taken(source, side)} of {_tried(source, side)} tried work as {side}s" for side in SIDES]
    return paragraph(f"Of the models {' and '.join(texts)}.")


def method_families() -> str:
    """A line a method: for each kind of students the kinds of teachers that work."""
    rows = [[f"`{method}`", *cells] for method, cells in method_family_table().items()]
    return markdown(["method", *STUDENTS], rows)


def method_list() -> str:
    """The table of ``--list``: what each method needs and does, its paper and its fidelity."""
    header, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in methods_table().splitlines())
    return markdown(header, rows[1:])  # without the ruler


def _taken(source: Result, side: str) -> int:
    return sum(record["values"]["taken"] for record in source.records if record["setting"]["side"] == side)


def _tried(source: Result, side: str) -> int:
    return sum(record["setting"]["side"] == side for record in source.records)


def _outcome(record: dict | None) -> str:
    """One cell of the census: ``yes`` (with the package that the model needs), why not, or FAILED with the error."""
    if record is None:
        return "not tried"
    setting = record["setting"]
    if setting["outcome"] == "taken":
        return f"yes, with {setting['package']}" if "package" in setting else "yes"
    if setting["outcome"] == "failed":
        return f"FAILED: {setting['reason']}"
    return f"no: {shorten(setting['reason'])}"


def shorten(reason: str) -> str:
    """The cause in a sentence of recbole_kd's, without what the table says already.

    >>> shorten("student_model=KGAT needs the package dgl, which is not installed: install it")
    'needs the package dgl'
    """
    match = re.search(r"because it (.+): use", reason) or re.search(r"=\w+ (needs the package \w+),", reason)
    return (match[1] if match else re.sub(r"^\w+_model=\w+ ", "", reason)).replace("|", "\\|")
