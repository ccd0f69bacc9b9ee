"""What fewer bytes cost, and product quantisation."""

import json
import re

import numpy as np
import pytest

from recbole_kd import export
from recbole_kd.errors import KDError
from recbole_kd.serving import ExportOptions, export_argv
from recbole_kd.serving.checks import validation_ndcg
from recbole_kd.serving.precision import PRECISIONS, decode, encode, nearest_centroids
from recbole_kd.serving.quantisation import PrecisionRow, milliseconds, precision_table, run_rows
from recbole_kd.serving.reader import Recommender as Reader
from recbole_kd.serving.vector_export import write_vector_files


def test_the_nearest_centroid_by_hand():
    centroids = np.array([[[0.0], [10.0]], [[-1.0], [1.0]]])
    vectors = np.array([[[4.0], [0.9]], [[6.0], [-3.0]]])
    assert nearest_centroids(vectors, centroids).tolist() == [[0, 1], [1, 0]]


def test_vectors_of_few_kinds_are_kept_exactly_by_pq():
    pytest.importorskip("faiss")
    kinds = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    table = kinds[np.arange(600) % 3]
    arrays = encode(table, "pq", "item", 2)
    assert (arrays["item_codes"].shape, arrays["item_codes"].dtype) == ((600, 2), np.uint8)
    assert arrays["item_centroids"].shape == (2, 256, 4)
    np.testing.assert_allclose(decode(arrays, "item"), table, atol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 3, 40])
def test_pq_of_a_table_of_fewer_rows_than_centroids(n):
    pytest.importorskip("faiss")
    table = np.random.default_rng(1).normal(size=(n, 4)).astype(np.float32)
    arrays = encode(table, "pq", "user")
    assert arrays["user_codes"].shape == (n, 2)
    assert decode(arrays, "user").shape == (n, 4)
    if n in (1, 2):
        np.testing.assert_allclose(decode(arrays, "user"), table, atol=1e-6)


def test_more_bytes_keep_more_of_a_table():
    pytest.importorskip("faiss")
    table = np.random.default_rng(2).normal(size=(500, 8)).astype(np.float32)
    errors = [float(((decode(encode(table, "pq", "item", n), "item") - table) ** 2).mean()) for n in (1, 2, 4, 8)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.01 < errors[0]


@pytest.mark.parametrize("container", ["bundle", "safetensors"])
def test_the_reader_reads_every_precision(container, recommender, tmp_path):
    pytest.importorskip("faiss")
    if container == "safetensors":
        pytest.importorskip("safetensors")
    model = recommender("BPR")
    vectors = model.vectors()
    for precision in PRECISIONS:
        export(model, tmp_path / precision, format=container, precision=precision)
        bundle = Reader(tmp_path / precision)
        for table, side, own in (
            (vectors.users, "user", bundle.user_vectors),
            (vectors.items, "item", bundle.item_vectors),
        ):
            np.testing.assert_array_equal(own, decode(encode(table.numpy()[1:], precision, side), side))


@pytest.mark.parametrize("name", ["BPR", "SASRec"])
def test_every_precision_is_a_row_of_one_table(name, recommender, tmp_path):
    pytest.importorskip("faiss")
    model = recommender(name)
    report = export(model, tmp_path / "bundle", precision="int8", compare=True)
    assert [row.name for row in report.rows] == list(PRECISIONS)
    sizes = {row.name: row.bytes for row in report.rows}
    n, width = len(model.vectors().user_ids) + len(model.items), model.vectors().width
    assert (sizes["fp32"], sizes["fp16"], sizes["int8"]) == (4 * n * width, 2 * n * width, n * (width + 4))
    assert all(row.ms > 0 for row in report.rows)
    assert {row.name: row.ndcg for row in report.rows}["int8"] == report.ndcg
    assert report.rows[0].ndcg == report.ndcg_fp32
    users = model.vectors("train")
    exact = validation_ndcg(model, users.users.numpy()[users.user_ids], users.items.numpy()[1:], users.user_ids)
    assert report.rows[0].ndcg == exact
    assert json.loads((tmp_path / "bundle" / "model.json").read_text())["precision"] == "int8"


def test_a_wrong_code_costs_accuracy(recommender, tmp_path):
    """ndcg@10 is that of the rounded vectors, not of the model's."""
    pytest.importorskip("faiss")
    report = export(recommender("BPR"), tmp_path / "bundle", precision="pq", pq_bytes=1)
    rows = {row.name: row.ndcg for row in report.rows}
    assert list(rows) == ["fp32", "pq"]
    assert rows["pq"] != rows["fp32"]
    assert report.agreement.overlap < 1


def test_parts_of_unequal_length_are_refused(recommender, tmp_path):
    pytest.importorskip("faiss")
    with pytest.raises(KDError, match=r"pq_bytes=3 does not divide the width 8.*it takes one of 1, 2, 4, 8"):
        export(recommender("BPR"), tmp_path / "bundle", precision="pq", pq_bytes=3)
    assert not list(tmp_path.iterdir())


def test_pq_without_faiss_is_refused_and_not_compared(recommender, monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(KDError, match=r"precision=pq needs a package.*pip install faiss-cpu"):
        export(recommender("BPR"), tmp_path / "bundle", precision="pq")
    report = export(recommender("BPR"), tmp_path / "bundle", compare=True)
    assert [row.name for row in report.rows] == ["fp32", "fp16", "int8"]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_graph_decodes_every_precision(precision, recommender, tmp_path):
    for package in ("faiss", "onnx", "onnxruntime"):
        pytest.importorskip(package)
    from recbole_kd.serving.bundle import Tables

    model = recommender("BPR")
    tables = Tables.of(model)
    vectors = tables.encoded(precision)
    files = write_vector_files(tmp_path, model, tables, vectors, "onnx", 5)
    rows = np.array([0, 7, 3])
    items, scores = files.search(rows)
    products = decode(vectors, "user")[rows] @ decode(vectors, "item").T
    for row, user in enumerate(rows):
        products[row, tables.seen.items[tables.seen.starts[user] : tables.seen.starts[user + 1]]] = -np.inf
    np.testing.assert_allclose(scores, -np.sort(-products, axis=1)[:, :5], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(products, items, axis=1), scores, rtol=1e-5, atol=1e-6)


def test_an_index_of_pq_is_measured(recommender, tmp_path, capfd):
    faiss = pytest.importorskip("faiss")
    model = recommender("BPR")
    report = export(model, tmp_path / "faiss", format="faiss", precision="pq")
    assert 0.2 < report.recall < 1
    assert "WARNING" not in "".join(capfd.readouterr())
    searcher = faiss.read_index(str(tmp_path / "faiss" / "index.faiss"))
    assert (searcher.ntotal, searcher.d, searcher.metric_type) == (50, 8, faiss.METRIC_INNER_PRODUCT)


def test_hnsw_is_compared_without_pq():
    options = ExportOptions("faiss", index="hnsw", compare=True)
    assert options.compared_precisions() == ("fp32", "fp16", "int8")


def test_milliseconds_are_those_of_one_user():
    calls = []
    assert milliseconds(lambda rows: calls.append(len(rows)), 1000, 50) < 1
    assert calls == [256] * 8
    milliseconds(lambda rows: calls.append(rows.tolist()), 2, 50)
    assert calls[-1] == [0, 1]
    milliseconds(lambda rows: calls.append(len(rows)), 1000, 1_000_000)
    assert calls[-1] == 25


def test_the_models_of_a_run_are_rows_of_the_table():
    row = {"bytes": 800, "ms_per_user": 0.5, "valid_result": {"ndcg@10": 0.2}}
    result = {"teacher": row, "distilled": row | {"valid_result": {"recall@10": 0.1}}}
    rows = run_rows(result)
    assert rows == [PrecisionRow("teacher", 800, 0.5, 0.2), PrecisionRow("distilled", 800, 0.5, None)]
    assert run_rows({"ndcg@10": 0.1}) == run_rows([1]) == run_rows(None) == []
    table = precision_table([*rows, PrecisionRow("fp32", 800, 0.1, 0.4), PrecisionRow("int8", 300, None, 0.39)])
    cells = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()]
    assert cells[2] == ["teacher", "800", "0.5000", "0.2000", "-50.00%"]
    assert cells[4] == ["fp32", "800", "0.1000", "0.4000"]
    assert cells[5] == ["int8", "300", "0.3900", "-2.50%"]


def test_the_command_prints_the_table(checkpoint, tmp_path):
    metrics = tmp_path / "result.json"
    models = {name: {"bytes": 7, "ms_per_user": 1.0, "valid_result": {"ndcg@10": 0.5}, "test_result": {"ndcg@10": 0.5}}
              for name in ("teacher", "student_alone", "distilled")}  # fmt: skip
    metrics.write_text(json.dumps(models))
    argv = [checkpoint("BPR"), f"--output={tmp_path / 'b'}", "--precision=fp16", "--compare", f"--metrics={metrics}"]
    names = [line.split("  ")[0] for line in export_argv(argv).splitlines()]
    table = names[names.index("teacher") :]
    assert table[:6] == ["teacher", "student alone", "distilled", "fp32", "fp16", "int8"]


@pytest.mark.parametrize("scores", [1, 120, 10_000])
def test_the_reader_ranks_in_blocks(scores, recommender, tmp_path, monkeypatch):
    export(recommender("BPR"), tmp_path / "bundle")
    bundle = Reader(tmp_path / "bundle")
    whole = bundle.recommend_batch(bundle.users, 4)
    monkeypatch.setattr("recbole_kd.serving.reader.SCORES", scores)
    for user, row, wanted in zip(bundle.users, bundle.recommend_batch(bundle.users, 4), whole, strict=True):
        np.testing.assert_allclose([s for _, s in row], [s for _, s in wanted], rtol=1e-4, atol=1e-6, err_msg=user)
