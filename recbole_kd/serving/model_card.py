"""What an export says about itself: model.json for programs, README.md for people."""

import hashlib
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import recbole
import torch

import recbole_kd
from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.data.fingerprint import sha256_of
from recbole_kd.serving.recommender import Recommender

VERSION = 1  # of the folder's form
USAGE = {
    "bundle": """```python
from reader import Recommender  # numpy alone

recommender = Recommender(".")
recommender.recommend("{user}", k=10)
recommender.similar_items("{item}", k=10)
```""",
    "users": """```python
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
users = open("users.txt").read().split("\\n")[:-1]
items = open("items.txt").read().split("\\n")[:-1]
rows, scores = session.run(["items", "scores"], {{"users": [users.index("{user}")]{k}}})
[items[row] for row in rows[0]]
```""",
    "sequences": """```python
import numpy as np, onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
items = open("items.txt").read().split("\\n")[:-1]
sequence = np.full((1, {length}), -1)  # rows of items.txt, the latest one last, -1 behind it
sequence[0, :1] = [items.index("{item}")]
rows, scores = session.run(["items", "scores"], {{"sequences": sequence}})
[items[row] for row in rows[0]]
```""",
    "faiss": """```python
import faiss
from reader import Recommender

recommender, index = Recommender("."), faiss.read_index("index.faiss")
row = recommender.user_rows["{user}"]
scores, rows = index.search(recommender.user_vectors[row : row + 1], 10)  # seen items are not left out
[recommender.items[item] for item in rows[0]]
```""",
}


def describe(recommender: Recommender, kind: str, precision: str, more: dict[str, Any]) -> dict[str, Any]:
    """The content of model.json.

    Args:
        recommender: the model.
        kind: ``bundle``, ``onnx`` or ``faiss``.
        precision: of the vectors.
        more: further entries, such as the metrics and the licences that the user gives.
    """
    path = Path(recommender.model_file)
    return {
        "kind": f"recbole_kd.{kind}",
        "version": VERSION,
        "model": recommender.name,
        "dataset": str(recommender.config["dataset"]),
        "users": len(recommender.users),
        "items": len(recommender.items),
        "precision": precision,
        "seen": "training and validation items",
        "checkpoint": {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        "fingerprint": _fingerprint(recommender),
        **({"changed_data": recommender.config["changed_data"]} if recommender.config["changed_data"] else {}),
        **more,
        "versions": {
            "recbole_kd": recbole_kd.__version__,
            "recbole": recbole.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def _fingerprint(recommender: Recommender) -> dict[str, str]:
    """The fingerprint of the training in the checkpoint; of a checkpoint of plain RecBole the vocabulary's."""
    written = read_checkpoint(recommender.model_file).get("fingerprint")
    if isinstance(written, dict):
        return {str(name): str(value) for name, value in written.items()}
    sides = (recommender.users.tokens.astype(str), recommender.items.tokens.astype(str))
    return {"vocabulary": sha256_of(*sides)}


def write_description(folder: Path, about: dict[str, Any], usage: str) -> None:
    """Write model.json and README.md; sizes of the other files are added.

    Args:
        folder: an export that is complete but for these.
        about: as of ``describe``.
        usage: a code example for the card.
    """
    files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    about = {**about, "files": files, "bytes": sum(files.values())}
    (folder / "model.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card(about, usage), encoding="utf-8")


def card(about: dict[str, Any], usage: str) -> str:
    """The model card in Markdown.

    Args:
        about: the content of model.json.
        usage: a code example.
    """
    rows = [
        ("model", about["model"]),
        ("dataset", f"{about['dataset']}: {about['users']:,} users, {about['items']:,} items"),
        ("precision", about["precision"]),
        ("bytes", f"{about['bytes']:,}"),
        ("licence of the model", about.get("licence") or "not given"),
        ("licence of the data", about.get("data_licence") or "not given"),
        ("checkpoint", f"{about['checkpoint']['file']}, SHA-256 {about['checkpoint']['sha256'][:16]}…"),
    ]
    lines = [
        "---",
        f"license: {json.dumps(about.get('licence') or 'unknown')}",
        "tags: [recommendation, recbole]",
        "---",
    ]
    lines += [f"# {about['model']} on {about['dataset']}", "", "Recommends items to users. Exported by recbole_kd.", ""]
    lines += ["|  |  |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), ""]
    lines += ["## Use", "", usage, "", "## Check", "", _check_text(about), ""]
    if about.get("precisions"):
        lines += ["## Precision", "", "| precision | bytes of the vectors | ndcg@10 on validation |", "|---|---|---|"]
        lines += [_precision_line(row) for row in about["precisions"]] + [""]
    if about.get("metrics"):
        lines += ["## Metrics", "", "| metric | value |", "|---|---|"]
        lines += [f"| {name} | {value} |" for name, value in about["metrics"].items()] + [""]
    lines += [
        "## Limits",
        "",
        "The model knows the users and items of its training data alone. Scores order the items of one user; they are "
        "no probabilities. Training and validation items of a user are left out.",
    ]
    return "\n".join(lines) + "\n"


def _precision_line(row: dict[str, Any]) -> str:
    ndcg = "not known" if row["ndcg"] is None else f"{row['ndcg']:.4f}"
    return f"| {row['name']} | {row['bytes']:,} | {ndcg} |"


def _check_text(about: dict[str, Any]) -> str:
    check = about["check"]
    text = (
        f"The top {check['k']} of {check['same']:,} of {check['users']:,} users is that of the model, ties aside; the "
        f"mean overlap is {check['overlap']:.4f}."
    )
    if check.get("ndcg@10") is not None:
        text += f" ndcg@10 on validation: {check['ndcg@10']:.4f}, in fp32 {check['ndcg@10_fp32']:.4f}."
    if check.get("recall") is not None:
        text += f" The index lists {check['recall']:.4f} of the exact top {check['k']}."
    return text
