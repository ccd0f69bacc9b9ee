"""One training with kd_widths against a training for each width: ndcg@10 at equal width.

    python -m benchmarks.serving.widths --result_file=benchmarks/serving/results/widths-ml-100k.json
    python -m benchmarks.serving.widths --dataset=citeulike --data_path=data --result_file=...-citeulike.json

MKD distils a BPR of width 200. The rows are students of each width: trained alone, distilled for that width, and the
first coordinates of one student that was distilled with kd_widths.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

import torch
from tabulate import tabulate

from benchmarks.command import command_line, environment
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd import run_kd

WAYS = ("alone", "distilled", "kd_widths")


def rows_of(keys: dict, widths: list[int]) -> dict[tuple[str, int], dict]:
    """The rows of results by way and width."""
    rows = {}
    for width in widths:
        result = run_kd("MKD", config_dict=keys | {"embedding_size": width})
        rows["alone", width], rows["distilled", width] = result["student_alone"], result["distilled"]
    result = run_kd("MKD", config_dict=keys | {"embedding_size": widths[-1], "kd_widths": widths})
    rows |= {("kd_widths", row["width"]): row for row in result["widths"]}
    return rows | {("kd_widths", widths[-1]): result["distilled"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="ml-100k")
    parser.add_argument("--data_path")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--widths", type=int, nargs="+", default=[5, 10, 20])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--checkpoint_dir", help="a folder for the checkpoints, which are trained once")
    parser.add_argument("--result_file", required=True)
    options = parser.parse_args()
    words = [f"--dataset={options.dataset}", f"--epochs={options.epochs}"]
    words += ["--widths", *map(str, options.widths), "--seeds", *map(str, options.seeds)]
    sys.argv = sys.argv[:1]  # RecBole reads the command line
    torch.set_num_threads(1)
    keys = {"dataset": options.dataset, "epochs": options.epochs, "eval_step": 5, "show_progress": False}
    keys |= {"teacher": {"embedding_size": 200}, "state": "ERROR", "stopping_step": 4}
    folder: dict = {"data_path": str(Path(options.data_path).absolute())} if options.data_path else {}
    result_file, before, records = Path(options.result_file).absolute(), os.getcwd(), []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as temporary:
            os.chdir(temporary)
            saved = {"checkpoint_dir": options.checkpoint_dir or temporary, "resume": True, "seed": seed}
            rows = rows_of(keys | folder | saved, options.widths)
            os.chdir(before)
        records += [
            make_record(
                way,
                seed,
                {f"{part}_ndcg@10": row[f"{part}_result"]["ndcg@10"] for part in ("valid", "test")},
                {"width": width},
            )
            for (way, width), row in rows.items()
        ]
    lines = [[width, *(_mean(records, way, width) for way in WAYS)] for width in options.widths]
    print(tabulate(lines, ["width", *WAYS], tablefmt="github", floatfmt=".4f"), flush=True)
    command = command_line("benchmarks.serving.widths", words)
    write_result(result_file, make_result("widths", [command], keys, records, environment()))


def _mean(records: list[dict], way: str, width: int) -> float:
    """The mean test ndcg@10 over the seeds."""
    return statistics.fmean(
        record["values"]["test_ndcg@10"]
        for record in records
        if record["name"] == way and record["setting"]["width"] == width
    )


if __name__ == "__main__":
    main()
