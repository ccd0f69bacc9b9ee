"""A trained model as a folder that needs neither RecBole nor recbole_kd nor torch."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from recbole_kd.errors import KDError, did_you_mean
from recbole_kd.serving.bundle import Tables, write_bundle, write_tokens
from recbole_kd.serving.checks import Agreement, Listing, compare_lists, sample, validation_ndcg
from recbole_kd.serving.faiss_index import INDEXES, recall_of, write_index
from recbole_kd.serving.model_card import USAGE, describe, write_description
from recbole_kd.serving.onnx_model import graph_inputs, refuse_untraceable, write_traced_graph
from recbole_kd.serving.onnx_vectors import run_graph, write_vector_graph
from recbole_kd.serving.output import check_folder, new_folder, require_package
from recbole_kd.serving.precision import PRECISIONS, decode, encode
from recbole_kd.serving.reader import Recommender as Reader
from recbole_kd.serving.recommendations import check_k, items_left
from recbole_kd.serving.recommender import ModelSource, Recommender, open_recommender
from recbole_kd.serving.user_items import UserItems

PACKAGES = {
    "bundle": (),
    "safetensors": (("safetensors", "safetensors"),),
    "onnx": (("onnx", "onnx"), ("onnxruntime", "onnxruntime")),
    "faiss": (("faiss", "faiss-cpu"),),
}
FORMATS = tuple(PACKAGES)
CHECKED_USERS = 1000


@dataclass(frozen=True)
class ExportReport:
    """What was exported.

    Attributes:
        folder: where it is.
        format, precision: as they were chosen.
        size: bytes of all files but model.json and README.md.
        agreement: how the lists compare with the model's own.
        ndcg, ndcg_fp32: ndcg@10 on validation, at this precision and in fp32; None for fp32 and without vectors.
        recall: of a faiss index; else None.
    """

    folder: Path
    format: str
    precision: str
    size: int
    agreement: Agreement
    ndcg: float | None = None
    ndcg_fp32: float | None = None
    recall: float | None = None


@dataclass(frozen=True)
class ExportOptions:
    """What an export is to be.

    Attributes:
        format: ``bundle``: vectors, tokens and seen items as npz and text, with a reader of numpy alone;
            ``safetensors``: the same with the arrays in one safetensors file; ``onnx``: a graph for onnxruntime;
            ``faiss``: a bundle with an index.
        precision: ``fp32``, ``fp16``, or ``int8`` with a scale for each vector.
        index: of faiss: ``flat``, exact, or ``hnsw``, approximate.
        k: length of the lists that are compared; of a traced ONNX graph also the number of items it gives.
        metrics: what is known of the model's accuracy, for the model card.
        licence, data_licence: of the model and of its data, for the model card.

    Raises:
        KDError: an option out of range.
    """

    format: str = "bundle"
    precision: str = "fp32"
    index: str = "flat"
    k: int = 10
    metrics: Mapping[str, float] | None = None
    licence: str | None = None
    data_licence: str | None = None

    def __post_init__(self) -> None:
        for name, values in (("format", FORMATS), ("precision", PRECISIONS), ("index", INDEXES)):
            value = str(getattr(self, name))
            if value not in values:
                hint = did_you_mean(value, values)
                raise KDError(f"{name}='{value}' is unknown: it takes one of {', '.join(values)}{hint}")
        check_k(self.k)
        if self.index != "flat" and self.format != "faiss":
            raise KDError(f"index={self.index} needs format=faiss, and not {self.format}")


def export(
    model: ModelSource,
    output: str | os.PathLike[str],
    *,
    format: str = "bundle",
    precision: str = "fp32",
    index: str = "flat",
    k: int = 10,
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
        format, precision, index, k, metrics, licence, data_licence: as of ExportOptions.
        overwrite: replace an earlier export.
        data_path: the folder that holds the dataset's folder, where it is no longer where it was at the training.

    Raises:
        KDError: an option out of range, a missing package, a folder that exists, a model that has no such export, or an
            export that does not give the model's lists; nothing is left then.
    """
    options = ExportOptions(format, precision, index, k, metrics, licence, data_licence)
    for package, install in PACKAGES[format]:
        require_package(package, f"format={format}", install)
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
        "metrics": dict(options.metrics) if options.metrics else None,
        "licence": options.licence,
        "data_licence": options.data_licence,
    }
    size = sum(path.stat().st_size for path in folder.iterdir())
    kind = "bundle" if options.format == "safetensors" else options.format
    write_description(folder, describe(recommender, kind, options.precision, more), usage)
    return replace(report, size=size)


def _check_model(recommender: Recommender, tables: Tables | None, options: ExportOptions) -> None:
    """Refuse a format that the model does not have. Raises KDError, with the reason and what works."""
    if tables is not None:
        return
    refuse_untraceable(recommender)
    if options.format != "onnx":
        raise KDError(
            f"{recommender.name} has no vectors of users and items whose inner product is its score, which "
            f"format={options.format} needs: format=onnx exports its own forward pass"
        )
    if options.precision != "fp32":
        raise KDError(f"the ONNX graph of {recommender.name} is its own forward pass in fp32: leave precision out")


def _export_vectors(
    folder: Path, recommender: Recommender, tables: Tables, options: ExportOptions
) -> tuple[ExportReport, str, dict[str, Any]]:
    """Write an export of vectors; returns the report, the usage example, and entries for model.json."""
    users = sample(tables.user_ids, CHECKED_USERS)
    k = _shortened(recommender, users, options.k)
    format, precision = options.format, options.precision
    more: dict[str, Any] = {"score": "inner product", "width": tables.items.shape[1]}
    usage = USAGE["bundle"]
    recall = None
    if format == "onnx":
        write_vector_graph(folder / "model.onnx", tables, precision)
        write_tokens(folder, recommender, tables.user_ids)
        listing = _graph_listing(folder, tables, k)
        usage, more["graph"] = USAGE["users"], {"inputs": ["users", "k"], "outputs": ["items", "scores"]}
    else:
        write_bundle(folder, recommender, tables, precision, "safetensors" if format == "safetensors" else "npz")
        (folder / "model.json").write_text(
            "{}", encoding="utf-8"
        )  # the reader looks at it; the description replaces it
        listing = _reader_listing(folder, recommender, k)
    agreement = compare_lists(recommender, users, k, listing, recommender.interactions("seen"))
    (folder / "model.json").unlink(missing_ok=True)
    if format == "faiss":
        write_index(folder / "index.faiss", tables.items, options.index, precision)
        rows = np.searchsorted(tables.user_ids, users)
        recall = recall_of(folder / "index.faiss", tables.users[rows], tables.items, k)
        usage, more["index"] = USAGE["faiss"], {"kind": options.index, "precision": precision}
    before, after = _accuracy(recommender, tables, precision) if precision != "fp32" else (None, None)
    report = ExportReport(folder, format, precision, 0, agreement, after, before, recall)
    return report, _filled(usage, recommender, tables.user_ids, k=', "k": [10]'), more


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

    def listing(subset: np.ndarray) -> np.ndarray:
        return run_graph(path, graph_inputs(recommender, subset))[0] + 1

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


def _reader_listing(folder: Path, recommender: Recommender, k: int) -> Listing:
    reader = Reader(folder)

    def listing(users: np.ndarray) -> np.ndarray:
        lists = reader.recommend_batch(recommender.users.tokens[users].tolist(), k)
        return np.array([[reader.item_rows[item] + 1 for item, _ in row] + [-1] * (k - len(row)) for row in lists])

    return listing


def _graph_listing(folder: Path, tables: Tables, k: int) -> Listing:
    def listing(users: np.ndarray) -> np.ndarray:
        rows = np.searchsorted(tables.user_ids, users)
        items, scores = run_graph(folder / "model.onnx", {"users": rows, "k": np.array([k], dtype=np.int64)})
        return np.where(np.isfinite(scores), items + 1, -1)

    return listing


def _accuracy(recommender: Recommender, tables: Tables, precision: str) -> tuple[float | None, float | None]:
    """ndcg@10 on validation in fp32 and at a precision; a sequence ends before its validation item.

    None where the data changed since the training: the model may have been trained on validation pairs of today.
    """
    if recommender.config["changed_data"]:
        return None, None
    users, user_ids = tables.users, tables.user_ids
    if recommender.is_sequential:
        vectors = recommender.vectors("train")
        assert vectors is not None
        user_ids = vectors.user_ids
        users = vectors.users.float().cpu().numpy()[user_ids]
    rounded = [
        decode(encode(table, precision, side), side) for table, side in ((users, "user"), (tables.items, "item"))
    ]
    exact = validation_ndcg(recommender, users, tables.items, user_ids)
    return exact, validation_ndcg(recommender, rounded[0], rounded[1], user_ids)


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
