"""What fewer bytes cost: bytes, milliseconds and accuracy of an export at each precision."""

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from recbole_kd.errors import KDError
from recbole_kd.serving.bundle import Tables
from recbole_kd.serving.checks import validation_ndcg
from recbole_kd.serving.precision import decode, encode
from recbole_kd.serving.recommender import Recommender
from recbole_kd.serving.vector_export import Search

METRIC = "ndcg@10"
BATCH, ROUNDS = 256, 7
SCORES = 25_000_000  # of a batch at most


@dataclass(frozen=True)
class PrecisionRow:
    """A row of the table.

    Attributes:
        name: the precision, or a model of the run.
        bytes: of the vectors of users and items; of a model of the run its parameters.
        ms: milliseconds for a user's list, as of ``milliseconds``; None where it is not known.
        ndcg: ndcg@10 on validation; None where it is not known.
    """

    name: str
    bytes: int | None
    ms: float | None
    ndcg: float | None

    def as_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


def precision_row(
    name: str,
    vectors: dict[str, np.ndarray],
    ndcg: float | None,
    search: Search,
    tables: Tables,
) -> PrecisionRow:
    """Measure an export.

    Args:
        name: the precision.
        vectors: as of ``encode``.
        ndcg: as of ``validation_accuracy``.
        search: of the export.
        tables: what was exported.
    """
    ms = milliseconds(search, len(tables.users), len(tables.items))
    return PrecisionRow(name, sum(array.nbytes for array in vectors.values()), ms, ndcg)


def milliseconds(search: Search, n_users: int, n_items: int) -> float:
    """How long a search takes for one user of a batch: the median of some rounds, after one that is not counted.

    Args:
        search: takes rows of users; 256 of them, or fewer where there are more than about 100,000 items.
        n_users, n_items: how many users and items there are.
    """
    rows = np.arange(min(BATCH, n_users, max(1, SCORES // max(1, n_items))), dtype=np.int64)
    times = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        search(rows)
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times[1:]) / len(rows)


def validation_accuracy(
    recommender: Recommender,
    tables: Tables,
    vectors: dict[str, np.ndarray],
    precision: str,
    pq_bytes: int | None = None,
) -> float | None:
    """ndcg@10 on validation of encoded vectors; a sequence ends before its validation item.

    Args:
        recommender: the model.
        tables: its tables.
        vectors: the same as arrays, as of ``encode``.
        precision, pq_bytes: with which they were encoded.

    Returns:
        The metric; None where the data changed since the training, since the model may have been trained on validation
        pairs of today, and where nobody has a validation item.
    """
    if recommender.config["changed_data"]:
        return None
    users, user_ids = vectors, tables.user_ids
    if recommender.is_sequential:
        earlier = recommender.vectors("train")
        assert earlier is not None
        user_ids = earlier.user_ids
        users = encode(earlier.users.float().cpu().numpy()[user_ids], precision, "user", pq_bytes)
    return validation_ndcg(recommender, decode(users, "user"), decode(vectors, "item"), user_ids)


def run_rows(content: Any) -> list[PrecisionRow]:
    """The models of a run: teacher, student alone and distilled student, from the result_file of the run.

    Args:
        content: the content of the file; anything else has no rows.
    """
    if not isinstance(content, Mapping) or "distilled" not in content:
        return []
    names = {"teacher": "teacher", "student_alone": "student alone", "distilled": "distilled"}
    rows = [(name, content[key]) for key, name in names.items() if key in content]
    return [
        PrecisionRow(name, row.get("bytes"), row.get("ms_per_user"), (row.get("valid_result") or {}).get(METRIC))
        for name, row in rows
    ]


def precision_table(rows: Sequence[PrecisionRow]) -> str:
    """The rows as text; each change of ndcg@10 is that from fp32."""
    exact = next((row.ndcg for row in rows if row.name == "fp32"), None)
    lines = [
        [
            row.name,
            "" if row.bytes is None else f"{row.bytes:,}",
            "" if row.ms is None else f"{row.ms:.4f}",
            "" if row.ndcg is None else f"{row.ndcg:.4f}",
            "" if row.ndcg is None or not exact or row.name == "fp32" else f"{row.ndcg / exact - 1:+.2%}",
        ]
        for row in rows
    ]
    headers = ["", "bytes", "ms/user", f"{METRIC} on validation", "from fp32"]
    return tabulate(lines, headers, disable_numparse=True, colalign=("left", *["right"] * (len(headers) - 1)))


def read_result(file: str) -> Any:
    """The content of a JSON file. Raises KDError."""
    try:
        return json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise KDError(f"metrics: '{file}' is no JSON file of names and numbers ({error})") from error
