"""From the files of the runs to one summary of plain values."""

import json
from pathlib import Path

from recbole_kd.compare.plan import ALONE, REFERENCES, TEACHER
from recbole_kd.compare.run import speed_file
from recbole_kd.evaluation.metrics import smaller_is_better
from recbole_kd.evaluation.result import recovered_share
from recbole_kd.evaluation.statistics import describe, holm, paired

AGAINST = ("against_alone", "against_teacher", "against_rival")


def summed_up(plan, runs, metric, unfinished):
    """The summary of a plan's runs, plain values only.

    Args:
        plan: the Plan.
        runs: its runs, those of a dataset together.
        metric: the one that is shown first.
        unfinished: run to the reason why it has no file; what else has failed beside the runs as well.
    """
    rows = {run: run.row() for run in runs}
    failed = [
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
    datasets = {}
    for dataset in plan.datasets:
        here = [(run, row) for run, row in rows.items() if run.dataset == dataset.name and row and "failed" not in row]
        if here:
            datasets[dataset.name] = {"dataset": dataset.what, "keys": dataset.keys, **_dataset(here)}
    versions: dict = next((row["versions"] for row in rows.values() if row and "versions" in row), {})
    warnings = [
        f"{run.dataset}, seed {run.seed}: {warning}"
        for run, row in rows.items()
        for warning in (row or {}).get("warnings", [])
    ]
    asked = {"seeds": list(plan.seeds), "keys": plan.keys, "alone": plan.alone}
    return {
        "metric": metric,
        **asked,
        "datasets": datasets,
        "failed": failed,
        "warnings": warnings,
        "versions": versions,
    }


def _dataset(here):
    """The part of one dataset: ``here`` is (run, content of its file), teacher and student alone first."""
    some = here[0][1]
    facts = {name: some[name] for name in ("users", "items", "valid_metric", "k")}
    facts["interactions"] = sum(some["interactions"].values())
    by_name: dict[str, dict] = {}
    for run, row in here:
        by_name.setdefault(run.name, {})[run.seed] = row
    by_name = {name: by_name[name] for name in sorted(by_name, key=lambda name: name not in REFERENCES)}  # stable
    speed = _speeds(here[0][0])
    found = {name: _row(seeds, speed.get(name)) for name, seeds in by_name.items()}
    for metric in some["test_result"]:
        _compared(found, by_name, metric)
    return {**facts, "rows": found}


def _speeds(run):
    file = Path(speed_file(run.file))
    return json.loads(file.read_text())["ms_per_user"] if file.is_file() else {}


def _row(seeds, ms_per_user):
    """One model over its seeds, without its metrics."""
    some = next(iter(seeds.values()))
    found = {name: some[name] for name in ("method", "keys", "parameters", "bytes")}
    found |= {"seeds": list(seeds), "ms_per_user": ms_per_user}
    for name in ("epochs", "seconds"):
        found[name] = describe([row[name] for row in seeds.values() if row[name] is not None])["mean"]
    found["popularity"] = _popularity([row["popularity"] for row in seeds.values() if row["popularity"]])
    return {**found, "metrics": {}}


def _popularity(by_seed):
    """Recall of each popularity bin over the seeds, the least popular first; None where nothing was measured."""
    bins = []
    for parts in zip(*by_seed, strict=True):
        held = [part for part in parts if part["pairs"]]
        least, most = ([part[end] for part in parts if part[end] is not None] for end in ("least", "most"))
        bins.append(
            {
                **describe([part["hits"] / part["pairs"] for part in held]),
                "items": describe([part["items"] for part in parts])["mean"],
                "pairs": describe([part["pairs"] for part in parts])["mean"],
                "least": min(least, default=None), "most": max(most, default=None),
            }
        )  # fmt: skip
    return bins or None


def _compared(found, by_name, metric):
    """Enter a metric into the rows: means, recovered share, comparisons with both ends and the best rival.

    A method that has fewer seeds than another is nobody's rival.
    """
    values = {
        name: {seed: row["test_result"][metric] for seed, row in seeds.items()} for name, seeds in by_name.items()
    }
    smaller = smaller_is_better(metric)
    methods = [name for name in values if name not in REFERENCES]
    full = complete({name: values[name] for name in methods})
    for name, own in values.items():
        entry = {"values": {str(seed): value for seed, value in own.items()}, **describe(list(own.values()))}
        if name in methods:
            entry["share"] = _share(own, values.get(ALONE, {}), values.get(TEACHER, {}), smaller)
            entry["against_alone"] = _pair(own, values.get(ALONE, {}))
            entry["against_teacher"] = _pair(own, values.get(TEACHER, {}))
            rival = best([other for other in full if other != name], means_of(values), smaller)
            entry["against_rival"] = {"rival": rival, **_pair(own, values.get(rival, {}))}
        found[name]["metrics"][metric] = entry
    for against in AGAINST:  # all methods' tests against the same kind of opponent are one family
        adjusted = holm([found[name]["metrics"][metric][against]["p"] for name in methods])
        for name, p in zip(methods, adjusted, strict=True):
            found[name]["metrics"][metric][against]["p_holm"] = p


def means_of(values):
    """name to the mean over its seeds."""
    return {name: describe(list(own.values()))["mean"] for name, own in values.items()}


def best(names, means, smaller=False):
    """The name of the best mean; None of none."""
    return (min if smaller else max)(names, key=means.get, default=None)


def _pair(own, other):
    both = [seed for seed in own if seed in other]
    return paired([own[seed] for seed in both], [other[seed] for seed in both])


def _share(own, alone, teacher, smaller):
    all_three = [seed for seed in own if seed in alone and seed in teacher]
    method, below, above = ([one[seed] for seed in all_three] for one in (own, alone, teacher))
    return recovered_share(method, below, above, smaller)


def complete(seeds):
    """Of names to their seeds the names that have those of the one with the most: other means do not compare."""
    most = set(max(seeds.values(), key=len, default=()))
    return [name for name, own in seeds.items() if set(own) == most]


def ranked(rows, metric):
    """The methods among a summary's rows, the best mean first; those that lack seeds come after all others."""
    sign = 1 if smaller_is_better(metric) else -1
    entries = {name: row["metrics"][metric] for name, row in rows.items() if name not in REFERENCES}
    full = complete({name: entry["values"] for name, entry in entries.items()})
    return sorted(entries, key=lambda name: (name not in full, sign * entries[name]["mean"]))
