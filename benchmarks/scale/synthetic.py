"""What a method costs on large, synthetic data: reading the teachers, memory, disk, and an epoch.

    python -m benchmarks.scale.synthetic --method=HetComp --users=200000 --items=100000 --interactions=4000000 \
        --teachers=4 --states=4 --result_file=benchmarks/scale/results/scale-hetcomp.json

Users and items are as popular as a power law has it, teachers are random factors, and a teacher's earlier states are
random factors too: what is measured is time and size, not accuracy. An epoch is run up to --steps steps and scaled up.
The terms, their knowledge and its store are those of a run; RecBole's dataset is left out. Seconds are the processor's,
of all threads: other work on the machine moves them little.
"""

import argparse
import math
import resource
import tempfile
import time
from argparse import Namespace
from pathlib import Path

import torch
from torch import nn

from benchmarks.command import command_line, environment
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.backbone.factors import FactorBackbone
from recbole_kd.config.schema import method_keys
from recbole_kd.config.schema import method_names
from recbole_kd.knowledge.base import BaseKnowledge
from recbole_kd.knowledge.ensemble import EnsembleKnowledge
from recbole_kd.knowledge.model import ModelKnowledge
from recbole_kd.knowledge.store import trajectory_name
from recbole_kd.method.registry import method_class
from recbole_kd.method.terms import method_terms
from recbole_kd.term import get_term
from recbole_kd.term.batch import Batch
from recbole_kd.term.base import Term

BATCH, STUDENT = 2048, 20
Pairs = tuple[torch.Tensor, torch.Tensor]  # users and items of the training pairs


class Factors(nn.Module):
    """Two tables of random factors, as far as a backbone looks at a RecBole model."""

    device = torch.device("cpu")
    USER_ID = "user_id"

    def __init__(self, users, items, width, seed):
        super().__init__()
        self.n_users, self.n_items = users + 1, items + 1
        generator = torch.Generator().manual_seed(seed)
        self.user_embedding = nn.Embedding.from_pretrained(torch.randn(users + 1, width, generator=generator) / width)
        self.item_embedding = nn.Embedding.from_pretrained(torch.randn(items + 1, width, generator=generator))


def power_law(count: int, size: int, generator: torch.Generator) -> torch.Tensor:
    """Draws of ids from 1 to size, the first the most popular."""
    x = torch.rand(count, generator=generator, dtype=torch.float64)
    return (size**x).long().clamp(1, size)


def draw_pairs(options: Namespace, generator: torch.Generator) -> Pairs:
    """Distinct training pairs."""
    users = power_law(options.interactions, options.users, generator)
    users = torch.where(torch.rand(len(users), generator=generator) < 0.5, users, 0)
    even = torch.randint(1, options.users + 1, users.shape, generator=generator)
    users = torch.where(users > 0, users, even)  # half of them spread evenly, or most users had none
    items = power_law(options.interactions, options.items, generator)
    flat = (users * (options.items + 1) + items).unique()
    return flat // (options.items + 1), flat % (options.items + 1)


def peak() -> float:
    """Peak resident memory so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read_teachers(options: Namespace, pairs: Pairs, store: Path) -> BaseKnowledge:
    """The knowledge of the teachers."""
    members = []
    for teacher in range(options.teachers):
        seeds = range(1000 * teacher, 1000 * teacher + options.states)
        backbones = [
            lambda seed=seed: FactorBackbone(Factors(options.users, options.items, options.width, seed))
            for seed in seeds
        ]
        states = backbones[:-1] if options.states > 1 else None
        name = trajectory_name(options.states) if states else None
        members.append(ModelKnowledge(backbones[-1](), pairs, store / str(teacher), print, states, name))
    return EnsembleKnowledge(members, store / "all", print) if options.teachers > 1 else members[0]


def terms_of(method: str, keys: dict, knowledge: BaseKnowledge) -> list[Term]:
    """The method's terms, as its class puts them together."""
    names = method_terms({"terms": None, "kd_method": method, **keys})
    return method_class(method).build_terms([get_term(name) for name in names], keys, knowledge, STUDENT)


def time_epoch(options: Namespace, terms: list, pairs: Pairs, generator: torch.Generator) -> tuple[float, float]:
    """Seconds of an epoch's start and of a step; without terms, plain BPR's."""
    student = Factors(options.users, options.items, STUDENT, 7)
    for table in student.parameters():
        table.requires_grad_(True)
    backbone = FactorBackbone(student)
    weights = {id(weight): weight for term in terms for weight in term.parameters()}  # terms may share some
    optimiser = torch.optim.Adam([*student.parameters(), *weights.values()])
    for number in sorted({0, options.first_epoch}):
        began = time.process_time()
        with torch.no_grad():
            for term in terms:
                term.start_epoch(number, backbone)
    started = time.process_time() - began
    steps = min(options.steps, len(pairs[0]) // BATCH)
    order = torch.randperm(len(pairs[0]), generator=generator)
    began = time.process_time()
    for rows in order[: steps * BATCH].split(BATCH):
        users, items = pairs[0][rows], pairs[1][rows]
        negatives = torch.randint(1, options.items + 1, items.shape, generator=generator)
        with backbone.view() as view:
            scores = (view.query_vectors(users)[:, None] * view.item_vectors(torch.stack([items, negatives], 1))).sum(2)
            loss = -nn.functional.logsigmoid(scores[:, 0] - scores[:, 1]).mean()
            loss = loss * math.prod(term.base_weight for term in terms)
            batch = Batch(users, items, negatives, view)
            loss = loss + sum(term.weight * term.loss(batch) for term in terms)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return started, (time.process_time() - began) / steps


def measure(options: Namespace, pairs: Pairs, generator: torch.Generator) -> dict[str, float]:
    """What reading the teachers, an epoch and a step cost."""
    keys = {name: key.default for name, key in method_keys(options.method).items()}
    keys |= {"device": Factors.device, "seed": options.seed, "train_neg_sample_args": {"sample_num": 1}}
    keys |= {"teacher_states": options.states}
    before = peak()
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        knowledge = read_teachers(options, pairs, Path(folder))
        terms = terms_of(options.method, keys, knowledge)
        reading = time.process_time() - began
        disk = sum(file.stat().st_size for file in Path(folder).rglob("*.npy"))
        _, plain = time_epoch(options, [], pairs, generator)
        start, step = time_epoch(options, terms, pairs, generator)
    steps = len(pairs[0]) // BATCH
    return {
        "knowledge_seconds": reading, "disk_mib": disk / 2**20, "epoch_start_seconds": start,
        "step_ms": 1000 * step, "plain_step_ms": 1000 * plain, "epoch_seconds": start + steps * step,
        "steps": steps, "interactions": len(pairs[0]),
        "rss_before_mib": before, "peak_rss_mib": peak(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="RRD", choices=method_names(), help="a term, or a method of several")
    for name, default in (
        ("users", 10_000), ("items", 10_000), ("interactions", 500_000), ("teachers", 1), ("states", 1),
        ("width", 16), ("steps", 200), ("first_epoch", 0), ("seed", 0),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--result_file")
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(options.seed)
    values = measure(options, draw_pairs(options, generator), generator)
    for name, value in values.items():
        print(f"{name:20} {value:12,.1f}")
    if options.result_file:
        settings = {key: value for key, value in vars(options).items() if key != "result_file"}
        words = [f"--{key}={value}" for key, value in settings.items()]
        command = command_line("benchmarks.scale.synthetic", words)
        records = [make_record(options.method, None, values)]
        write_result(options.result_file, make_result("scale", [command], settings, records, environment()))


if __name__ == "__main__":
    main()
