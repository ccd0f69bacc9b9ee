"""ONNX graphs and faiss indexes, where the packages are installed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.serving import clean_environment
from recbole_kd import export, recommend
from recbole_kd.errors import KDError
from recbole_kd.serving.faiss_index import recall_of, write_index
from tests.serving.conftest_serving import assert_same_list


def lines(path):
    return path.read_text().split("\n")[:-1]


def session_of(folder):
    pytest.importorskip("onnx")
    return pytest.importorskip("onnxruntime").InferenceSession(str(folder / "model.onnx"))


def assert_lists(model, users, items, scores, table, k):
    assert users == table["user"].tolist()[::k]
    wanted = table["item"].to_numpy().reshape(-1, k), table["score"].to_numpy().reshape(-1, k)
    for row in zip(items, scores, *wanted, strict=True):
        assert_same_list(*row)


@pytest.mark.parametrize("name", ["BPR", "LightGCN", "SimpleX"])
def test_a_graph_of_vectors_gives_the_models_lists(name, recommender, tmp_path):
    pytest.importorskip("onnx")
    model = recommender(name)
    report = export(model, tmp_path / "onnx", format="onnx")
    assert report.agreement.same == report.agreement.users == len(model.users)
    session = session_of(tmp_path / "onnx")
    users, tokens = lines(tmp_path / "onnx" / "users.txt"), lines(tmp_path / "onnx" / "items.txt")
    for k in (1, 7):  # k is an input
        rows, scores = session.run(["items", "scores"], {"users": np.arange(len(users)), "k": np.array([k])})
        items = [[tokens[row] for row in some] for some in rows]
        assert_lists(model, users, items, scores, recommend(model, None, k), k)


def test_a_graph_keeps_the_seen_items_of_each_user_apart(recommender, tmp_path):
    pytest.importorskip("onnx")
    model = recommender("BPR")
    export(model, tmp_path / "onnx", format="onnx")
    session, n = session_of(tmp_path / "onnx"), len(model.items)
    users = np.array([40, 3, 3])  # u40 has seen one item, u3 several
    rows, scores = session.run(["items", "scores"], {"users": users, "k": np.array([n])})
    for user, items, values in zip(users, rows, scores, strict=True):
        hidden = set(items[np.isneginf(values)] + 1)
        assert hidden == set(model.interactions("seen").pairs(np.array([user + 1]))[1])


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_graph_of_lower_precision_gives_the_lists_of_the_bundle(precision, recommender, tmp_path):
    pytest.importorskip("onnx")
    from recbole_kd.serving.reader import Recommender as Reader

    model = recommender("BPR")
    graph = export(model, tmp_path / "onnx", format="onnx", precision=precision)
    bundle = export(model, tmp_path / "bundle", precision=precision)
    assert (graph.agreement, graph.ndcg) == (bundle.agreement, bundle.ndcg)
    users, session = lines(tmp_path / "onnx" / "users.txt"), session_of(tmp_path / "onnx")
    _, scores = session.run(["items", "scores"], {"users": np.arange(len(users)), "k": np.array([4])})
    lists = Reader(tmp_path / "bundle").recommend_batch(users, 4)
    np.testing.assert_allclose(scores, [[score for _, score in row] for row in lists], rtol=1e-4, atol=1e-6)


def test_the_graph_of_an_autoencoder_gives_the_models_lists(recommender, tmp_path):
    pytest.importorskip("onnx")
    model = recommender("MultiVAE")
    report = export(model, tmp_path / "onnx", format="onnx", k=6)
    assert report.agreement.same == report.agreement.users == len(model.users)
    rows, scores = session_of(tmp_path / "onnx").run(["items", "scores"], {"users": np.arange(len(model.users))})
    users, tokens = lines(tmp_path / "onnx" / "users.txt"), lines(tmp_path / "onnx" / "items.txt")
    items = [[tokens[row] for row in some] for some in rows]
    assert_lists(model, users, items, scores, recommend(model, None, 6), 6)
    assert not model.model.training


@pytest.mark.parametrize(("option", "value"), [("precision", "int8"), ("compare", True)])
def test_a_traced_graph_has_one_precision(option, value, recommender, tmp_path):
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package)
    with pytest.raises(KDError, match=f"forward pass in fp32: leave {option} out"):
        export(recommender("MultiVAE"), tmp_path / "onnx", format="onnx", **{option: value})


def test_the_graph_of_a_sequence_model_takes_sequences(recommender, tmp_path):
    pytest.importorskip("onnx")
    from recbole_kd import fold_in

    model = recommender("SASRec")
    report = export(model, tmp_path / "onnx", format="onnx", k=6)
    assert report.agreement.same == report.agreement.users == 40
    about = json.loads((tmp_path / "onnx" / "model.json").read_text())
    assert about["graph"] == {"inputs": ["sequences"], "outputs": ["items", "scores"], "k": 6}
    tokens = lines(tmp_path / "onnx" / "items.txt")
    sequence = np.full((2, 6), -1)
    sequence[0, :2], sequence[1, :3] = [tokens.index("i4"), tokens.index("i9")], [0, 1, 2]
    rows, scores = session_of(tmp_path / "onnx").run(["items", "scores"], {"sequences": sequence})
    histories = {"first": ["i4", "i9"], "second": tokens[:3]}
    table = fold_in(model, histories, 6)
    items = [[tokens[row] for row in some] for some in rows]
    assert_lists(model, ["first", "second"], items, scores, table, 6)


def test_a_process_of_its_own_reads_every_format(recommender, tmp_path):
    """What benchmarks/serving/clean_environment.py runs where torch is not installed."""
    for package in ("faiss", "onnx", "onnxruntime", "safetensors"):
        pytest.importorskip(package)
    model = recommender("BPR")
    clean_environment.write_exports(model, tmp_path)
    script = Path(clean_environment.__file__).with_name("clean_reader.py")
    command = [sys.executable, "-I", str(script), str(tmp_path)]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert [answer[name] for name in ("numpy", "safetensors", "onnxruntime", "faiss")] == [42] * 4
    expected = json.loads((tmp_path / "expected.json").read_text())
    expected["u1"][0][1] += 1
    (tmp_path / "expected.json").write_text(json.dumps(expected))
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert [answer[name] for name in ("numpy", "safetensors", "onnxruntime", "faiss")] == [41] * 4


@pytest.mark.parametrize("index", ["flat", "hnsw"])
def test_an_index_is_measured(index, recommender, tmp_path):
    faiss = pytest.importorskip("faiss")
    model = recommender("BPR")
    report = export(model, tmp_path / "faiss", format="faiss", index=index)
    assert report.recall == 1.0 if index == "flat" else report.recall > 0.9
    assert report.agreement.same == report.agreement.users
    vectors = model.vectors()
    scores, rows = faiss.read_index(str(tmp_path / "faiss" / "index.faiss")).search(vectors.users.numpy()[1:4], 1)
    products = vectors.users[1:4] @ vectors.items[1:].T
    np.testing.assert_allclose(scores[:, 0], products.max(dim=1).values, rtol=1e-4, atol=1e-5)
    assert rows[:, 0].tolist() == products.argmax(dim=1).tolist()


def test_recall_counts_what_an_index_misses(tmp_path):
    pytest.importorskip("faiss")
    draw = np.random.default_rng(0)
    items, users = draw.normal(size=(400, 8)).astype(np.float32), draw.normal(size=(50, 8)).astype(np.float32)
    write_index(tmp_path / "half", np.concatenate([items[:200], 0 * items[200:]]), "flat", "fp32")
    recall = recall_of(tmp_path / "half", users, items, 10)
    best = np.argsort(-(users @ items.T), axis=1)[:, :10]
    assert recall == pytest.approx((best < 200).mean(), abs=0.005)
