"""Reads exports where neither torch nor RecBole nor recbole_kd is installed; clean_environment.py runs it there.

    python clean_reader.py FOLDER

The folder holds ``bundle``, ``safetensors``, ``onnx`` and ``faiss``, and ``expected.json``: for some users the best
items and their scores by the model. Prints JSON: how many users have the same list by each reader, ties aside.
"""

import importlib.util
import json
import sys
from pathlib import Path

import faiss
import numpy as np
import onnxruntime

TOLERANCE = 1e-4  # of a user's largest score
folder = Path(sys.argv[1])
sys.path.insert(0, str(folder / "bundle"))
from reader import Recommender

expected = json.loads((folder / "expected.json").read_text())
users, k = list(expected), len(next(iter(expected.values())))


def count_same(lists):
    """How many users have the expected list: the same items, or others of the same scores."""
    same = 0
    for user, pairs in zip(users, lists, strict=True):
        items, scores = zip(*pairs, strict=True)
        wanted_items, wanted = zip(*expected[user], strict=True)
        tolerance = TOLERANCE * max(map(abs, wanted))
        equal = np.abs(np.array(scores) - np.array(wanted)) <= tolerance
        apart = np.abs(np.diff(wanted)).min() > 2 * tolerance
        same += bool(equal.all() and len(set(items)) == k and (items == wanted_items or not apart))
    return same


def by_graph():
    session = onnxruntime.InferenceSession(str(folder / "onnx" / "model.onnx"))
    names, tokens = ((folder / "onnx" / f"{side}.txt").read_text().split("\n")[:-1] for side in ("users", "items"))
    rows = np.array([names.index(user) for user in users])
    items, scores = session.run(["items", "scores"], {"users": rows, "k": np.array([k])})
    return [
        [(tokens[item], float(score)) for item, score in zip(*row, strict=True)]
        for row in zip(items, scores, strict=True)
    ]


def by_index():
    """The index does not leave out seen items: as many more are asked for, and the seen ones are left out here."""
    reader = Recommender(folder / "faiss")
    index = faiss.read_index(str(folder / "faiss" / "index.faiss"))
    rows = np.array([reader.user_rows[user] for user in users])
    longest = int((reader.seen_starts[rows + 1] - reader.seen_starts[rows]).max())
    scores, items = index.search(reader.user_vectors[rows], min(k + longest, index.ntotal))
    lists = []
    for row, listed, values in zip(rows, items, scores, strict=True):
        seen = set(reader.seen_items[reader.seen_starts[row] : reader.seen_starts[row + 1]].tolist())
        left = [(reader.items[i], float(s)) for i, s in zip(listed.tolist(), values, strict=True) if i not in seen]
        lists.append(left[:k])
    return lists


print(
    json.dumps(
        {
            "users": len(users),
            "k": k,
            "absent": [name for name in ("torch", "recbole", "recbole_kd") if importlib.util.find_spec(name) is None],
            "numpy": count_same(Recommender(folder / "bundle").recommend_batch(users, k)),
            "safetensors": count_same(Recommender(folder / "safetensors").recommend_batch(users, k)),
            "onnxruntime": count_same(by_graph()),
            "faiss": count_same(by_index()),
            "versions": {module.__name__: module.__version__ for module in (np, onnxruntime, faiss)},
        }
    )
)
