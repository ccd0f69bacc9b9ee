"""Exported folders, read in processes that have neither torch nor RecBole nor recbole_kd."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from recbole_kd import export, recommend
from recbole_kd.errors import KDError
from recbole_kd.serving import checks, exporter, reader
from recbole_kd.serving.checks import compare_lists, ndcg, sample, validation_ndcg
from recbole_kd.serving.precision import decode, encode
from recbole_kd.serving.user_items import UserItems
from tests.serving.conftest_serving import assert_same_list

# imports of anything but numpy and the standard library fail in here
STRANGER = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "recbole", "recbole_kd", "scipy", "pandas", "safetensors"):
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocked())
folder, k = sys.argv[1], int(sys.argv[2])
sys.path.insert(0, folder)
import json
from reader import Recommender
recommender = Recommender(folder)
lists = recommender.recommend_batch(recommender.users, k)
one = recommender.recommend(recommender.users[0], k)
similar = recommender.similar_items(recommender.items[3], k)
print(json.dumps({"lists": dict(zip(recommender.users, lists)), "one": one, "similar": similar}))
"""


def read_by_a_stranger(folder, k=5):
    run = subprocess.run(
        [sys.executable, "-I", "-c", STRANGER, str(folder), str(k)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("container", ["bundle", "safetensors"])
@pytest.mark.parametrize("name", ["BPR", "LightGCN", "SimpleX", "SASRec"])
def test_numpy_alone_gives_the_models_lists(name, container, recommender, tmp_path):
    if container == "safetensors":
        pytest.importorskip("safetensors")
    model = recommender(name)
    report = export(model, tmp_path / "bundle", format=container, k=5)
    assert report.agreement.same == report.agreement.users > 0
    answer = read_by_a_stranger(tmp_path / "bundle")
    table = recommend(model, None, 5)
    assert set(answer["lists"]) == set(table["user"])
    for user, rows in table.groupby("user"):
        items, scores = zip(*answer["lists"][user], strict=True)
        assert_same_list(items, scores, rows["item"], rows["score"])
    first = answer["lists"][next(iter(answer["lists"]))]  # a product of one row rounds otherwise than that of many
    assert_same_list(*zip(*answer["one"], strict=True), *zip(*first, strict=True))
    similar = model.items.ids([item for item, _ in answer["similar"]])
    units = torch.nn.functional.normalize(model.vectors().items, dim=1)
    wanted = (units @ units[4]).index_fill(0, torch.tensor([0, 4]), -2).topk(5).values
    torch.testing.assert_close((units[similar] @ units[4]), wanted, rtol=1e-4, atol=1e-5)


def test_the_reader_is_short_and_needs_numpy_alone():
    lines = Path(reader.__file__).read_text().splitlines()
    assert len(lines) < 100
    code = ast.parse(Path(reader.__file__).read_text())
    imports = [ast.unparse(node) for node in ast.walk(code) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert imports == ["import json", "from pathlib import Path", "import numpy as np"]


def test_the_reader_names_an_unknown_token(recommender, tmp_path):
    export(recommender("BPR"), tmp_path / "bundle")
    bundle = reader.Recommender(tmp_path / "bundle")
    with pytest.raises(KeyError, match="unknown user 'nobody'"):
        bundle.recommend("nobody")
    assert len(bundle.recommend("u1", 10_000, exclude_seen=False)) == len(bundle.items)


def test_what_an_export_says_of_itself(recommender, tmp_path):
    model = recommender("BPR")
    export(
        model, tmp_path / "bundle", metrics={"ndcg@10": 0.25}, licence="MIT", data_licence="CC BY 4.0", precision="int8"
    )
    about = json.loads((tmp_path / "bundle" / "model.json").read_text())
    assert (about["model"], about["dataset"], about["width"], about["precision"]) == ("BPR", "uneven", 8, "int8")
    assert about["metrics"] == {"ndcg@10": 0.25}
    assert (about["licence"], about["data_licence"]) == ("MIT", "CC BY 4.0")
    assert about["check"]["users"] == len(model.users)
    assert [(row["name"], row["bytes"]) for row in about["precisions"]] == [("fp32", 92 * 32), ("int8", 92 * 12)]
    assert set(about["files"]) == {"vectors.npz", "seen.npz", "users.txt", "items.txt", "reader.py"}
    assert about["bytes"] == sum((tmp_path / "bundle" / name).stat().st_size for name in about["files"])
    card = (tmp_path / "bundle" / "README.md").read_text()
    assert "MIT" in card
    assert "| ndcg@10 | 0.25 |" in card
    assert "| int8 | 1,104 | 0." in card
    assert 'recommender.recommend("u0", k=10)' in card


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_lower_precision_is_measured(precision, recommender, tmp_path):
    model = recommender("BPR")
    report = export(model, tmp_path / "bundle", precision=precision)
    assert 0.9 < report.agreement.overlap <= 1
    assert abs(report.ndcg - report.ndcg_fp32) < 0.05
    answer = read_by_a_stranger(tmp_path / "bundle")
    exact = recommend(model, ["u1"], 5)
    np.testing.assert_allclose([score for _, score in answer["lists"]["u1"]], exact["score"], rtol=0.05, atol=0.01)


def test_int8_is_off_by_half_a_step_of_its_row():
    table = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    table[3] = 0
    arrays = encode(table, "int8", "item")
    steps = np.abs(table).max(axis=1, keepdims=True) / 127
    assert arrays["item_vectors"].dtype == np.int8
    assert (np.abs(decode(arrays, "item") - table) <= steps / 2 + 1e-6).all()
    np.testing.assert_allclose(decode(encode(table, "fp16", "item"), "item"), table, rtol=1e-3)
    np.testing.assert_array_equal(decode(encode(table, "fp32", "item"), "item"), table)


def test_ndcg_by_hand():
    wanted = UserItems(np.array([0, 2, 3]), np.array([4, 9, 1]))
    gains = ndcg(np.array([[4, 7, 9], [5, 1, 2]]), wanted)
    np.testing.assert_allclose(gains, [(1 + 1 / 2) / (1 + 1 / np.log2(3)), 1 / np.log2(3)])


def test_ndcg_on_validation_is_that_of_recbole(recommender):
    model = recommender("BPR")
    vectors = model.vectors()
    measured = validation_ndcg(model, vectors.users.numpy()[1:], vectors.items.numpy()[1:], vectors.user_ids)
    from recbole.trainer import Trainer

    trainer = Trainer(model.config, model.model)
    trainer.eval_collector.data_collect(model.loaders[0])
    wanted = trainer.evaluate(model.loaders[1], load_best_model=False)["ndcg@10"]
    assert measured == pytest.approx(wanted, abs=6e-5)  # RecBole rounds to four places


def test_the_check_sees_a_wrong_list(recommender):
    model = recommender("BPR")
    users, hidden = np.array([1, 2, 3]), model.interactions("seen")
    table = recommend(model, model.users.tokens[users].tolist(), 3)
    right = model.items.ids(table["item"].tolist()).reshape(3, 3)
    wrong = right.copy()
    wrong[0, 2] = np.setdiff1d(np.arange(1, model.n_items), right[0])[-1]
    wrong[1, 1] = wrong[1, 0]
    rows = {user: row for row, user in enumerate(users)}
    for lists, same in ((right, 3), (right[:, ::-1], 3), (wrong, 1)):
        agreement = compare_lists(model, users, 3, lambda some, lists=lists: lists[[rows[u] for u in some]], hidden)
        assert agreement.same == same


def test_an_export_that_is_not_the_models_leaves_nothing(recommender, tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "compare_lists", lambda *_: checks.Agreement(9, 10, 8, 0.99))
    with pytest.raises(KDError, match="does not give the model's top 10 for 1 of 9 users"):
        export(recommender("BPR"), tmp_path / "bundle")
    assert os.listdir(tmp_path) == []


def test_only_an_earlier_export_is_replaced(recommender, tmp_path):
    model, folder = recommender("BPR"), tmp_path / "bundle"
    export(model, folder)
    with pytest.raises(KDError, match=r"exists.*--overwrite"):
        export(model, folder)
    export(model, folder, precision="int8", overwrite=True)
    assert json.loads((folder / "model.json").read_text())["precision"] == "int8"
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(KDError, match=r"a folder without model\.json"):
        export(model, other, overwrite=True)
    assert (other / "thesis.txt").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["bundle", "other"]


REFUSALS = [
    ("BPR", {"format": "onxx"}, "format='onxx' is unknown.*did you mean 'onnx'"),
    ("BPR", {"precision": "int4"}, "precision='int4' is unknown: it takes one of fp32, fp16, int8, pq"),
    ("BPR", {"index": "hnsw"}, "index=hnsw needs format=faiss"),
    ("BPR", {"format": "faiss", "index": "hnsw", "precision": "pq"}, "index=hnsw has no precision=pq"),
    ("BPR", {"pq_bytes": 4}, "pq_bytes=4 needs precision=pq, and not fp32"),
    ("BPR", {"precision": "pq", "pq_bytes": 0}, "pq_bytes=0 is out of range"),
    ("MultiVAE", {}, "MultiVAE has no vectors.*format=onnx exports its own forward pass"),
    ("FPMC", {}, "FPMC cannot be exported: it reads a sequence and its user together.*recommend --all"),
    ("NeuMF", {}, "NeuMF cannot be exported: it scores pairs"),
    ("EASE", {}, "EASE cannot be exported: it computes its scores outside torch"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "keys", "message"), REFUSALS)
def test_refused(name, keys, message, recommender, tmp_path):
    with pytest.raises(KDError, match=message):
        export(recommender(name), tmp_path / "bundle", **keys)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("keys", "package"), [("onnx", "onnx"), ("faiss", "faiss-cpu"), ("safetensors", "safetensors")]
)
def test_a_missing_package_is_refused_with_the_line_for_pip(keys, package, monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(KDError, match=f"format={keys} needs a package.*pip install {package}"):
        export("no-such.pth", tmp_path / "bundle", format=keys)


def test_a_sample_is_evenly_spaced():
    assert sample(np.arange(5), 9).tolist() == [0, 1, 2, 3, 4]
    assert len(np.unique(sample(np.arange(5000), 1000))) == 1000
