"""The FastAPI example over a bundle, where FastAPI and httpx are installed."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from recbole_kd.serving import reader

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "serve_fastapi.py"
USERS, ITEMS = ["196", "a b/c", "new york"], [f"i{number}" for number in range(12)]


def write_bundle(folder):
    """A bundle of three users and twelve items, whose scores are 100 * user + item."""
    users = np.array([[0, 1], [100, 1], [200, 1]], dtype=np.float32)
    items = np.stack([np.ones(12), np.arange(12)], axis=1).astype(np.float32)
    np.savez(folder / "vectors.npz", user_vectors=users, item_vectors=items)
    np.savez(folder / "seen.npz", seen_starts=np.array([0, 2, 2, 2]), seen_items=np.array([10, 11], dtype=np.int32))
    for name, tokens in (("users", USERS), ("items", ITEMS)):
        (folder / f"{name}.txt").write_text("".join(f"{token}\n" for token in tokens))
    (folder / "model.json").write_text(json.dumps({"model": "BPR", "dataset": "tiny"}))
    (folder / "reader.py").write_bytes(Path(reader.__file__).read_bytes())


@pytest.fixture
def client(tmp_path, monkeypatch):
    pytest.importorskip("fastapi")
    pytest.importorskip("httpx")
    from fastapi.testclient import TestClient

    write_bundle(tmp_path)
    monkeypatch.setenv("BUNDLE", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "reader", raising=False)
    spec = importlib.util.spec_from_file_location("serve_fastapi", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "serve_fastapi", module)
    path = list(sys.path)
    spec.loader.exec_module(module)
    yield TestClient(module.app)
    sys.path[:] = path
    sys.modules.pop("reader", None)


def test_the_best_items_of_a_user_come_without_the_seen_ones(client):
    assert client.get("/recommend/196?k=2").json() == [["i9", 9.0], ["i8", 8.0]]
    assert client.get("/recommend/196?k=2&exclude_seen=false").json() == [["i11", 11.0], ["i10", 10.0]]
    assert client.get("/recommend/a b/c?k=1").json() == [["i11", 111.0]]
    assert client.get("/recommend/new%20york?k=1").json() == [["i11", 211.0]]
    assert len(client.get("/recommend/196").json()) == 10


def test_several_users_at_once(client):
    answer = client.post("/recommend", json={"users": ["196", "a b/c"], "k": 1})
    assert answer.json() == {"196": [["i9", 9.0]], "a b/c": [["i11", 111.0]]}


def test_similar_items(client):
    (first, cosine), *others = client.get("/similar/i5?k=11").json()
    assert first == "i6"
    assert cosine == pytest.approx(31 / np.sqrt(26 * 37), rel=1e-6)
    assert "i5" not in [item for item, _ in others]


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/recommend/nobody", 404, "unknown user 'nobody'"),
        ("/similar/nothing", 404, "unknown item 'nothing'"),
        ("/recommend/196?k=0", 422, "greater than or equal to 1"),
        ("/recommend/196?k=ten", 422, "valid integer"),
    ],
)
def test_wrong_requests_are_answered_with_a_reason(path, status, message, client):
    answer = client.get(path)
    assert answer.status_code == status
    assert message in answer.text


def test_a_batch_with_an_unknown_user_is_refused(client):
    assert client.post("/recommend", json={"users": ["196", "x"]}).status_code == 404
    assert client.post("/recommend", json={"users": []}).status_code == 422


def test_health(client):
    assert client.get("/health").json() == {"model": "BPR", "users": 3, "items": 12}


def test_the_example_is_short_and_needs_nothing_of_ours():
    lines = EXAMPLE.read_text().splitlines()
    assert len(lines) < 60
    imports = [line for line in lines if line.startswith(("import ", "from "))]
    assert not [line for line in imports if any(name in line for name in ("recbole", "torch"))]
