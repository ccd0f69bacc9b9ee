"""A trained model as a folder that needs neither RecBole nor recbole_kd nor torch."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from recbole_kd.errors import KDError
from recbole_kd.serving.bundle import Tables, write_tokens
from recbole_kd.serving.checks import compare_lists, sample
from recbole_kd.serving.export_options import ExportOptions, ExportReport
from recbole_kd.serving.faiss_index import recall_of
from recbole_kd.serving.model_card import USAGE, describe, write_description
from recbole_kd.serving.onnx_model import graph_inputs, refuse_untraceable, write_traced_graph
from recbole_kd.serving.onnx_vectors import open_graph
from recbole_kd.serving.output import check_folder, new_folder
from recbole_kd.serving.quantisation import PrecisionRow, precision_row, validation_accuracy
from recbole_kd.serving.recommendations import items_left
from recbole_kd.serving.recommender import ModelSource, Recommender, open_recommender
from recbole_kd.serving.user_items import UserItems
from recbole_kd.serving.vector_export import VectorFiles, write_index_file, write_vector_files

CHECKED_USERS = 1000


def export(
    model: ModelSource,
    output: str | os.PathLike[str],
    *,
    format: str = "bundle",
    precision: str = "fp32",
    index: str = "flat",
    k: int = 10,
    pq_bytes: int | None = None,
    compare: bool = False,
    metrics: Mapping[str, float] | None = None,
    licence: str | None = None,
    data_licence: str | None = None,
    overwrite: bool = False,
    data_path: str | None = None,
) -> ExportReport:
    """Write a trained model to a folder and check the folder against the model.

    Args:
        model: a RecBole checkpoint, or a Recommender.
        output: the folder; it is complete, or it does not exist.
        format, precision, index, k, pq_bytes, compare, metrics, licence, data_licence: as of ExportOptions.
        overwrite: replace an earlier export.
        data_path: the folder that holds the dataset's folder, where it is no longer where it was at the training.

    Raises:
        KDError: an option out of range, a missing package, a folder that exists, a model that has no such export, or an
            export that does not give the model's lists; nothing is left then.
    """
    options = ExportOptions(format, precision, index, k, pq_bytes, compare, metrics, licence, data_licence)
    options.require_packages()
    check_folder(output, overwrite)
    recommender = open_recommender(model, data_path)
    traced = format == "onnx" and recommender.is_sequential  # its graph takes sequences, which change with each item
    tables = None if traced else Tables.of(recommender)
    _check_model(recommender, tables, options)
    with new_folder(output, overwrite) as folder:
        report = _write(folder, recommender, tables, options)
    return replace(report, folder=Path(output))


def _write(folder: Path, recommender: Recommender, tables: Tables | None, options: ExportOptions) -> ExportReport:
    """Write the files of an export and check them. Raises KDError."""
    if tables is None:
        report, usage, more = _export_traced(folder, recommender, options.k)
    else:
        report, usage, more = _export_vectors(folder, recommender, tables, options)
    _refuse_wrong(report, recommender)
    accuracy = {"ndcg@10": report.ndcg, "ndcg@10_fp32": report.ndcg_fp32, "recall": report.recall}
    more |= {
        "check": {**report.agreement.as_dict(), **accuracy},
        "precisions": [row.as_dict() for row in report.rows],
        "metrics": dict(options.metrics) if options.metrics else None,
        "licence": options.licence,
        "data_licence": options.data_licence,
    }
    size = sum(path.stat().st_size for path in folder.iterdir())
    kind = "bundle" if options.format == "safetensors" else options.format
    write_description(folder, describe(recommender, kind, options.precision, more), usage)
    return replace(report, size=size)


def _check_model(recommender: Recommender, tables: Tables | None, options: ExportOptions) -> None:
    """Refuse a model with random rows, and a format that it does not have. Raises KDError, with what works."""
    if recommender.config["new_rows"]:
        raise KDError(
            f"the dataset has users or items that came after the training of '{recommender.model_file}': train again "
            "with --init_from, or name the folder of the data of the training with --data_path"
        )
    if tables is not None:
        return
    refuse_untraceable(recommender)
    if options.format != "onnx":
        raise KDError(
            f"{recommender.name} has no vectors of users and items whose inner product is its score, which "
            f"format={options.format} needs: format=onnx exports its own forward pass"
        )
    option = "precision" if options.precision != "fp32" else "compare" if options.compare else None
    if option:
        raise KDError(f"the ONNX graph of {recommender.name} is its own forward pass in fp32: leave {option} out")


def _export_vectors(
    folder: Path, recommender: Recommender, tables: Tables, options: ExportOptions
) -> tuple[ExportReport, str, dict[str, Any]]:
    """Write an export of vectors; returns the report, the usage example, and entries for model.json."""
    users = sample(tables.user_ids, CHECKED_USERS)
    options = replace(options, k=_shortened(recommender, users, options.k))
    k, format, precision = options.k, options.format, options.precision
    more: dict[str, Any] = {"score": "inner product", "width": tables.items.shape[1]}
    row, files = _write_precision(folder, recommender, tables, options)
    agreement = compare_lists(recommender, users, k, files.listing, recommender.interactions("seen"))
    usage, recall = USAGE["bundle"], None
    if format == "onnx":
        usage, more["graph"] = USAGE["users"], {"inputs": ["users", "k"], "outputs": ["items", "scores"]}
    if format == "faiss":
        rows = np.searchsorted(tables.user_ids, users)
        recall = recall_of(folder / "index.faiss", tables.users[rows], tables.items, k)
        usage, more["index"] = USAGE["faiss"], {"kind": options.index, "precision": precision}
    table = _other_precisions(recommender, tables, options, row)
    exact = next((entry.ndcg for entry in table if entry.name == "fp32" and precision != "fp32"), None)
    ndcg = row.ndcg if precision != "fp32" else None
    report = ExportReport(folder, format, precision, 0, agreement, ndcg, exact, recall, table)
    return report, _filled(usage, recommender, tables.user_ids, k=', "k": [10]'), more


def _write_precision(
    folder: Path, recommender: Recommender, tables: Tables, options: ExportOptions
) -> tuple[PrecisionRow, VectorFiles]:
    """Write the files at one precision and measure them. Raises KDError."""
    format, precision, k = options.format, options.precision, options.k
    vectors = tables.encoded(precision, options.pq_bytes)
    files = write_vector_files(folder, recommender, tables, vectors, format, k)
    search = files.search
    if format == "faiss":
        search = write_index_file(folder, tables, options.index, precision, options.pq_bytes, k)
    ndcg = validation_accuracy(recommender, tables, vectors, precision, options.pq_bytes)
    return precision_row(precision, vectors, ndcg, search, tables), files


def _other_precisions(
    recommender: Recommender, tables: Tables, options: ExportOptions, row: PrecisionRow
) -> tuple[PrecisionRow, ...]:
    """The row of the export among those of fp32 and, with compare, of all precisions; their files are not kept."""
    rows = []
    for precision in options.compared_precisions():
        if precision == options.precision:
            rows.append(row)
            continue
        with tempfile.TemporaryDirectory() as folder:
            pq_bytes = options.pq_bytes if precision == "pq" else None
            other = replace(options, precision=precision, pq_bytes=pq_bytes)
            rows.append(_write_precision(Path(folder), recommender, tables, other)[0])
    return tuple(rows)


def _export_traced(folder: Path, recommender: Recommender, k: int) -> tuple[ExportReport, str, dict[str, Any]]:
    """Write the graph of a model without vectors; returns as _export_vectors."""
    ids = np.arange(1, recommender.n_users, dtype=np.int64)
    if recommender.is_sequential:
        ids = ids[recommender.sequences().has(ids)]
        # the graph knows a user by the sequence, so that the sequence's items are what it leaves out
        sequences = recommender.sequences().batch(ids)[0].numpy()
        rows = np.repeat(ids, (sequences > 0).sum(axis=1))
        hidden = UserItems.of_pairs(rows, sequences[sequences > 0], recommender.n_users, recommender.n_items)
    else:
        hidden = recommender.interactions("seen")
    users = sample(ids, CHECKED_USERS)
    k = _shortened(recommender, users, k)
    path = folder / "model.onnx"
    write_traced_graph(path, recommender, k)
    write_tokens(folder, recommender, None if recommender.is_sequential else ids)

    run = open_graph(path)

    def listing(subset: np.ndarray) -> np.ndarray:
        return run(graph_inputs(recommender, subset))[0] + 1

    agreement = compare_lists(recommender, users, k, listing, hidden)
    kind = "sequences" if recommender.is_sequential else "users"
    more = {"score": "the model's own", "graph": {"inputs": [kind], "outputs": ["items", "scores"], "k": k}}
    return ExportReport(folder, "onnx", "fp32", 0, agreement), _filled(USAGE[kind], recommender, ids), more


def _shortened(recommender: Recommender, users: np.ndarray, k: int) -> int:
    """A length of lists that every compared user has enough items for. Raises KDError where nobody is left."""
    if not len(users):
        raise KDError("no user has a sequence: there is nothing to export")
    left = items_left(users, recommender.candidates(), recommender.interactions("seen"), recommender.n_items)
    return max(1, min(k, int(left.min())))


def _refuse_wrong(report: ExportReport, recommender: Recommender) -> None:
    """Refuse an exact export that does not give the model's lists. Raises KDError."""
    agreement = report.agreement
    if report.precision == "fp32" and agreement.same < agreement.users:
        raise KDError(
            f"the export of {recommender.name} does not give the model's top {agreement.k} for "
            f"{agreement.users - agreement.same} of {agreement.users} users, so nothing was written: its scores "
            "are random, or depend on what a checkpoint does not hold"
        )


def _filled(usage: str, recommender: Recommender, user_ids: np.ndarray, k: str = "") -> str:
    """A usage example with tokens of the dataset."""
    return usage.format(
        user=recommender.users.tokens[user_ids[0]],
        item=recommender.items.tokens[1],
        k=k,
        length=recommender.config["MAX_ITEM_LIST_LENGTH"],
    )
