"""What fewer bytes cost a distilled student: bytes, milliseconds and ndcg@10 on validation at each precision.

    python -m benchmarks.serving.quantise --result_file=benchmarks/serving/results/quantise-ml-100k.json
    python -m benchmarks.serving.quantise --dataset=citeulike --data_path=data --result_file=...-citeulike.json

MKD distils a BPR of width 200 into one of width 20. The rows teacher, student alone and distilled are those of the run,
whose milliseconds are torch's; the others are bundles that the numpy reader reads. pq 5 has codes of five bytes.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.command import command_line, environment
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd import export, run_kd
from recbole_kd.serving import Recommender
from recbole_kd.serving.quantisation import PrecisionRow, precision_table, run_rows

SMALLER = 5  # bytes of the second product quantisation


def rows_of(keys: dict, folder: Path) -> list[PrecisionRow]:
    """The models of a run, and the distilled student at each precision."""
    result = run_kd("MKD", config_dict=keys)
    model = Recommender(str(result["distilled"]["checkpoint"]), keys.get("data_path"))
    rows = list(export(model, folder / "bundle", precision="int8", compare=True).rows)
    smaller = export(model, folder / "smaller", precision="pq", pq_bytes=SMALLER).rows[-1]
    rows.append(PrecisionRow(f"pq {SMALLER}", smaller.bytes, smaller.ms, smaller.ndcg))
    return run_rows(result) + rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="ml-100k")
    parser.add_argument("--data_path")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[2020])
    parser.add_argument("--checkpoint_dir", help="a folder for the checkpoints, which are trained once")
    parser.add_argument("--result_file", required=True)
    options = parser.parse_args()
    words = [f"--dataset={options.dataset}", f"--epochs={options.epochs}"]
    command = command_line("benchmarks.serving.quantise", [*words, "--seeds", *map(str, options.seeds)])
    sys.argv = sys.argv[:1]  # RecBole reads the command line
    torch.set_num_threads(1)
    keys = {"dataset": options.dataset, "epochs": options.epochs, "eval_step": 5, "embedding_size": 20}
    keys |= {"teacher": {"embedding_size": 200}, "show_progress": False, "state": "ERROR", "stopping_step": 4}
    folder: dict = {"data_path": str(Path(options.data_path).absolute())} if options.data_path else {}
    result_file, before, records = Path(options.result_file).absolute(), os.getcwd(), []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as temporary:
            os.chdir(temporary)
            saved = {"checkpoint_dir": options.checkpoint_dir or temporary, "resume": True, "seed": seed}
            rows = rows_of(keys | folder | saved, Path(temporary))
            os.chdir(before)
        print(precision_table(rows), flush=True)
        records += [
            make_record(row.name, seed, {"bytes": row.bytes, "ms_per_user": row.ms, "valid_ndcg@10": row.ndcg})
            for row in rows
        ]
    write_result(result_file, make_result("quantise", [command], keys, records, environment()))


if __name__ == "__main__":
    main()
