"""Records of the result schema from a comparison's run files and from what ``run_kd`` returns."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.command import device_name
from benchmarks.schema import make_record

PARTS = ("valid", "test")
ALONE = "student alone"
ENDS = ("teacher", ALONE, "with its neighbours")  # rows of a comparison that are no method
COSTS = ("parameters", "bytes", "ms_per_user", "epochs", "seconds", "best_epoch")


def values_of(row: dict, parts: Iterable[str] = PARTS) -> dict[str, Any]:
    """A row's metrics as ``test_ndcg@10``, and its cost.

    Args:
        row: a run of compare, or a model of a ``run_kd`` result: ``test_result``, ``valid_result`` and costs.
        parts: which of ``valid`` and ``test`` are taken.
    """
    metrics = {f"{part}_{name}": value for part in parts for name, value in row.get(f"{part}_result", {}).items()}
    return metrics | {name: row[name] for name in COSTS if row.get(name) is not None}


def comparison_records(folder: str | Path, parts: Iterable[str] = PARTS) -> tuple[list[dict], dict]:
    """The records of one dataset's runs in a folder of ``compare``, and where they were measured.

    Args:
        folder: the comparison's folder; it holds runs of one dataset.
        parts: which of ``valid`` and ``test`` are taken.

    Raises:
        ValueError: there are no runs, or those of several datasets.
    """
    parts, datasets = tuple(parts), sorted(path for path in Path(folder).glob("runs/*") if path.is_dir())
    if len(datasets) != 1:
        raise ValueError(f"'{folder}' holds runs of {len(datasets)} datasets: a result file is of one")
    runs = [json.loads(file.read_text(encoding="utf-8")) for file in datasets[0].glob("seed-*/*.json")]
    runs = sorted((run for run in runs if "failed" not in run), key=_place)
    if not runs:
        raise ValueError(f"'{folder}' holds no run that has ended")
    records = [make_record(run["name"], run["seed"], values_of(run, parts) | _popularity(run)) for run in runs]
    speeds = datasets[0] / "speed.json"
    if speeds.is_file():  # milliseconds are taken of the first seed's models
        for name, value in json.loads(speeds.read_text(encoding="utf-8"))["ms_per_user"].items():
            next(record for record in records if record["name"] == name)["values"]["ms_per_user"] = value
    return records, {"device": device_name(), "versions": runs[0]["versions"]}


def _place(run: dict) -> tuple:
    """The order of a file's records: by seed, the teacher and the student alone first."""
    name = run["name"]
    return run["seed"], ENDS.index(name) if name in ENDS else len(ENDS), name


def _popularity(run: dict) -> dict[str, list]:
    """Recall of each fifth of the items by popularity; null where the fifth holds no test pair."""
    bins = run.get("popularity")
    if not bins:
        return {}
    recall = [one["hits"] / one["pairs"] if one["pairs"] else None for one in bins]
    return {"popularity_recall": recall} | {
        f"popularity_{name}": [one[name] for one in bins] for name in ("items", "pairs", "least", "most")
    }


def run_records(result: dict, name: str, seed: int, parts: Iterable[str] = PARTS) -> list[dict]:
    """The records of one ``run_kd`` result: each teacher, several as one, the student alone and the distilled one.

    Args:
        result: what ``run_kd`` returns and writes to ``result_file``.
        name: what the distilled student is called.
        seed: the run's seed.
        parts: which of ``valid`` and ``test`` are taken.
    """
    rows = {f"teacher {row['label']}": row for row in result.get("teachers", [])}
    names = {
        "teacher": "teacher", "ensemble": "ensemble", "with_neighbours": "with its neighbours",
        "student_alone": ALONE, "distilled": name,
    }  # fmt: skip
    rows |= {shown: result[key] for key, shown in names.items() if result.get(key)}
    parts = tuple(parts)
    records = [make_record(label, seed, values_of(row, parts)) for label, row in rows.items()]
    if advice := result.get("neighbours_worth"):
        values = {key: value for key, value in advice.items() if key != "metric"}
        records.append(make_record("neighbour advice", seed, values, {"metric": advice["metric"]}))
    return records
