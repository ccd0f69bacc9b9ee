"""``recbole-kd recommend`` and ``recbole-kd export``: what they print, and how their options are read."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

import pandas as pd

from recbole_kd.errors import KDError, did_you_mean
from recbole_kd.serving.export_options import FORMATS, ExportReport
from recbole_kd.serving.exporter import export
from recbole_kd.serving.faiss_index import INDEXES
from recbole_kd.serving.new_users import fold_in
from recbole_kd.serving.output import check_output, open_table
from recbole_kd.serving.precision import PRECISIONS
from recbole_kd.serving.quantisation import PrecisionRow, precision_table, read_result, run_rows
from recbole_kd.serving.recommendations import Request, recommend, recommend_to_file
from recbole_kd.serving.recommender import EXCLUDE
from recbole_kd.serving.similar import similar_items


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise KDError(f"{self.prog}: {message}")


def recommend_argv(argv: Sequence[str]) -> str:
    """Run ``recommend`` with a command line.

    Args:
        argv: what stands behind ``recommend``.

    Returns:
        What to print: a table, or where it was written.

    Raises:
        KDError: as recommend, similar_items and fold_in; an unknown option.
    """
    options = _read(_recommend_parser(), argv)
    if (options.users is not None) + options.all + (options.items is not None) + (options.history is not None) != 1:
        raise KDError("recommend takes one of --users=196,186, --all, --items=50,181 and --history=50,181")
    request = Request(
        options.k, options.exclude, options.allow, options.deny, options.skip_unknown, options.allow_short
    )
    if options.items is None and options.history is None:
        if options.output:
            rows = recommend_to_file(
                options.model_file,
                options.output,
                options.users,
                request,
                overwrite=options.overwrite,
                data_path=options.data_path,
            )
            return f"{rows:,} rows are in {options.output}"
        if options.all:
            raise KDError("--all lists every user: name a file with --output=top.csv")
    if options.output:
        check_output(options.output, options.overwrite)
    table = _table(options)
    if not options.output:
        return table.to_string(index=False, float_format="{:.4f}".format)
    with open_table(options.output, options.overwrite) as write:
        write(table)
    return f"{len(table):,} rows are in {options.output}"


def _table(options: argparse.Namespace) -> pd.DataFrame:
    shared: dict[str, Any] = {name: getattr(options, name) for name in ("allow", "deny", "skip_unknown", "data_path")}
    if options.items is not None:
        return similar_items(options.model_file, options.items, options.k, **shared)
    shared["allow_short"] = options.allow_short
    if options.history is not None:
        keep = options.exclude == "none"
        return fold_in(options.model_file, options.history, options.k, exclude_history=not keep, **shared)
    return recommend(options.model_file, options.users, options.k, exclude=options.exclude, **shared)


def export_argv(argv: Sequence[str]) -> str:
    """Run ``export`` with a command line.

    Args:
        argv: what stands behind ``export``.

    Returns:
        What to print: where the export is, and how it compares with the model.

    Raises:
        KDError: as export; an unknown option.
    """
    options = _read(_export_parser(), argv)
    if options.output is None:
        raise KDError("export needs a folder: write --output=bundle/")
    content = None if options.metrics is None else read_result(options.metrics)
    report = export(
        options.model_file,
        options.output,
        format=options.format,
        precision=options.precision,
        index=options.index,
        k=options.k,
        pq_bytes=options.pq_bytes,
        compare=options.compare,
        metrics=_metrics(options.metrics, content),
        licence=options.licence,
        data_licence=options.data_licence,
        overwrite=options.overwrite,
        data_path=options.data_path,
    )
    return summary(report, run_rows(content))


def summary(report: ExportReport, models: Sequence[PrecisionRow] = ()) -> str:
    """What an export is, in a few lines and a table.

    Args:
        report: of the export.
        models: further rows of the table, those of the run that the model comes from.
    """
    agreement = report.agreement
    lines = [
        f"{report.folder}: {report.format}, {report.precision}, {report.size:,} bytes",
        f"top {agreement.k}: {agreement.same:,} of {agreement.users:,} users have the model's list, ties aside; mean "
        f"overlap {agreement.overlap:.4f}",
    ]
    if report.recall is not None:
        lines.append(f"the index lists {report.recall:.4f} of the exact top {agreement.k}")
    if report.rows:
        lines += ["", precision_table([*models, *report.rows])]
    return "\n".join(lines)


def _metrics(file: str | None, content: Any) -> dict[str, float] | None:
    """The metrics of a JSON file: of the distilled student at test, where it is the result of a run."""
    if file is None:
        return None
    try:
        if "distilled" in content:
            content = content["distilled"]["test_result"]
        return {str(name): float(value) for name, value in content.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise KDError(f"metrics: '{file}' is no JSON file of names and numbers ({error})") from error


def _parser(command: str) -> _Parser:
    parser = _Parser(prog=command, add_help=False, allow_abbrev=False)
    parser.add_argument("model_file")
    parser.add_argument("--k", type=int, default=10)
    for name in ("--output", "--data_path"):
        parser.add_argument(name)
    parser.add_argument("--overwrite", action="store_true")
    return parser


def _recommend_parser() -> _Parser:
    parser = _parser("recommend")
    for name in ("--users", "--items", "--history", "--allow", "--deny"):
        parser.add_argument(name)
    for name in ("--all", "--skip-unknown", "--allow-short"):
        parser.add_argument(name, action="store_true")
    parser.add_argument("--exclude", choices=EXCLUDE, default="seen")
    return parser


def _export_parser() -> _Parser:
    parser = _parser("export")
    for name, values in (("--format", FORMATS), ("--precision", PRECISIONS), ("--index", INDEXES)):
        parser.add_argument(name, choices=values, default=values[0])
    parser.add_argument("--pq_bytes", type=int)
    parser.add_argument("--compare", action="store_true")
    for name in ("--metrics", "--licence", "--data_licence"):
        parser.add_argument(name)
    return parser


def _read(parser: _Parser, argv: Sequence[str]) -> argparse.Namespace:
    """The options of a command line. Raises KDError."""
    options, unknown = parser.parse_known_args(list(argv))
    if unknown:
        names = [name for action in parser._actions for name in action.option_strings]
        word = unknown[0].partition("=")[0]
        raise KDError(f"{parser.prog} has no option '{word}'{did_you_mean(word, names)}; --help lists them")
    return options
