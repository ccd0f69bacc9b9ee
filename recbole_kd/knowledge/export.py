"""Writing what a teacher knows as teacher files: its lists for training rows with confidences, and its item vectors."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recbole_kd.backbone.capabilities import Capability
from recbole_kd.backbone.training_rows import row_names
from recbole_kd.data.split import Split
from recbole_kd.errors import KDError
from recbole_kd.io import atomic_write
from recbole_kd.ops.blocks import row_blocks


def write_row_lists(file: Path | str, knowledge: Any, data: Split, k: int) -> None:
    """Write a teacher's lists for the training rows of a sequence student, without the rows' targets.

    Args:
        file: the .npz to write, with the arrays ``user``, ``length``, ``item``, ``score`` and, of a teacher that scores
            all items, ``confidence``: the probability of the item under the softmax of these scores.
        knowledge: what is read of the teacher, for a sequence student.
        data: the split of the student.
        k: items of each list.

    Raises:
        KDError: the knowledge is about users, or its lists are shorter.
    """
    if not knowledge.per_row:
        raise KDError("lists of training rows are written for a sequence student: this split has users")
    blocks = row_blocks(knowledge.n_queries, knowledge.n_items, knowledge.device)
    parts = [_lists_of(knowledge, queries[queries > 0], k) for queries in blocks]
    rows, users_items = row_names(data.train._dataset), data.tokens
    result = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    queries, items = result.pop("query"), result.pop("item")
    arrays = {
        "user": users_items[0][rows.users[queries]].astype(str),
        "length": rows.lengths[queries],
        "item": users_items[1][items].astype(str),
        **result,
    }
    _write(file, arrays)


def write_item_vectors(file: Path | str, knowledge: Any, data: Split) -> None:
    """Write a teacher's vectors of all items, as ``item_tokens`` and ``item_vectors`` in an .npz.

    Args:
        file: the .npz to write.
        knowledge: what is read of the teacher.
        data: the split of the student.

    Raises:
        KDError: the teacher has no item vectors.
    """
    if Capability.ITEM_VECTORS not in knowledge.capabilities:
        raise KDError("this teacher has no item vectors")
    vectors = knowledge.factors("item")[1:].detach().float().cpu().numpy()
    _write(file, {"item_tokens": data.tokens[1][1:].astype(str), "item_vectors": vectors})


def _lists_of(knowledge: Any, queries: torch.Tensor, k: int) -> dict[str, np.ndarray]:
    """The lists of some rows as columns: query, item, score, and confidence."""
    top = knowledge.top_items_of(queries, k)
    columns = {"query": queries[:, None].expand_as(top.ids), "item": top.ids.long(), "score": top.scores}
    if Capability.ALL_SCORES in knowledge.capabilities:
        total = knowledge.score_all(queries).detach().float()[:, 1:].logsumexp(1, keepdim=True)
        columns["confidence"] = (top.scores - total).exp()
    filled = top.ids > 0
    return {name: column[filled].cpu().numpy() for name, column in columns.items()}


def _write(file: Path | str, arrays: dict[str, np.ndarray]) -> None:
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)  # type: ignore[arg-type]
    atomic_write(file, content.getvalue())
