"""The summary of a comparison as tables: CSV, LaTeX, and text for the terminal."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from recbole_kd.compare.plan import TEST
from recbole_kd.compare.report.formats import format_number, format_p_value, format_percent, format_signed, mean_sd
from recbole_kd.compare.run import RESULT_FIELDS, Run
from recbole_kd.compare.summary import AGAINST

TEST_COLUMNS = ("n", "difference", "low", "high", "t_low", "t_high", "t", "p", "p_holm")
Table = tuple[list[str], list[list[str]]]  # header and lines


def summary_csv(summary: Mapping[str, Any]) -> str:
    """The summary as CSV, one line for each dataset, model and metric."""
    header = ["dataset", "name", "method", "metric", "n", "mean", "sd", "share"]
    header += [f"{against}_{column}" for against in AGAINST for column in TEST_COLUMNS]
    header += ["rival", "parameters", "bytes", "ms_per_user", "epochs", "seconds"]
    lines = []
    for dataset, content in summary["datasets"].items():
        for name, row in content["rows"].items():
            for metric, entry in row["metrics"].items():
                line = {"dataset": dataset, "name": name, "metric": metric, **entry, **row}
                for against in AGAINST:
                    line |= {f"{against}_{column}": entry.get(against, {}).get(column) for column in TEST_COLUMNS}
                lines.append({**line, "rival": entry.get("against_rival", {}).get("rival")})
    return _csv(header, lines)


def runs_csv(runs: Iterable[Run]) -> str:
    """The runs as CSV, one line for each run and metric of the part that is compared."""
    lines = []
    for run in runs:
        for metric, value in ((run.row() or {}).get(RESULT_FIELDS[run.part]) or {}).items():
            lines.append({"dataset": run.dataset, "seed": run.seed, "name": run.name, "metric": metric, "value": value})
    return _csv(["dataset", "seed", "name", "metric", "value"], lines)


def _csv(header: Sequence[str], lines: Iterable[Mapping[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, header, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()


def accuracy(dataset: Mapping[str, Any], metric: str, part: str = TEST) -> Table:
    """The metrics of a dataset's models.

    Args:
        dataset: the dataset's content in the summary.
        metric: the metric of the first column, which is also compared with the references.
        part: the part of the split that the models were evaluated on.

    Returns:
        The header and the lines, as text. The column "seeds" appears only if models lack seeds.
    """
    rows = dataset["rows"]
    others = [name for name in metrics_of(dataset) if name != metric]
    most = max(row["metrics"][metric]["n"] for row in rows.values())
    incomplete = any(row["metrics"][metric]["n"] < most for row in rows.values())
    lines = []
    for name, row in rows.items():
        entry = row["metrics"][metric]
        tests = [entry.get(against, {}) for against in ("against_alone", "against_teacher")]
        pairs = [
            cell
            for test in tests
            for cell in (format_signed(test.get("difference")), format_p_value(test.get("p_holm")))
        ]
        rest = [mean_sd(row["metrics"][other]) for other in others]
        seeds = [f"{entry['n']} of {most}"] if incomplete else []
        lines.append([name, *seeds, mean_sd(entry), format_percent(entry.get("share")), *pairs, *rest])
    header = [part, *(["seeds"] if incomplete else []), metric, "recovered"]
    return [*header, "over alone", "p (Holm)", "over teacher", "p (Holm)", *others], lines


def costs(dataset: Mapping[str, Any]) -> Table:
    """The sizes, latencies and training times of a dataset's models, as text: the header and the lines."""
    lines = [
        [
            name,
            f"{row['parameters']:,}",
            f"{row['bytes']:,}",
            format_number(row["ms_per_user"]),
            format_number(row["epochs"], 1),
            format_number(row["seconds"], 1),
        ]
        for name, row in dataset["rows"].items()
    ]
    return ["", "parameters", "bytes", "ms/user", "epochs", "seconds"], lines


def metrics_of(dataset: Mapping[str, Any]) -> list[str]:
    """The names of a dataset's metrics."""
    return list(next(iter(dataset["rows"].values()))["metrics"])


def failures(failed: Iterable[Mapping[str, Any]]) -> list[str]:
    """The failed runs of a summary as sentences, one for each model of a dataset."""
    groups: dict[tuple[str, str, bool], list[Mapping[str, Any]]] = {}
    for failure in failed:
        groups.setdefault((failure["dataset"], failure["name"], failure["diverged"]), []).append(failure)
    sentences = []
    for (dataset, name, diverged), group in groups.items():
        seeds = f"seed{'s' if group[1:] else ''} {', '.join(str(failure['seed']) for failure in group)}"
        remedy = "" if diverged else " (the same command tries it again)"
        sentences.append(f"{dataset}, {name}, {seeds}: {group[0]['reason']}{remedy}")
    return sentences


def comparison_text(summary: Mapping[str, Any]) -> str:
    """The summary as text for the terminal."""
    blocks = []
    for name, dataset in summary["datasets"].items():
        blocks.append(f"{name}, seeds {', '.join(map(str, summary['seeds']))}")
        for header, lines in (accuracy(dataset, summary["metric"], summary.get("part", TEST)), costs(dataset)):
            blocks.append(tabulate(lines, header, disable_numparse=True, colalign=_alignment(header)))
    messages = [*(f"failed: {sentence}" for sentence in failures(summary["failed"])), *summary["warnings"]]
    return "\n\n".join([*blocks, *messages])


def latex(summary: Mapping[str, Any]) -> str:
    """The tables of accuracy and cost in LaTeX, for the package booktabs."""
    blocks = []
    for name, dataset in summary["datasets"].items():
        for header, lines in (accuracy(dataset, summary["metric"], summary.get("part", TEST)), costs(dataset)):
            table = tabulate(lines, header, "latex_booktabs", disable_numparse=True, colalign=_alignment(header))
            blocks.append(f"% {name}\n{table}\n")
    return "\n".join(blocks)


def _alignment(header: Sequence[str]) -> list[str]:
    return ["left", *["right"] * (len(header) - 1)]
