"""Where an epoch's time goes, by method: shares of the processor's time, by what is at work.

    python benchmarks/profile_epoch.py --methods="MKD;RRD;PCKD" --dataset=citeulike --data_path=data \
        --result_file=benchmarks/results/profile-citeulike.json

The parts are timed where they are called, on one thread, and are apart from one another: what is read anew at an
epoch's start, the student's own loss, each term's loss, the backward pass, the optimiser's step, the loader, and the
rest of RecBole's loop. ``--before`` takes an earlier result file in, of the same command. Run it from the project's
root.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import cost  # first: RecBole starts after it
from command import shareable
import torch
from recbole_kd.teacher.measure import versions
from tabulate import tabulate


class Clock:
    """Processor seconds by part; a part that is at work inside another one counts for itself alone."""

    def __init__(self):
        self.seconds, self.open = {}, []

    def timed(self, part, function):
        """The same function, timed."""

        def timed(*args, **kwargs):
            began = time.process_time()
            self.open.append(0.0)
            try:
                return function(*args, **kwargs)
            finally:
                took = time.process_time() - began
                self.seconds[part] = self.seconds.get(part, 0.0) + took - self.open.pop()
                if self.open:
                    self.open[-1] += took

        return timed


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


def profile(method, rest, epochs):
    """Milliseconds a step by part, the mean of some epochs after a first one."""
    trainer, data, _ = cost.method_trainer(cost.config_of(method, [*rest, "--teacher.epochs=1"]))
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default="MKD;RRD;PCKD", help="separated by ;")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--before", help="an earlier result file")
    parser.add_argument("--result_file")
    own, rest = parser.parse_known_args()
    torch.set_num_threads(1)
    earlier = json.loads(Path(own.before).read_text())["ms_a_step"] if own.before else {}
    found = {method: profile(method, rest, own.epochs) for method in own.methods.split(";")}
    for method, parts in found.items():
        before = earlier.get(method, {})
        lines = [
            [part, *((f"{before.get(part, 0.0):.2f}",) if before else ()), f"{parts.get(part, 0.0):.2f}"]
            for part in dict.fromkeys([*parts, *before])
        ]
        lines.append(["together", *(f"{sum(each.values()):.2f}" for each in (before, parts) if each)])
        heads = [f"{method}, ms a step", *(("before",) if before else ()), "now"]
        print(tabulate(lines, heads, tablefmt="github", disable_numparse=True), end="\n\n")
    if own.result_file:
        command = shareable(rest)
        content = {"command": command, "ms_a_step": found, "before": earlier, "versions": versions()}
        Path(own.result_file).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
