"""Plain RecBole's BPR, or another class, by width, learning rate and weight decay: the best validation score of each.

    python benchmarks/decay.py --settings="[[20, 0.003, 0], [20, 0.003, 1.0e-6], [200, 0.001, 1.0e-6]]" \
        --dataset=citeulike --data_path=data --seed=1 --result_file=benchmarks/results/decay.json

A setting is [embedding_size, learning_rate, weight_decay]. Rows of an earlier result file stay. The split is that of
run_kd; its test part is not looked at. Every other key goes to RecBole, ``--student_model=LightGCN`` among them. Run it
from the project's root.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import recbole_kd  # first: RecBole starts after it
from command import shareable
import yaml
from recbole.trainer import Trainer
from recbole_kd.config import plain_config
from recbole_kd.quick_start import make_config
from recbole_kd.teacher import fit, parts
from tabulate import tabulate


def best(width, rate, decay, rest):
    """The best validation ndcg@10 of a plain BPR."""
    own = [f"--embedding_size={width}", f"--learning_rate={rate}", f"--weight_decay={decay}", "--valid_metric=NDCG@10"]
    config = plain_config(make_config(argv=["--model=RRD", *rest, *own, "--show_progress=False", "--state=ERROR"]))
    data = parts.split(config)
    score, _ = Trainer(config, fit.build(config, data.train._dataset)).fit(data.train, data.valid, saved=False)
    return float(score)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", required=True)
    parser.add_argument("--result_file", required=True)
    own, rest = parser.parse_known_args()
    file, command = Path(own.result_file), shareable(rest)
    for setting in yaml.safe_load(own.settings):
        width, rate, decay = setting
        row = {"keys": command, "embedding_size": width, "learning_rate": rate, "weight_decay": float(decay),
               "valid_ndcg@10": best(*setting, rest)}  # fmt: skip
        rows = json.loads(file.read_text()) if file.is_file() else []  # now: another command may have written to it
        rows.append(row)
        file.write_text(json.dumps(rows, indent=1) + "\n")
    lines = [[" ".join(row["keys"]), *list(row.values())[1:]] for row in rows]
    print(tabulate(lines, ["keys", *list(rows[0])[1:]], tablefmt="github"))


if __name__ == "__main__":
    assert recbole_kd.__version__
    main()
