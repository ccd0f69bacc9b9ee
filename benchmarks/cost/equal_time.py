"""Settings of a method at equal time: the best validation ``--metric`` that each has reached after so many seconds.

    python -m benchmarks.cost.equal_time --pairs="SLD; --kd_rows=0 / RCEKD; --rcekd_refresh=1" --seconds=30,60 \
        --dataset=citeulike --data_path=data --seeds=1,2,3 --learning_rate=0.01 \
        --result_file=benchmarks/cost/results/equal-time-citeulike.json

A pair is a method as it is by default and the same with the keys behind the semicolon; pairs are separated by /.
Seconds are processor seconds of one thread, from reading the teacher on, without its training and without evaluation;
an epoch counts once it has ended.
"""

import argparse
import statistics

import torch
from tabulate import tabulate

from benchmarks.command import command_line, environment, keys_of
from benchmarks.cost.epoch import config_of
from benchmarks.cost.payback import distilled_curve
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.evaluation.statistics import paired


def settings_of(pairs: str) -> list[tuple[str, str]]:
    """For each pair its two settings as words: the default one and the other."""
    settings = []
    for pair in pairs.split("/"):
        method, keys = (part.strip() for part in pair.split(";"))
        settings.append((method, f"{method} {keys}"))
    return settings


def reached(points: list, seconds: float) -> dict[str, float]:
    """The best score up to a time, and the epochs until then."""
    within = [score for at, score in points if at <= seconds]
    return {"best": max(within, default=0.0), "epochs": len(within)}


def compare_pair(scores: dict, pair: tuple[str, str], time: float) -> list[str]:
    """A line of the table: the default and the other setting of a pair after some seconds."""
    default, other = ([run[time]["best"] for run in scores[setting]] for setting in pair)
    epochs = [statistics.fmean(run[time]["epochs"] for run in scores[setting]) for setting in pair]
    test = paired(default, other)
    span = f"{test['difference']:+.4f}"
    if test["p"] is not None:
        span += f" [{test['t_low']:+.4f}, {test['t_high']:+.4f}]"
    means = [f"{statistics.fmean(values):.4f}" for values in (default, other)]
    return [*pair, f"{time:.0f}", *means, f"{epochs[0]:.0f} / {epochs[1]:.0f}", span]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", required=True)
    parser.add_argument("--seconds", default="30,60", help="the times, the last one ends a run")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--result_file")
    options, words = parser.parse_known_args()
    torch.set_num_threads(1)
    times, seeds = [float(second) for second in options.seconds.split(",")], options.seeds.split(",")
    pairs = settings_of(options.pairs)
    scores: dict[str, list] = {}
    for seed in seeds:
        for setting in dict.fromkeys(one for pair in pairs for one in pair):
            config = config_of(setting, [*words, f"--seed={seed}"])
            points = distilled_curve(config, options.metric, seconds=max(times))
            scores.setdefault(setting, []).append({time: reached(points, time) for time in times})
            print(f"seed {seed}, {setting}: {scores[setting][-1]}", flush=True)
    headers = ["default", "other", "seconds", "default's score", "other's", "epochs", "difference (paired 95%)"]
    lines = [compare_pair(scores, pair, time) for pair in pairs for time in times]
    print(tabulate(lines, headers, tablefmt="github", disable_numparse=True))
    if options.result_file:
        records = [
            make_record(setting, int(seed), point, {"at_seconds": time})
            for setting, runs in scores.items()
            for seed, run in zip(seeds, runs, strict=True)
            for time, point in run.items()
        ]
        more = [f"--pairs={options.pairs}", f"--seconds={options.seconds}", f"--seeds={options.seeds}"]
        command = command_line("benchmarks.cost.equal_time", [*more, *words])
        settings = {"keys": keys_of(words), "metric": options.metric, "pairs": pairs, "seeds": list(map(int, seeds))}
        write_result(options.result_file, make_result("equal_time", [command], settings, records, environment()))


if __name__ == "__main__":
    main()
