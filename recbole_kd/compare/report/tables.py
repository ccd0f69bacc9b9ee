"""The summary as tables: CSV, LaTeX, text for the terminal; and how numbers are written in all of them."""

import csv
import io

from tabulate import tabulate

from recbole_kd.compare.summary import AGAINST

TEST_COLUMNS = ("n", "difference", "low", "high", "t_low", "t_high", "t", "p", "p_holm")


def summary_csv(found):
    """A line for each dataset, model and metric."""
    heads = ["dataset", "name", "method", "metric", "n", "mean", "sd", "share"]
    heads += [f"{against}_{column}" for against in AGAINST for column in TEST_COLUMNS]
    heads += ["rival", "parameters", "bytes", "ms_per_user", "epochs", "seconds"]
    lines = []
    for dataset, part in found["datasets"].items():
        for name, row in part["rows"].items():
            for metric, entry in row["metrics"].items():
                line = {"dataset": dataset, "name": name, "metric": metric, **entry, **row}
                for against in AGAINST:
                    line |= {f"{against}_{column}": entry.get(against, {}).get(column) for column in TEST_COLUMNS}
                lines.append({**line, "rival": entry.get("against_rival", {}).get("rival")})
    return _csv(heads, lines)


def runs_csv(runs):
    """A line for each run and test metric."""
    lines = []
    for run in runs:
        for metric, value in ((run.row() or {}).get("test_result") or {}).items():
            lines.append({"dataset": run.dataset, "seed": run.seed, "name": run.name, "metric": metric, "value": value})
    return _csv(["dataset", "seed", "name", "metric", "value"], lines)


def _csv(heads, lines):
    stream = io.StringIO()
    writer = csv.DictWriter(stream, heads, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()


def accuracy(part, metric):
    """One dataset's metrics as text, ``metric`` first: heads and lines."""
    others = [name for name in metrics_of(part) if name != metric]
    most = max(row["metrics"][metric]["n"] for row in part["rows"].values())
    short = any(row["metrics"][metric]["n"] < most for row in part["rows"].values())
    lines = []
    for name, row in part["rows"].items():
        entry = row["metrics"][metric]
        tests = [entry.get(against, {}) for against in ("against_alone", "against_teacher")]
        pairs = [
            cell
            for test in tests
            for cell in (format_signed(test.get("difference")), format_p_value(test.get("p_holm")))
        ]
        rest = [mean_sd(row["metrics"][other]) for other in others]
        seeds = [f"{entry['n']} of {most}"] if short else []
        lines.append([name, *seeds, mean_sd(entry), format_percent(entry.get("share")), *pairs, *rest])
    heads = ["test", *(["seeds"] if short else []), metric, "recovered"]
    return [*heads, "over alone", "p (Holm)", "over teacher", "p (Holm)", *others], lines


def costs(part):
    """What one dataset's models take, as text: heads and lines."""
    lines = [
        [name, f"{row['parameters']:,}", f"{row['bytes']:,}", format_number(row["ms_per_user"]), format_number(row["epochs"], 1),
         format_number(row["seconds"], 1)]
        for name, row in part["rows"].items()
    ]  # fmt: skip
    return ["", "parameters", "bytes", "ms/user", "epochs", "seconds"], lines


def metrics_of(part):
    """The test metrics of one dataset."""
    return list(next(iter(part["rows"].values()))["metrics"])


def failures(failed):
    """The failed runs of a summary as sentences, one for each model of a dataset."""
    grouped: dict[tuple, list] = {}
    for one in failed:
        grouped.setdefault((one["dataset"], one["name"], one["diverged"]), []).append(one)
    sentences = []
    for (dataset, name, diverged), ones in grouped.items():
        seeds = f"seed{'s' if ones[1:] else ''} {', '.join(str(one['seed']) for one in ones)}"
        again = "" if diverged else " (the same command tries it again)"
        sentences.append(f"{dataset}, {name}, {seeds}: {ones[0]['reason']}{again}")
    return sentences


def comparison_text(found):
    """The summary for the terminal."""
    parts = []
    for dataset, part in found["datasets"].items():
        parts.append(f"{dataset}, seeds {', '.join(map(str, found['seeds']))}")
        for heads, lines in (accuracy(part, found["metric"]), costs(part)):
            parts.append(tabulate(lines, heads, disable_numparse=True, colalign=_aligned(heads)))
    said = [*(f"failed: {sentence}" for sentence in failures(found["failed"])), *found["warnings"]]
    return "\n\n".join([*parts, *said])


def latex(found):
    """The main tables for a paper, with booktabs."""
    parts = []
    for dataset, part in found["datasets"].items():
        for heads, lines in (accuracy(part, found["metric"]), costs(part)):
            table = tabulate(lines, heads, "latex_booktabs", disable_numparse=True, colalign=_aligned(heads))
            parts.append(f"% {dataset}\n{table}\n")
    return "\n".join(parts)


def _aligned(heads):
    return ["left", *["right"] * (len(heads) - 1)]


def mean_sd(entry):
    """'0.2928 ± 0.0037', or the mean alone."""
    return format_number(entry["mean"]) + (f" ± {entry['sd']:.4f}" if entry["sd"] is not None else "")


def format_number(value, digits=4):
    """A number as it stands in a table; nothing for None."""
    return "" if value is None else f"{value:,.{digits}f}"


def format_signed(value, digits=4):
    """The same with its sign."""
    return "" if value is None else f"{value:+.{digits}f}"


def format_percent(share):
    """A share in whole percents; nothing for None."""
    return "" if share is None else f"{share:.0%}"


def format_p_value(p):
    """A p-value with two digits that count."""
    return "" if p is None else "< 0.0001" if p < 0.0001 else f"{p:.2g}"
