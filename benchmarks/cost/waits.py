"""What a training step asks of the device: operations, and how often the host has to wait for their outcome.

    python benchmarks/waits.py --methods=all --dataset=ml-100k --result_file=benchmarks/results/waits-ml-100k.json

On a GPU the host runs ahead, and waits where a tensor's size or a number of Python's depends on what was computed, or
where data goes across. All of it is counted as torch dispatches it, forwards and backwards, so that the figures can be
had on a machine without a GPU, where a GPU's ways are taken; views are left out, and so is the optimiser, whose way is
torch's. An epoch of few batches is taken from one of more, which leaves the steps. On a GPU torch's own count of waits
stands beside (``seen``). Run it from the project's root.
"""

import argparse
import json
import sys
import tempfile
import warnings
from collections import Counter
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import cost  # first: RecBole starts after it
import recbole_kd
from command import device_name, shareable
import torch
from recbole_kd.backbone import pairs
from recbole_kd.teacher.measure import versions
from tabulate import tabulate
from torch.utils._python_dispatch import TorchDispatchMode

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


class Part:
    """The first batches of a loader, the rest of it as it is."""

    def __init__(self, loader, batches):
        self.loader, self.batches = loader, batches

    def __iter__(self):
        return islice(iter(self.loader), self.batches)

    def __len__(self):
        return self.batches

    def __getattr__(self, name):
        return getattr(self.loader, name)


def counted(trainer, loader, batches):
    """The counts of an epoch of so many batches, and the waits that torch itself has seen, None without a GPU."""
    seen = None
    with warnings.catch_warnings(record=True) as said, Count() as count:
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode("warn")
        trainer._train_epoch(Part(loader, batches), 1)
        if torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode("default")
            seen = sum("synchroniz" in str(one.message) for one in said)
    return count, seen


def a_step(trainer, loader):
    """What one step asks for, an epoch's start left out."""
    trainer.optimizer.step = lambda *args, **kwargs: None
    trainer._train_epoch(Part(loader, FEW), 0)
    (few, seen_few), (more, seen) = counted(trainer, loader, FEW), counted(trainer, loader, MORE)
    steps = MORE - FEW
    waits = more.waits
    waits.subtract(few.waits)
    operations = (more.operations.total() - few.operations.total()) / steps
    return {
        "operations": operations, "waits": waits.total() / steps,
        "seen": None if seen is None else (seen - seen_few) / steps,
        "waits_by": {name: number / steps for name, number in sorted(waits.items()) if number},
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default="all", help="separated by ;")
    parser.add_argument("--result_file")
    own, rest = parser.parse_known_args()
    methods = [method.strip() for method in own.methods.split(";") if method.strip()]
    if methods == ["all"]:
        methods = [name for name in recbole_kd.method_names() if name != "Distiller"]
    pairs._on_host = lambda values: False
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        kept = [*rest, f"--checkpoint_dir={folder}", "--teacher.epochs=1"]
        trainer, data = cost.plain_trainer(cost.config_of(methods[0], kept))
        found["plain"] = a_step(trainer, data.train)
        for method in methods:
            trainer, data, _ = cost.method_trainer(cost.config_of(method, kept))
            found[method] = a_step(trainer, data.train)
            print(
                f"{method}: {found[method]['operations']:.0f} operations, {found[method]['waits']:.1f} waits",
                flush=True,
            )
    lines = [
        [name, f"{row['operations']:.0f}", f"{row['waits']:.1f}", "" if row["seen"] is None else f"{row['seen']:.1f}",
         ", ".join(f"{part} {number:.1f}" for part, number in row["waits_by"].items())]
        for name, row in found.items()
    ]  # fmt: skip
    print(tabulate(lines, ["a step", "operations", "waits", "seen", "which"], disable_numparse=True))
    if own.result_file:
        content = {"command": shareable(rest), "device": device_name(), "steps": found, "versions": versions()}
        Path(own.result_file).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
