"""Settings of a method at equal time: the best validation ``--metric`` that each has reached after so many seconds.

    python benchmarks/equal_time.py --pairs="SLD; --kd_rows=0 / RCEKD; --rcekd_refresh=1" --seconds=30,60 \
        --dataset=citeulike --data_path=data --seeds=1,2,3 --learning_rate=0.01 \
        --result_file=benchmarks/results/equal-time-citeulike.json

A pair is a method as it is by default and the same with the keys behind the semicolon; pairs are separated by /.
Seconds are processor seconds of one thread, from reading the teacher on, without its training and without evaluation;
an epoch counts where it has ended. Run it from the project's root.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import payback  # first: RecBole starts after it
from command import shareable
import torch
from recbole_kd.compare.statistics import paired
from recbole_kd.teacher.measure import versions
from tabulate import tabulate


def settings_of(pairs):
    """For each pair its two settings as words: the default one and the other."""
    found = []
    for pair in pairs.split("/"):
        method, keys = (part.strip() for part in pair.split(";"))
        found.append((method, f"{method} {keys}"))
    return found


def reached(points, seconds):
    """The best score up to a time, and the epochs until then."""
    within = [score for at, score in points if at <= seconds]
    return {"best": max(within, default=0.0), "epochs": len(within)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", required=True)
    parser.add_argument("--seconds", default="30,60", help="the times, the last one ends a run")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--result_file")
    own, rest = parser.parse_known_args()
    torch.set_num_threads(1)
    times, seeds = [float(second) for second in own.seconds.split(",")], own.seeds.split(",")
    scores = {}
    for seed in seeds:
        for setting in dict.fromkeys(one for pair in settings_of(own.pairs) for one in pair):
            config = payback.config_of(setting, [*rest, f"--seed={seed}"])
            points = payback.distilled(config, own.metric, seconds=max(times))
            scores.setdefault(setting, []).append({str(time): reached(points, time) for time in times})
            print(f"seed {seed}, {setting}: {scores[setting][-1]}", flush=True)
    lines, compared = [], {}
    for pair in settings_of(own.pairs):
        for time in map(str, times):
            default, other = ([run[time]["best"] for run in scores[one]] for one in pair)
            epochs = [statistics.fmean(run[time]["epochs"] for run in scores[one]) for one in pair]
            compared[f"{pair[0]} over {pair[1]} at {time} s"] = found = paired(default, other)
            span = f"{found['difference']:+.4f}"
            if found["p"] is not None:
                span += f" [{found['t_low']:+.4f}, {found['t_high']:+.4f}]"
            means = [f"{statistics.fmean(values):.4f}" for values in (default, other)]
            lines.append([*pair, time, *means, f"{epochs[0]:.0f} / {epochs[1]:.0f}", span])
    heads = ["default", "other", "seconds", "default's score", "other's", "epochs", "difference (paired 95%)"]
    print(tabulate(lines, heads, tablefmt="github", disable_numparse=True))
    if own.result_file:
        content = {"command": shareable(rest), "seeds": seeds, "metric": own.metric, "pairs": settings_of(own.pairs)}
        content |= {"scores": scores, "compared": compared, "versions": versions()}
        Path(own.result_file).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
