"""Summarises the files of the runs as one dict of plain values, the content of ``summary.json``.

Its fields are those of ``Summary`` in ``recbole_kd.compare.types``. For one dataset, method and metric,
``datasets[name]["rows"][method]["metrics"][metric]`` has the values by seed, their mean and standard deviation, and
three paired comparisons over the seeds: ``against_teacher``, ``against_alone`` (the student alone) and
``against_rival`` (the best of the other methods). Each holds ``difference`` (the mean of method - opponent), ``t_low``
and ``t_high`` (its 95% t interval), ``p`` (two-sided paired t-test) and ``p_holm`` (Holm-adjusted for all methods
against that opponent).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, cast

from recbole_kd.compare.latency import speed_file
from recbole_kd.compare.plan import ALONE, REFERENCES, TEACHER, ComparisonPlan
from recbole_kd.compare.run import RESULT_FIELDS, SCHEMA_VERSION, Run
from recbole_kd.compare.types import DatasetSummary, Failure, Summary
from recbole_kd.evaluation.metrics import smaller_is_better
from recbole_kd.evaluation.result import recovered_share
from recbole_kd.evaluation.statistics import PairedComparison, describe, holm, paired
from recbole_kd.io import read_record

AGAINST = ("against_alone", "against_teacher", "against_rival")
Row = dict[str, Any]
SeedValues = Mapping[int, float]


def summarise(plan: ComparisonPlan, runs: Sequence[Run], metric: str, unfinished: Mapping[Run, str]) -> Summary:
    """The content of ``summary.json``.

    Args:
        plan: the plan.
        runs: its runs, grouped by dataset.
        metric: the metric that is shown first.
        unfinished: the runs without a file, each with the reason, and a run named "milliseconds" where the latencies
            could not be measured.
    """
    rows = {run: run.row() for run in runs}
    return {
        "schema_version": SCHEMA_VERSION,
        "part": plan.part,
        "metric": metric,
        "seeds": list(plan.seeds),
        "keys": plan.keys,
        "alone": plan.alone,
        "datasets": _datasets(plan, rows),
        "failed": _failed(rows, unfinished),
        "warnings": [
            f"{run.dataset}, seed {run.seed}: {warning}"
            for run, row in rows.items()
            for warning in (row or {}).get("warnings", [])
        ],
        "versions": next((row["versions"] for row in rows.values() if row and "versions" in row), {}),
    }


def _datasets(plan: ComparisonPlan, rows: Mapping[Run, Row | None]) -> dict[str, DatasetSummary]:
    datasets = {}
    for dataset in plan.datasets:
        results = [
            (run, row) for run, row in rows.items() if run.dataset == dataset.name and row and "failed" not in row
        ]
        if results:
            content = {"dataset": dataset.what, "keys": dataset.keys, **_dataset(results, RESULT_FIELDS[plan.part])}
            datasets[dataset.name] = cast(DatasetSummary, content)
    return datasets


def _failed(rows: Mapping[Run, Row | None], unfinished: Mapping[Run, str]) -> list[Failure]:
    return [
        {
            "dataset": run.dataset,
            "seed": run.seed,
            "name": run.name,
            "reason": reason,
            "diverged": run not in unfinished,
        }
        for run in dict.fromkeys([*rows, *unfinished])
        if (reason := unfinished.get(run) or (rows[run] or {}).get("failed"))
    ]


def _dataset(results: Sequence[tuple[Run, Row]], field: str) -> Row:
    """The summary of one dataset.

    Args:
        results: its runs, each with the content of its file; the teacher and the student alone first.
        field: the field of the files with the metrics.
    """
    first_run, first_row = results[0]
    facts = {name: first_row[name] for name in ("users", "items", "valid_metric", "k")}
    facts["interactions"] = sum(first_row["interactions"].values())
    by_name: dict[str, dict[int, Row]] = {}
    for run, row in results:
        by_name.setdefault(run.name, {})[run.seed] = row
    names = sorted(by_name, key=lambda name: name not in REFERENCES)  # stable: keeps the order of the methods
    by_name = {name: by_name[name] for name in names}
    speeds = _speeds(first_run)
    rows = {name: _row(seeds, speeds.get(name)) for name, seeds in by_name.items()}
    for metric in first_row[field]:
        values = {name: {seed: row[field][metric] for seed, row in seeds.items()} for name, seeds in by_name.items()}
        _compared(rows, values, metric)
    return {**facts, "rows": rows}


def _speeds(run: Run) -> dict[str, float]:
    return (read_record(speed_file(run.file)) or {}).get("ms_per_user", {})


def _row(seeds: Mapping[int, Row], ms_per_user: float | None) -> Row:
    """The summary of one model over its seeds, without its metrics."""
    first = next(iter(seeds.values()))
    row = {name: first[name] for name in ("method", "keys", "parameters", "bytes")}
    row |= {"seeds": list(seeds), "ms_per_user": ms_per_user}
    for name in ("epochs", "seconds"):
        row[name] = describe([result[name] for result in seeds.values() if result[name] is not None])["mean"]
    row["popularity"] = _popularity([result["popularity"] for result in seeds.values() if result["popularity"]])
    return {**row, "metrics": {}}


def _popularity(by_seed: Sequence[Sequence[Row]]) -> list[Row] | None:
    """The recall of each popularity bin over the seeds, least popular first; None where it was not measured."""
    return [_popularity_bin(results) for results in zip(*by_seed, strict=True)] or None


def _popularity_bin(results: Sequence[Row]) -> Row:
    least = [result["least"] for result in results if result["least"] is not None]
    most = [result["most"] for result in results if result["most"] is not None]
    return {
        **describe([result["hits"] / result["pairs"] for result in results if result["pairs"]]),
        "items": describe([result["items"] for result in results])["mean"],
        "pairs": describe([result["pairs"] for result in results])["mean"],
        "least": min(least, default=None),
        "most": max(most, default=None),
    }


def _compared(rows: Mapping[str, Row], values: Mapping[str, SeedValues], metric: str) -> None:
    """Add a metric to the rows: its values, mean, recovered share and comparisons.

    A method with fewer seeds than another cannot be a best rival.

    Args:
        rows: name to the row to extend.
        values: name to the metric's value of each seed.
        metric: the metric.
    """
    smaller = smaller_is_better(metric)
    methods = [name for name in values if name not in REFERENCES]
    candidates = complete({name: values[name] for name in methods})
    alone, teacher = values.get(ALONE, {}), values.get(TEACHER, {})
    for name, scores in values.items():
        entry: Row = {"values": {str(seed): value for seed, value in scores.items()}, **describe([*scores.values()])}
        if name in methods:
            rival = best([other for other in candidates if other != name], means_of(values), smaller)
            entry["share"] = _share(scores, alone, teacher, smaller)
            entry["against_alone"] = _pair(scores, alone)
            entry["against_teacher"] = _pair(scores, teacher)
            entry["against_rival"] = {"rival": rival, **_pair(scores, values[rival] if rival else {})}
        rows[name]["metrics"][metric] = entry
    for against in AGAINST:  # the tests of all methods against the same opponent are one family for Holm's correction
        adjusted = holm([rows[name]["metrics"][metric][against]["p"] for name in methods])
        for name, p in zip(methods, adjusted, strict=True):
            rows[name]["metrics"][metric][against]["p_holm"] = p


def means_of(values: Mapping[str, SeedValues]) -> dict[str, float | None]:
    """The mean over the seeds of each name."""
    return {name: describe([*scores.values()])["mean"] for name, scores in values.items()}


def best(names: Iterable[str], means: Mapping[str, Any], smaller: bool = False) -> str | None:
    """The name with the best mean; None without names.

    Args:
        names: the candidates.
        means: name to its mean.
        smaller: whether a smaller mean is better.
    """
    return (min if smaller else max)(names, key=lambda name: means[name], default=None)


def _pair(scores: SeedValues, other: SeedValues) -> PairedComparison:
    shared = [seed for seed in scores if seed in other]
    return paired([scores[seed] for seed in shared], [other[seed] for seed in shared])


def _share(scores: SeedValues, alone: SeedValues, teacher: SeedValues, smaller: bool) -> float | None:
    shared = [seed for seed in scores if seed in alone and seed in teacher]
    method, lower, upper = ([values[seed] for seed in shared] for values in (scores, alone, teacher))
    return recovered_share(method, lower, upper, smaller)


def complete(seeds: Mapping[str, Collection[Any]]) -> list[str]:
    """The names that have the same seeds as the name with the most; other means are not comparable with theirs.

    >>> complete({"A": [1, 2], "B": [2]})
    ['A']

    Args:
        seeds: name to its seeds.
    """
    most = max((set(values) for values in seeds.values()), key=len, default=set())
    return [name for name, values in seeds.items() if set(values) == most]


def ranked(rows: Mapping[str, Row], metric: str) -> list[str]:
    """The methods of a dataset by their mean, best first. Methods that lack seeds come last.

    Args:
        rows: the rows of a dataset in the summary.
        metric: the metric.
    """
    sign = 1 if smaller_is_better(metric) else -1
    entries = {name: row["metrics"][metric] for name, row in rows.items() if name not in REFERENCES}
    candidates = complete({name: entry["values"] for name, entry in entries.items()})
    return sorted(entries, key=lambda name: (name not in candidates, sign * entries[name]["mean"]))
