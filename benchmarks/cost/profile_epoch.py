"""Where an epoch's time goes, by method: processor milliseconds a step, by what is at work.

    python -m benchmarks.cost.profile_epoch --methods="MKD;RRD;PCKD" --dataset=citeulike --data_path=data \
        --result_file=benchmarks/cost/results/profile-citeulike.json

The parts are timed where they are called, on one thread, and are apart from one another: what is read anew at an
epoch's start, the student's own loss, each term's loss, the backward pass, the optimiser's step, the loader, and the
rest of RecBole's loop. ``--before`` takes an earlier result file in, of the same command.
"""

import argparse
import time
from collections.abc import Callable

import torch
from tabulate import tabulate

from benchmarks.command import command_line, environment, keys_of
from benchmarks.cost.epoch import config_of, method_trainer
from benchmarks.result import read_result
from benchmarks.schema import make_record, make_result, write_result


class Clock:
    """Processor seconds by part; a part that is at work inside another one counts for itself alone."""

    def __init__(self):
        self.seconds, self.open = {}, []

    def timed(self, part: str, function: Callable) -> Callable:
        """The same function, timed."""

        def run_timed(*args, **kwargs):
            began = time.process_time()
            self.open.append(0.0)
            try:
                return function(*args, **kwargs)
            finally:
                took = time.process_time() - began
                self.seconds[part] = self.seconds.get(part, 0.0) + took - self.open.pop()
                if self.open:
                    self.open[-1] += took

        return run_timed


class Timed:
    """A loader whose steps are timed."""

    def __init__(self, loader, clock):
        self.loader, self.clock = loader, clock

    def __iter__(self):
        following = self.clock.timed("loader", iter(self.loader).__next__)
        while True:
            try:
                batch = following()
            except StopIteration:
                return
            yield batch

    def __len__(self):
        return len(self.loader)


def profile(method: str, words: list[str], epochs: int) -> dict[str, float]:
    """Milliseconds a step by part, the mean of some epochs after a first one."""
    trainer, data, _ = method_trainer(config_of(method, [*words, "--teacher.epochs=1"]))
    trainer._train_epoch(data.train, 0)
    clock, model = Clock(), trainer.model
    model.start_epoch = clock.timed("read anew at the epoch's start", model.start_epoch)
    model.student.calculate_loss = clock.timed("the student's own loss", model.student.calculate_loss)
    for term in model.terms:
        term.loss = clock.timed(f"loss of {term.name}", term.loss)
    trainer.optimizer.step = clock.timed("optimiser", trainer.optimizer.step)
    backward, torch.Tensor.backward = torch.Tensor.backward, clock.timed("backward", torch.Tensor.backward)
    try:
        whole = clock.timed("rest", trainer._train_epoch)
        for epoch in range(1, epochs + 1):
            whole(Timed(data.train, clock), epoch)
    finally:
        torch.Tensor.backward = backward
    return {part: 1000 * seconds / epochs / len(data.train) for part, seconds in clock.seconds.items()}


def print_profile(method: str, before: dict[str, float], parts: dict[str, float]) -> None:
    """A method's table, with the earlier figures where there are any."""
    lines = [
        [part, *((f"{before.get(part, 0.0):.2f}",) if before else ()), f"{parts.get(part, 0.0):.2f}"]
        for part in dict.fromkeys([*parts, *before])
    ]
    lines.append(["together", *(f"{sum(each.values()):.2f}" for each in (before, parts) if each)])
    headers = [f"{method}, ms a step", *(("before",) if before else ()), "now"]
    print(tabulate(lines, headers, tablefmt="github", disable_numparse=True), end="\n\n")


def earlier_profiles(file: str) -> dict[str, dict[str, float]]:
    """The figures of an earlier result file, by method."""
    records = read_result(file).records
    return {record["name"]: record["values"] for record in records if record["setting"]["when"] == "now"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default="MKD;RRD;PCKD", help="separated by ;")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--before", help="an earlier result file")
    parser.add_argument("--result_file")
    options, words = parser.parse_known_args()
    torch.set_num_threads(1)
    before = earlier_profiles(options.before) if options.before else {}
    now = {method: profile(method, words, options.epochs) for method in options.methods.split(";")}
    for method, parts in now.items():
        print_profile(method, before.get(method, {}), parts)
    if options.result_file:
        records = [
            make_record(method, None, parts, {"when": when})
            for when, profiles in (("now", now), ("before", before))
            for method, parts in profiles.items()
        ]
        command = command_line("benchmarks.cost.profile_epoch", [f"--methods={options.methods}", *words])
        content = make_result("step_profile", [command], {"keys": keys_of(words)}, records, environment())
        write_result(options.result_file, content)


if __name__ == "__main__":
    main()
