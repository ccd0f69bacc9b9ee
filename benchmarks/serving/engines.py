"""Teacher, student and its smaller forms by numpy, onnxruntime and faiss: milliseconds and bytes by catalogue.

    python -m benchmarks.serving.engines --result_file=benchmarks/serving/results/engines.json

Random vectors of width 200 (teacher) and 20 (student), the ten best items of a user, one query at a time and 256
together. Milliseconds are a user's, of the processor, the best of some rounds, one thread. Where 256 users have more
than 25 million scores they are ranked in blocks. Bytes are those of the item vectors, of an index those of its file.
numpy ranks float32 whatever an export keeps, so that it has one row for the student. hnsw is built up to 100,000 items.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from tabulate import tabulate

from benchmarks.command import command_line, environment
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.serving.bundle import Tables
from recbole_kd.serving.faiss_index import open_index, recall_of, write_index
from recbole_kd.serving.onnx_vectors import open_graph, write_vector_graph
from recbole_kd.serving.user_items import UserItems

USERS, K, SCORES, LARGEST_HNSW = 1000, 10, 25_000_000, 100_000
WIDTHS = {"teacher": 200, "student": 20}
Search = Callable[[np.ndarray], object]
Row = tuple[str, str, Search, int, float | None]  # model, engine, search, bytes, recall


def numpy_search(tables: Tables) -> Search:
    def search(rows: np.ndarray) -> object:
        scores = tables.users[rows] @ tables.items.T
        best = np.argpartition(-scores, K - 1, axis=1)[:, :K]
        return np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1), axis=1)

    return search


def graph_search(path: Path, tables: Tables, precision: str) -> tuple[Search, int]:
    vectors = tables.encoded(precision)
    write_vector_graph(path, tables, vectors)
    run = open_graph(path)
    nbytes = sum(array.nbytes for name, array in vectors.items() if name.startswith("item"))
    return lambda rows: run({"users": rows, "k": np.array([K])}), nbytes


def index_search(path: Path, tables: Tables, index: str, precision: str) -> tuple[Search, int, float]:
    write_index(path, tables.items, index, precision)
    searcher = open_index(path)
    recall = recall_of(path, tables.users[:100], tables.items, K)
    return lambda rows: searcher.search(tables.users[rows], K), path.stat().st_size, recall


def rows_of(name: str, tables: Tables, folder: Path) -> Iterator[Row]:
    """Every engine of a model."""
    yield name, "numpy", numpy_search(tables), tables.items.nbytes, None
    precisions = ("fp32", "int8", "pq") if name == "student" else ("fp32",)
    for precision in precisions:
        label = name if precision == "fp32" else f"{name}, {precision}"
        yield label, "onnxruntime", *graph_search(folder / "model.onnx", tables, precision), None
        yield label, "faiss flat", *index_search(folder / "index", tables, "flat", precision)
    if name == "student" and len(tables.items) <= LARGEST_HNSW:
        yield name, "faiss hnsw", *index_search(folder / "index", tables, "hnsw", "fp32")


def milliseconds(search: Search, batch: int, items: int, rounds: int) -> float:
    """Processor milliseconds for a user of a batch."""
    step, times = max(1, SCORES // items), []
    draw = np.random.default_rng(0)
    for _ in range(rounds + 1):
        rows = draw.integers(USERS, size=batch)
        began = time.process_time()
        for first in range(0, batch, step):
            search(rows[first : first + step])
        times.append(time.process_time() - began)
    return 1000 * min(times[1:]) / batch


def measure(items: int, rounds: int, folder: Path) -> Iterator[tuple[str, str, dict]]:
    """The figures of a catalogue."""
    import faiss

    faiss.omp_set_num_threads(1)
    draw = np.random.default_rng(0)
    for name, width in WIDTHS.items():
        users, table = (draw.normal(size=(n, width)).astype(np.float32) for n in (USERS, items))
        tables = Tables(users, table, np.arange(1, USERS + 1), UserItems.empty(USERS))
        for label, engine, search, nbytes, recall in rows_of(name, tables, folder):
            times = {f"ms_{batch}": round(milliseconds(search, batch, items, rounds), 4) for batch in (1, 256)}
            yield label, engine, {**times, "bytes": nbytes, "recall": recall}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--result_file", required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    records, lines = [], []
    for items in options.items:
        with tempfile.TemporaryDirectory() as folder:
            for label, engine, values in measure(items, options.rounds, Path(folder)):
                records.append(make_record(label, None, values, {"items": items, "engine": engine}))
                lines.append([f"{items:,}", label, engine, *values.values()])
                print(*lines[-1], flush=True)
    print(tabulate(lines, ["items", "model", "engine", "ms, 1", "ms, 256", "bytes", "recall"], tablefmt="github"))
    command = command_line("benchmarks.serving.engines", [f"--rounds={options.rounds}"])
    settings = {"items": options.items, "widths": WIDTHS, "k": K}
    write_result(options.result_file, make_result("engines", [command], settings, records, environment()))


if __name__ == "__main__":
    main()
