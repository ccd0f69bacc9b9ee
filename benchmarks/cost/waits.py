"""What a training step asks of the device: operations, and how often the host has to wait for their outcome.

    python -m benchmarks.cost.waits --methods=all --dataset=ml-100k \
        --result_file=benchmarks/cost/results/waits-ml-100k.json

On a GPU the host runs ahead, and waits where a tensor's size or a number of Python's depends on what was computed, or
where data goes across. All of it is counted as torch dispatches it, forwards and backwards, so that the figures can be
had on a machine without a GPU, where the code paths of a GPU are taken; views and the optimiser's step are left out.
The counts of an epoch of few batches are subtracted from those of one of more, which leaves the steps. On a GPU torch's
own count of waits stands beside (``seen``).
"""

import argparse
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Any

import torch
from recbole.trainer import Trainer
from tabulate import tabulate
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.command import command_line, environment, keys_of
from benchmarks.cost.epoch import config_of, method_trainer, plain_trainer
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.config.schema import method_names
from recbole_kd.ops import pair_scores

# whose result's size or value the host has to know before it goes on
WAITS = {
    "_local_scalar_dense", "nonzero", "_unique2", "unique_dim", "unique_consecutive", "masked_select", "bincount",
    "repeat_interleave", "equal",
}  # fmt: skip
FEW, MORE = 2, 12  # batches


class Count(TorchDispatchMode):
    """Operations by name, and those that wait."""

    def __init__(self):
        super().__init__()
        self.operations, self.waits = Counter(), Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name.removeprefix("aten::")
        sized = (kwargs or {}).get("output_size") is not None
        by_mask = name in ("index", "index_put", "index_put_", "_index_put_impl_") and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        if (name in WAITS and not sized) or by_mask or _across(name, args, kwargs or {}):
            self.waits[f"{name} by a mask" if by_mask else name] += 1
        if not function.is_view:
            self.operations[name] += 1
        return function(*args, **(kwargs or {}))


def _across(name, args, kwargs):
    """Whether it is a copy from one device to another."""
    if name not in ("copy_", "_to_copy"):
        return False
    if name == "copy_":
        return args[0].device != args[1].device
    return kwargs.get("device") is not None and torch.device(kwargs["device"]).type != args[0].device.type


class FirstBatches:
    """The first batches of a loader, the rest of it as it is."""

    def __init__(self, loader, batches):
        self.loader, self.batches = loader, batches

    def __iter__(self):
        return islice(iter(self.loader), self.batches)

    def __len__(self):
        return self.batches

    def __getattr__(self, name):
        return getattr(self.loader, name)


def counted(trainer: Trainer, loader: Iterable, batches: int) -> tuple:
    """The counts of an epoch of so many batches, and the waits that torch itself has seen, None without a GPU."""
    seen = None
    with warnings.catch_warnings(record=True) as messages, Count() as count:
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode("warn")
        trainer._train_epoch(FirstBatches(loader, batches), 1)
        if torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode("default")
            seen = sum("synchroniz" in str(one.message) for one in messages)
    return count, seen


def measure_step(trainer: Trainer, loader: Iterable) -> dict[str, Any]:
    """Operations and waits of one step, the start of the epoch left out."""
    trainer.optimizer.step = lambda *args, **kwargs: None
    trainer._train_epoch(FirstBatches(loader, FEW), 0)
    (few, seen_few), (more, seen) = counted(trainer, loader, FEW), counted(trainer, loader, MORE)
    steps = MORE - FEW
    waits = more.waits
    waits.subtract(few.waits)
    operations = (more.operations.total() - few.operations.total()) / steps
    return {
        "operations": operations, "waits": waits.total() / steps,
        "seen": None if seen is None else (seen - seen_few) / steps,
        **{f"waits_{name}": number / steps for name, number in sorted(waits.items()) if number},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default="all", help="separated by ;")
    parser.add_argument("--result_file")
    options, words = parser.parse_known_args()
    methods = [method.strip() for method in options.methods.split(";") if method.strip()]
    if methods == ["all"]:
        methods = [name for name in method_names() if name != "Distiller"]
    pair_scores._on_host = lambda values: False
    steps = {}
    with tempfile.TemporaryDirectory() as folder:
        fixed = [*words, f"--checkpoint_dir={folder}", "--teacher.epochs=1"]
        trainer, data = plain_trainer(config_of(methods[0], fixed))
        steps["plain"] = measure_step(trainer, data.train)
        for method in methods:
            trainer, data, _ = method_trainer(config_of(method, fixed))
            steps[method] = row = measure_step(trainer, data.train)
            print(f"{method}: {row['operations']:.0f} operations, {row['waits']:.1f} waits", flush=True)
    lines = [
        [name, f"{row['operations']:.0f}", f"{row['waits']:.1f}", "" if row["seen"] is None else f"{row['seen']:.1f}",
         ", ".join(f"{key.removeprefix('waits_')} {row[key]:.1f}" for key in row if key.startswith("waits_"))]
        for name, row in steps.items()
    ]  # fmt: skip
    print(tabulate(lines, ["a step", "operations", "waits", "seen", "which"], disable_numparse=True))
    if options.result_file:
        records = [make_record(name, None, row) for name, row in steps.items()]
        command = command_line("benchmarks.cost.waits", [f"--methods={options.methods}", *words])
        content = make_result("device_waits", [command], {"keys": keys_of(words)}, records, environment())
        write_result(options.result_file, content)


if __name__ == "__main__":
    main()
