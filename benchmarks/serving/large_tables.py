"""recommend for 1.5 million users on synthetic tables: time and peak memory.

    python -m benchmarks.serving.large_tables --result_file=benchmarks/serving/results/large-tables.json

The tables are full: vectors of 1,500,000 users and 100,000 items of width 20, and 30 seen items for each user. With
--ranked=100000 so many of the users, evenly spaced, are ranked, and the time for all is extrapolated from them. The
lists go to a .parquet or .csv file as those of recommend --all --output= do. What RecBole takes to read a dataset is
not in it.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.command import command_line, environment
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.serving.checks import sample
from recbole_kd.serving.output import open_table
from recbole_kd.serving.recommendations import frame_of
from recbole_kd.serving.recommender import batches, rank
from recbole_kd.serving.scorers import Queries, VectorScorer, as_ids
from recbole_kd.serving.user_items import UserItems


def tables(options: argparse.Namespace) -> tuple[VectorScorer, UserItems, list[np.ndarray]]:
    """Vectors, seen items, and tokens of both sides."""
    draw = torch.Generator().manual_seed(0)
    sizes = (options.users + 1, options.items + 1)
    scorer = VectorScorer(*(torch.randn(size, options.width, generator=draw) for size in sizes))
    items = np.random.default_rng(0).integers(1, sizes[1], (sizes[0], options.seen))
    items.sort(axis=1)
    starts = np.arange(sizes[0] + 1, dtype=np.int64) * options.seen
    tokens = [
        np.array([f"{side}{row}" for row in range(size)], dtype=object) for side, size in zip("ui", sizes, strict=True)
    ]
    return scorer, UserItems(starts, items.reshape(-1)), tokens


def measure(options: argparse.Namespace, folder: Path) -> dict:
    """Seconds of the wall and of the processor, and peak memory."""
    scorer, hidden, tokens = tables(options)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    users = sample(np.arange(1, options.users + 1), options.ranked or options.users)
    began, processor = time.perf_counter(), time.process_time()
    queries = (Queries(as_ids(subset)) for subset in batches(users, scorer.rows, "user", None))
    file = folder / f"top.{options.suffix}"
    with open_table(file) as write:
        for ranked in rank(scorer, queries, options.k, np.arange(1, options.items + 1), hidden):
            write(frame_of(ranked, *tokens, ("user", "item")))
    seconds, processor = time.perf_counter() - began, time.process_time() - processor
    share = options.users / len(users)
    return {
        "ranked": len(users),
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),
        "minutes_for_all": round(seconds * share / 60, 1),
        "processor_minutes_for_all": round(processor * share / 60, 1),
        "tables_megabytes": before,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "file_megabytes": file.stat().st_size >> 20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = {"users": 1_500_000, "items": 100_000, "width": 20, "seen": 30, "k": 10, "ranked": 0}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--suffix", choices=("parquet", "csv"), default="parquet")
    parser.add_argument("--result_file", required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        values = measure(options, Path(folder))
    print(values)
    words = [f"--ranked={options.ranked}", f"--suffix={options.suffix}"]
    command = command_line("benchmarks.serving.large_tables", words)
    settings = {name: getattr(options, name) for name in (*sizes, "suffix")}
    record = make_record("recommend --all", None, values)
    write_result(options.result_file, make_result("recommend", [command], settings, [record], environment()))


if __name__ == "__main__":
    main()
