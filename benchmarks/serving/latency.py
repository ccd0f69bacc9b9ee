"""What a large model costs to serve beside a small one: milliseconds a user and bytes, by the size of the catalogue.

    python -m benchmarks.serving.latency --result_file=benchmarks/serving/results/serving.json

Models are random factors: to rank the whole catalogue for some users is a product and the best k of each row, whatever
the factors are. Models take turns, medians over the rounds, one thread. An ensemble is so many teachers, each
ranked with once.
"""

import argparse
import platform
import statistics
import time

import torch
from tabulate import tabulate

from benchmarks.command import command_line, environment
from benchmarks.schema import make_record, make_result, write_result


def seconds(tables: dict[str, tuple], users: torch.Tensor) -> dict[str, float]:
    """How long each of the models takes for one batch of users: (user table, item table) by name."""
    took = {}
    for name, (query_table, item_table) in tables.items():
        began = time.perf_counter()
        (query_table[users] @ item_table.T).topk(10, dim=1)
        took[name] = time.perf_counter() - began
    return took


def measure(options: argparse.Namespace, items: int) -> list[dict]:
    """A row for each batch size: milliseconds a user by model, and what the tables take."""
    generator = torch.Generator().manual_seed(options.seed)
    widths = {"teacher": options.teacher, "student": options.student}
    tables = {
        name: tuple(torch.randn(size, width, generator=generator) for size in (options.users, items))
        for name, width in widths.items()
    }
    rows = []
    for batch in options.batch:
        rounds = [
            seconds(tables, torch.randint(options.users, (batch,), generator=generator)) for _ in range(options.rounds)
        ]
        row = {"items": items, "batch": batch}
        for name, (_, item_table) in tables.items():
            row[f"{name}_ms"] = 1000 / batch * statistics.median(took[name] for took in rounds[2:])
            row[f"{name}_mib"] = item_table.numel() * item_table.element_size() / 2**20
        ratios = [took["teacher"] / took["student"] for took in rounds[2:]]
        row |= {"ratio": statistics.median(ratios), "ratio_low": min(ratios), "ratio_high": max(ratios)}
        row |= {
            "ensemble_ms": options.ensemble * row["teacher_ms"],
            "ensemble_mib": options.ensemble * row["teacher_mib"],
        }
        rows.append(row | {"ensemble_ratio": options.ensemble * row["ratio"]})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 256])
    for name, default in (
        ("users", 10_000), ("teacher", 200), ("student", 20), ("ensemble", 5), ("rounds", 22), ("seed", 0),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--result_file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for items in options.items for row in measure(options, items)]
    headers = ["items", "batch", "teacher", "student", "ratio", f"{options.ensemble} teachers", "ratio", "MiB of items"]
    lines = [
        [f"{row['items']:,}", row["batch"], *(f"{row[key]:.3f}" for key in ("teacher_ms", "student_ms")),
         f"{row['ratio']:.1f}", f"{row['ensemble_ms']:.3f}", f"{row['ensemble_ratio']:.1f}",
         f"{row['teacher_mib']:.0f} / {row['student_mib']:.0f}"]
        for row in rows
    ]  # fmt: skip
    print(tabulate(lines, headers, tablefmt="github", disable_numparse=True))
    if options.result_file:
        records = [
            make_record("ranking", None, row, {"items": row.pop("items"), "batch": row.pop("batch")}) for row in rows
        ]
        settings = {key: value for key, value in vars(options).items() if key != "result_file"}
        place = {**environment(), "machine": platform.machine()}
        command = command_line("benchmarks.serving.latency", [f"--ensemble={options.ensemble}"])
        write_result(options.result_file, make_result("serving", [command], settings, records, place))


if __name__ == "__main__":
    main()
