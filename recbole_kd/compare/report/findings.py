"""The numbers of a comparison as sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from recbole_kd.compare.plan import ALONE
from recbole_kd.compare.report.formats import format_p_value, format_percent, format_signed, mean_sd
from recbole_kd.compare.summary import complete, ranked

SIGNIFICANCE = 0.05


def findings(dataset: Mapping[str, Any], metric: str) -> list[str]:
    """What the numbers of one dataset show, one sentence for each finding.

    Args:
        dataset: the dataset's content in the summary.
        metric: the metric.
    """
    rows = dataset["rows"]
    order = ranked(rows, metric)
    if not order:
        return ["No method has finished."]
    entries = {name: rows[name]["metrics"][metric] for name in order}
    comparable = complete({name: entry["values"] for name, entry in entries.items()})
    lines = _best(entries, comparable, metric)
    for name, entry in entries.items():
        for against, opponent in (("against_alone", "the student alone"), ("against_teacher", "the teacher")):
            if entry[against]["difference"] is not None:
                lines.append(f"{name} against {opponent}: {_test_text(entry[against])}.")
    incomplete = [f"{name} ({entry['n']})" for name, entry in entries.items() if name not in comparable]
    if incomplete:
        lines.append(
            f"Not on the same seeds as the others, so their means are not comparable: {', '.join(incomplete)}."
        )
    return lines + _sizes(rows, order)


def _best(entries: Mapping[str, Mapping[str, Any]], comparable: Sequence[str], metric: str) -> list[str]:
    name = comparable[0]  # the entries are ordered by their mean
    entry = entries[name]
    methods = f"{len(comparable)} method{'s' if comparable[1:] else ''}"
    share = f", {format_percent(entry['share'])} of the teacher's lead recovered" if entry["share"] is not None else ""
    lines = [f"{name} has the best mean {metric} of {methods}: {mean_sd(entry)}{share}."]
    rival = entry["against_rival"]
    if rival["difference"] is not None:
        lines.append(f"Against {rival['rival']}, the next: {_test_text(rival)}.")
    return lines


def _sizes(rows: Mapping[str, Mapping[str, Any]], methods: Sequence[str]) -> list[str]:
    alone = rows.get(ALONE, {}).get("parameters")
    return [
        f"{name} ships a student of {rows[name]['parameters']:,} parameters, the student alone has {alone:,}."
        for name in methods
        if alone is not None and rows[name]["parameters"] != alone
    ]


def _test_text(entry: Mapping[str, Any]) -> str:
    difference, p = format_signed(entry["difference"]), entry["p_holm"]
    if p is None:
        return f"{difference} on one seed, which shows nothing yet"
    outcome = "" if p < SIGNIFICANCE else ": no difference shown"
    sign = "" if p < 0.0001 else "= "
    return f"{difference} (p {sign}{format_p_value(p)} after Holm, {entry['n']} seeds){outcome}"
