"""Tables of what happens inside a method or a teacher."""

import statistics

from benchmarks.result import result
from tools.docs.accuracy import METRIC
from tools.docs.text import markdown


def preferences(name: str) -> str:
    """How often the projectors change a pair's order, a line a method."""
    source, rows = result(name), []
    for row in source.names():
        runs = [record["values"] for record in source.of(row)]
        last = len(runs[0]["by_fifth"]) - 1
        rates = [[run["uniform"] for run in runs]]
        rates += [[run["by_fifth"][one][two] for run in runs] for one, two in ((0, 0), (0, last), (last, last))]
        means = [f"{source.mean(row, f'{part}_{METRIC}'):.4f}" for part in ("valid", "test")]
        rows.append([row, *(f"{statistics.fmean(rate):.1%}" for rate in rates), *means])
    headers = ["method", "two uniform items", "two of the first fifth", "first and last fifth", "two of the last"]
    return markdown([*headers, f"{METRIC}, validation", "test"], rows)


def neighbours(*names: str) -> str:
    """Validation by neighbour_weight, a line a dataset."""
    rows = []
    for source in map(result, names):
        by_weight: dict[float, list] = {}
        for record in source.records:
            by_weight.setdefault(record["setting"]["neighbour_weight"], []).append(record["values"][f"valid_{METRIC}"])
        means = [f"{statistics.fmean(values):.4f}" for values in by_weight.values()]
        rows.append([source.name.removeprefix("neighbours-"), *means])
    return markdown(["dataset, BPR 200", *(f"{weight:g}" for weight in by_weight)], rows)


def trajectories(name: str) -> str:
    """How much of a teacher's final list is there after a part of its training."""
    source, rows = result(name), []
    for row in (row for row in source.names() if row != "student"):
        by_state = zip(*source.values(row, "shares"), strict=True)
        rows.append([row, *(f"{statistics.fmean(values):.0%}" for values in by_state)])
    return markdown([f"mean of {len(source.seeds())} seeds", "a quarter", "half", "three quarters"], rows)
