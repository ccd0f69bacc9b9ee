"""From runs to a result file, and from a result file to its summary.

    python -m benchmarks.accuracy.analysis compare/methods-ml-1m --output=benchmarks/accuracy/results/methods-ml-1m.json
    python -m benchmarks.accuracy.analysis benchmarks/accuracy/results/methods-ml-1m.json

A source is a folder of ``run_kd.py compare``, a ``result_file`` of ``run_kd.py``, or a result file of this schema;
several are joined, which have to agree where they have the same rows. ``--plan`` names the plan of a comparison; by
default it is the one in ``benchmarks/*/plans`` with the folder's name. ``--relabel=SOURCE=OLD=NEW`` renames a row of
one source, such as a second student alone. The summary is printed: means and standard deviations, the share of the gap
between student alone and teacher that a method recovers, and paired differences with 95% t intervals and p after Holm's
correction for the methods of the file. ``--output`` writes a result file.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks.accuracy.records import ALONE, ENDS, PARTS, comparison_records, run_records
from benchmarks.command import device_name
from benchmarks.result import FOLDER, Result, read_result
from benchmarks.schema import make_result, write_result
from recbole_kd.config.yaml_loader import read_yaml
from recbole_kd.evaluation.metrics import smaller_is_better
from recbole_kd.evaluation.result import recovered_share
from recbole_kd.evaluation.statistics import describe
from recbole_kd.evaluation.statistics import holm
from recbole_kd.evaluation.statistics import paired


def is_method(name: str) -> bool:
    """Whether a row is a distilled student's: no teacher, ensemble or student alone."""
    return name not in (*ENDS, "ensemble", "neighbour advice") and not name.startswith(("teacher ", f"{ALONE} "))


def scores(result: Result, name: str, key: str) -> list[float]:
    """The values of one row, in the order of its seeds."""
    return list(result.by_seed(name, key).values())


def compare_rows(result: Result, name: str, other: str, key: str) -> dict[str, Any]:
    """The paired comparison of two rows over the seeds that both have."""
    ones, others = result.by_seed(name, key), result.by_seed(other, key)
    both = [seed for seed in ones if seed in others]
    return paired([ones[seed] for seed in both], [others[seed] for seed in both])


def share(result: Result, name: str, key: str, teacher: str = "teacher") -> float | None:
    """The share of the gap between student alone and teacher that a row recovers, of means over common seeds."""
    rows = [result.by_seed(one, key) for one in (name, ALONE, teacher)]
    common = [seed for seed in rows[0] if all(seed in row for row in rows)]
    return recovered_share(*([row[seed] for seed in common] for row in rows), smaller_is_better(key.partition("_")[2]))


def summarise(result: Result, key: str) -> dict[str, dict[str, Any]]:
    """For each row its mean, standard deviation, recovered share and paired comparisons with both ends.

    Args:
        result: a result file of kind accuracy.
        key: the value that is summed up, such as ``test_ndcg@10``.

    Returns:
        dict: row name to ``n``, ``mean``, ``sd`` and, of a method, ``share``, ``against_alone`` and
        ``against_teacher``, each with ``p_holm``, Holm's correction over the methods of the file.
    """
    teacher = "ensemble" if "ensemble" in result.names() else "teacher"
    rows = {name: describe(scores(result, name, key)) for name in result.names() if scores(result, name, key)}
    methods = [name for name in rows if is_method(name)]
    for name in methods:
        rows[name]["share"] = share(result, name, key, teacher)
    for field, other in (("against_alone", ALONE), ("against_teacher", teacher)):
        tests = [compare_rows(result, name, other, key) for name in methods]
        for name, test, p in zip(methods, tests, holm([test.get("p") for test in tests]), strict=True):
            rows[name][field] = {**test, "p_holm": p}
    return rows


def summary_table(result: Result, key: str) -> str:
    """The summary as text."""
    lines = []
    for name, row in summarise(result, key).items():
        cells = [f"{row['mean']:.4f}" + (f" ± {row['sd']:.4f}" if row["sd"] is not None else "")]
        cells.append(f"{row['share']:.0%}" if row.get("share") is not None else "")
        for field in ("against_alone", "against_teacher"):
            cells += _difference(row.get(field))
        lines.append([name, *cells])
    headers = [key.replace("_", " "), "mean ± sd", "recovered", "over alone", "p (Holm)", "over teacher", "p (Holm)"]
    return tabulate(lines, headers, disable_numparse=True)


def _difference(test: dict | None) -> list[str]:
    if not test or test["difference"] is None:
        return ["", ""]
    if test["p"] is None:
        return [f"{test['difference']:+.4f}", ""]
    return [f"{test['difference']:+.4f} [{test['t_low']:+.4f}, {test['t_high']:+.4f}]", f"{test['p_holm']:.2g}"]


def plan_settings(plan: dict) -> dict[str, Any]:
    """The settings of a result file from a plan's content: what decides the figures, without folders."""
    dataset = plan["datasets"][0] if "datasets" in plan else plan["dataset"]
    dataset = dict(dataset) if isinstance(dataset, dict) else {"dataset": dataset}
    dataset.pop("data_path", None)
    methods = {}
    for entry in plan["methods"]:
        entry = {"model": entry} if isinstance(entry, str) else dict(entry)
        methods[entry.pop("name", entry["model"])] = entry
    return {
        "dataset": dataset, "seeds": plan["seeds"], "keys": with_dots(plan.get("keys") or {}),
        "alone": with_dots(plan.get("alone") or {}), "methods": methods,
    }  # fmt: skip


def with_dots(keys: dict) -> dict[str, Any]:
    """The blocks ``teacher`` and ``student`` of some keys written as ``teacher.key``."""
    flat: dict[str, Any] = {}
    for key, value in keys.items():
        is_block = key in ("teacher", "student") and isinstance(value, dict)
        flat |= {f"{key}.{name}": one for name, one in value.items()} if is_block else {key: value}
    return flat


def find_plan(name: str) -> Path:
    """The committed plan of this name. Raises ValueError: there is none."""
    files = list(FOLDER.glob(f"*/plans/{name}.yaml"))
    if len(files) != 1:
        raise ValueError(f"{len(files)} plans are called benchmarks/*/plans/{name}.yaml: name one with --plan")
    return files[0]


def read_source(source: str, plan: str | None, parts: tuple[str, ...]) -> tuple[list[dict], dict, dict]:
    """The records of a source, the settings behind them, and where they were measured."""
    if Path(source).is_dir():
        settings = plan_settings(read_yaml(plan or find_plan(Path(source).name), "plan"))
        records, environment = comparison_records(source, parts)
        return records, settings, environment
    content = json.loads(Path(source).read_text(encoding="utf-8"))
    if "schema_version" in content:
        result = read_result(source)
        return result.records, result.settings, result.environment
    method, seed = content["distilled"]["method"], content["config"]["seed"]
    settings = {"dataset": {"dataset": content["config"]["dataset"]}, "seeds": [seed], "keys": {},
                "methods": {method: {"model": method}}, "config": content["config"]}  # fmt: skip
    records = run_records(content, method, seed, parts)
    return records, settings, {"device": device_name(), "versions": content["versions"]}


def join(sources: list[list[dict]]) -> list[dict]:
    """The records of several sources, each name and seed once. Raises ValueError: two sources differ in one."""
    joined: dict[tuple, dict] = {}
    for record in (record for records in sources for record in records):
        key = (record["seed"], record["name"], json.dumps(record.get("setting")))
        metrics = [
            {name: value for name, value in one["values"].items() if name.startswith(tuple(f"{p}_" for p in PARTS))}
            for one in (record, joined.setdefault(key, record))
        ]
        if metrics[0] != metrics[1]:
            raise ValueError(f"two sources have '{record['name']}' of seed {record['seed']} with other figures")
    return sorted(joined.values(), key=lambda record: (record["seed"] is None, record["seed"] or 0))  # stable


def build(options: argparse.Namespace, words: list[str]) -> dict:
    """The content of the result file that the options ask for. Raises ValueError."""
    parts = (options.part,) if options.part else PARTS
    read = [read_source(source, options.plan, parts) for source in options.sources]
    renamed = dict(_relabelling(text) for text in options.relabel)
    sources = [
        [{**record, "name": renamed.get((Path(source).name, record["name"]), record["name"])} for record in records]
        for source, (records, _, _) in zip(options.sources, read, strict=True)
    ]
    command = [f"python -m benchmarks.accuracy.analysis {shlex.join(words)}"]
    settings = dict(read[0][1])
    for source, (_, more, _) in zip(options.sources[1:], read[1:], strict=True):
        settings[f"settings of {Path(source).name}"] = more
    for source in options.sources[::-1]:
        if Path(source).is_dir():
            plan = options.plan or find_plan(Path(source).name).relative_to(FOLDER.parent)
            command.insert(0, f"python run_kd.py compare {plan}")
    return make_result("accuracy", command, settings, join(sources), read[0][2])


def _relabelling(text: str) -> tuple[tuple[str, str], str]:
    source, old, new = text.split("=", 2)
    return (source, old), new


def main(words: list[str]) -> int:
    """The command line. Returns 2 for a source that cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", help="comparison folders, result files of run_kd, or result files")
    parser.add_argument("--plan", help="the plan of a comparison folder")
    parser.add_argument("--part", choices=PARTS, help="take the figures of this part alone")
    parser.add_argument("--relabel", action="append", default=[], metavar="SOURCE=OLD=NEW")
    parser.add_argument("--metric", default="ndcg@10", help="the metric of the printed summary")
    parser.add_argument("--output", help="the result file to write")
    options = parser.parse_args(words)
    try:
        content = build(options, words)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    names = {name: value for name, value in content.items() if name != "schema_version"}
    print(summary_table(Result("", **names), f"{options.part or 'test'}_{options.metric}"))
    if options.output:
        write_result(options.output, content)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
