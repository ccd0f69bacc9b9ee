"""Two processes that train one student: gradients, lists, weights, metrics and files agree."""

import logging
import os
from pathlib import Path

import pytest
import torch
from recbole.utils import init_seed

from recbole_kd.config.configurator import plain_config
from recbole_kd.config.schema import method_names
from recbole_kd.data.split import prepare_split
from recbole_kd.distributed import process_group
from recbole_kd.distributed.launcher import _free_port, launch_processes
from recbole_kd.distributed.process_group import (
    ProcessInfo,
    all_gather,
    broadcast_tensors,
    join_group,
    process_rank,
    rank0_first,
    reduce_gradients,
)
from recbole_kd.distributed.sharding import shard_loader
from recbole_kd.errors import KDError
from recbole_kd.evaluation.metrics import evaluate
from recbole_kd.experiment import make_config
from recbole_kd.method.registry import method_class
from recbole_kd.testing import ConformanceRun
from recbole_kd.trainer.ddp_trainer import DistributedKDTrainer
from recbole_kd.trainer.options import TrainingFiles
from recbole_kd.trainer.rank_agreement import (
    check_same_lists,
    seed_per_rank,
    sync_from_rank0,
)
from recbole_kd.trainer.training import run_trainer
from tests.processes import forked_launches

CPU = torch.device("cpu")
QUICK_HETCOMP = {"hetcomp_base_weight": 1.0, "hetcomp_warm_up": 1, "hetcomp_refresh": 1, "hetcomp_k": 10}
OWN_KEYS = {"Distiller": {"terms": ["SLD", "FTD"]}, "HetComp": QUICK_HETCOMP, "DCD": {"dcd_max_k": 20}}
METHODS = [(method, OWN_KEYS.get(method, {})) for method in method_names()]
METHODS += [("MKD", {"student_model": student}) for student in ("LightGCN", "NGCF", "SimpleX")]
METHODS += [("MKD", {"kd_reduction": "sum"}), ("MKD", {"kd_rows": 5}), ("SLD", {"teacher_model": "EASE"})]
METRICS = ["Recall", "MRR", "NDCG", "GAUC"]  # those of items end RecBole 1.2.1 in an AttributeError
MEASURED = {"metrics": METRICS, "topk": [3, 5], "valid_metric": "MRR@5"}
NAMES = [" ".join([method, *(f"{key}={value}" for key, value in keys.items())]) for method, keys in METHODS]
TRAINED = {"SLD": {"sld_refresh": 1}, "HetComp": QUICK_HETCOMP, "BD": {}}


def pair():
    """The positions of two processes on this machine."""
    address = f"tcp://localhost:{_free_port()}"
    return [ProcessInfo(rank, 2, rank, 2, address) for rank in (0, 1)]


def both(process, settings, methods):
    """What the tests below check, by name; one pair of processes computes all of it."""
    logging.getLogger().setLevel(logging.ERROR)
    with join_group(process, CPU):
        results = {"gradients": [gradients(settings, method, keys) for method, keys in methods]}
        for method, keys in TRAINED.items():
            results[method] = training(settings, method, keys)
        results["evaluation"] = evaluation(settings)
        results["drawing"] = drawing(settings)
        results["missing"] = missing()
        results["not finite"] = not_finite(settings)
        results["unlike"] = unlike(settings)
        results["epochs"] = other_epoch(settings)
        return all_gather(results)


def half(batch):
    return batch[torch.arange(len(batch))[process_rank() :: 2]]


def bench_of(method, settings, **keys):
    """The first process trains the teacher, as in a run."""
    with rank0_first():
        return ConformanceRun(method, settings, **keys)


def gradients(settings, method, keys):
    """The gradients of the first step of a training, each process with its half of a batch."""
    bench = bench_of(method, settings, **keys)
    trainer = DistributedKDTrainer(bench.config, model_of(bench))
    if process_rank() == 1:  # rank 0 has to broadcast its weights
        with torch.no_grad():
            for weight in trainer.model.parameters():
                weight.add_(1.0)
    trainer._start_epoch(0)
    return step(trainer, half(bench.batch()))


def step(trainer, batch):
    trainer.model.train()
    loss = sum(trainer.model.calculate_loss(batch))
    trainer._check_nan(loss)
    loss.backward()
    return {name: weight.grad for name, weight in trainer.model.named_parameters()}


def model_of(bench):
    init_seed(bench.config["seed"], True)
    return method_class(bench.config.method)(bench.config, bench.data.train._dataset, bench.knowledge)


class Watching(DistributedKDTrainer):
    """Records the lists and the weights at each epoch."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.lists, self.weights, self.stopped = [], [], 0

    def _start_epoch(self, epoch):
        super()._start_epoch(epoch)
        self.lists.append([buffer.clone() for buffer in self.model.terms.buffers()])
        self.stopped = epoch

    def _valid_epoch(self, valid_data, show_progress=False):
        self.weights.append([weight.detach().clone() for weight in self.model.parameters()])
        return super()._valid_epoch(valid_data, show_progress)

    def evaluate(self, *args, **kwargs):
        """Returns another value in each process, as on machines that compute differently."""
        results = super().evaluate(*args, **kwargs)
        return {name: value + process_rank() * len(self.weights) for name, value in results.items()}


def training(settings, method, keys):
    """A whole training with early stopping: lists and weights at each epoch, scores, and when it ended."""
    bench = bench_of(method, {**settings, "epochs": 12, "stopping_step": 1}, **keys)
    split, model = prepare_split(bench.student_config), model_of(bench)
    file = f"{settings['checkpoint_dir']}/{method}-{process_rank()}.pth"
    trainer = run_trainer(Watching, bench.config, model, split, file)
    left = sorted(str(file) for file in Path(settings["checkpoint_dir"]).glob(f"{method}-*"))
    return {
        "lists": trainer.lists,
        "weights": trainer.weights,
        "stopped": trainer.stopped,
        "left": left,
        "best": trainer.best_valid_score,
        "losses": trainer.train_loss_dict,
        "moments": list(trainer.optimizer.state_dict()["state"].values()),
    }


def evaluation(settings):
    """RecBole's metrics of one model, each process with its part of the users."""
    bench = bench_of("SLD", settings, **MEASURED)
    trainer = DistributedKDTrainer(bench.config, model_of(bench))
    shard_loader(bench.data.valid, even=False)
    trainer.eval_collector.data_collect(bench.data.train)
    users = [int(user) for batch in bench.data.valid for user in batch[0]["user_id"]]
    return users, trainer.evaluate(bench.data.valid, load_best_model=False)


def drawing(settings):
    """What each process draws in two epochs: users, positive and negative items, and the draws of a term."""
    bench = bench_of("MKD", settings)
    data, model = prepare_split(bench.student_config), model_of(bench)
    shard_loader(data.train, even=True)
    results = []
    for epoch in range(2):
        sync_from_rank0(model, epoch)
        seed_per_rank(model.terms, bench.config, epoch)
        batches = [[batch[name].tolist() for name in ("user_id", "item_id", "neg_item_id")] for batch in data.train]
        results.append((batches, torch.rand(3, generator=model.terms[0].generator).tolist()))
    return results


def missing():
    """Gradients where the second of three parameters has one in the second process alone, and the third in none."""
    weights = [torch.nn.Parameter(torch.ones(2, 3)) for _ in range(3)]
    weights[0].grad = torch.full((2, 3), 1.0 + process_rank())
    if process_rank() == 1:
        weights[1].grad = torch.full((2, 3), 4.0)
    reduce_gradients(weights, 0.5)
    return [weight.grad for weight in weights]


def not_finite(settings):
    """The message where one process alone has a loss that is not finite."""
    bench = bench_of("MKD", settings)
    # the same name in both processes, as run_trainer gives it: a trainer's default name contains the time
    trainer = DistributedKDTrainer(bench.config, model_of(bench), TrainingFiles("student.pth"))
    trainer._start_epoch(0)
    losses = trainer.model.calculate_loss(half(bench.batch()))
    if process_rank() == 1:
        trainer.model.losses["CPD"] *= torch.nan
    try:
        trainer._check_nan(sum(losses))
    except ArithmeticError as error:
        return str(error)


def unlike(settings):
    """The message where a term draws other lists in one process."""
    bench = bench_of("SLD", settings)
    model = model_of(bench)
    model.terms[0].candidates.ids += process_rank()
    try:
        check_same_lists(model.terms)
    except KDError as error:
        return str(error)


def other_epoch(settings):
    """The message where one process starts at another epoch."""
    model = model_of(bench_of("SLD", settings))
    try:
        sync_from_rank0(model, process_rank())
    except KDError as error:
        message = str(error)
    else:
        message = None
    if process_rank() == 1:  # receive the weights, which rank 0 has sent
        broadcast_tensors([*model.parameters(), *model.student.buffers()])
    return message


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pair")


@pytest.fixture(scope="module")
def module_settings(folder, small):
    return {**small(folder), "train_batch_size": 126}  # which halves evenly


@pytest.fixture(scope="module")
def alone(folder, module_settings):
    """The mean of both halves' gradients, in one process, of each method."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        return [mean_of_halves(module_settings, method, keys) for method, keys in METHODS]
    finally:
        os.chdir(before)


def mean_of_halves(settings, method, keys):
    bench = ConformanceRun(method, settings, **keys)
    factor = 1.0 if keys.get("kd_reduction") == "sum" else 0.5
    halves = []
    for rank in (0, 1):
        model = model_of(bench)
        model.start_epoch(0)
        process_group._current = ProcessInfo(rank, 2, rank, 2, "")
        try:
            seed_per_rank(model.terms, bench.config, 0)
            batch = half(bench.batch())
        finally:
            process_group._current = None
        sum(model.train().calculate_loss(batch)).backward()
        halves.append({name: weight.grad for name, weight in model.named_parameters()})
    first, second = halves
    return {name: None if first[name] is None else factor * (first[name] + second[name]) for name in first}


@pytest.fixture(scope="module")
def results(alone, folder, module_settings):
    """The results of both processes, by rank."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        with forked_launches():
            return launch_processes(both, pair(), (module_settings, METHODS))
    finally:
        os.chdir(before)


@pytest.mark.parametrize("index", range(len(METHODS)), ids=NAMES)
def test_the_gradient_is_the_mean_of_both_halves(index, results, alone):
    assert any(wanted is not None and wanted.abs().max() > 0 for wanted in alone[index].values())
    for both_have in (results[0]["gradients"][index], results[1]["gradients"][index]):
        assert set(both_have) == set(alone[index])
        for name, wanted in alone[index].items():
            got = both_have[name]
            assert (got is None) == (wanted is None), name
            if wanted is not None:
                torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-6 * float(wanted.abs().max()), msg=name)


def test_a_gradient_missing_in_one_process_counts_as_zeros_and_one_missing_in_all_stays_none(results):
    for first, second, third in (one["missing"] for one in results):
        assert torch.equal(first, torch.full((2, 3), 1.5)) and torch.equal(second, torch.full((2, 3), 2.0))
        assert third is None


@pytest.mark.parametrize("method", TRAINED)
def test_lists_weights_and_the_end_are_the_same_everywhere(method, results):
    one, other = results[0][method], results[1][method]
    assert one["stopped"] == other["stopped"] and one["best"] == other["best"] < 1
    assert one["losses"] == other["losses"]
    for what in ("lists", "weights"):
        for first, second in zip(one[what], other[what], strict=True):
            assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert len(one["weights"]) > 1 and not torch.equal(one["weights"][0][0], one["weights"][-1][0])
    for first, second in zip(one["moments"], other["moments"], strict=True):
        assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("method", TRAINED)
def test_the_first_process_alone_writes(method, results):
    assert [Path(file).name for file in results[0][method]["left"]] == [f"{method}-0.pth", f"{method}-0.pth.json"]


def test_metrics_are_of_all_users_each_once(results, folder, module_settings, monkeypatch):
    monkeypatch.chdir(folder)
    bench = ConformanceRun("SLD", module_settings, **MEASURED)
    model = model_of(bench)
    wanted, _ = evaluate(bench.student_config, model.student, bench.data)
    (users, metrics), (other_users, other_metrics) = results[0]["evaluation"], results[1]["evaluation"]
    assert (
        sorted(users + other_users) == [int(user) for user in bench.data.valid.uid_list]
        and abs(len(users) - len(other_users)) < 2
    )
    assert dict(metrics) == dict(other_metrics) == pytest.approx(wanted)


def test_the_shards_add_up_to_the_batches_of_one_process_with_negatives_of_each_process(
    results, folder, module_settings
):
    data = prepare_split(plain_config(make_config("MKD", config_dict=module_settings)))
    for epoch in range(2):
        batches = [
            sorted(zip(batch["user_id"].tolist(), batch["item_id"].tolist(), strict=True)) for batch in data.train
        ]
        (first, draws), (second, other_draws) = results[0]["drawing"][epoch], results[1]["drawing"][epoch]
        assert len(first) == len(second) == len(batches) > 2
        together = [sorted(zip(one[0] + two[0], one[1] + two[1], strict=True)) for one, two in zip(first, second)]  # noqa: B905
        assert together[:-1] == batches[:-1]
        assert set(together[-1]) == set(batches[-1]) and 0 <= len(together[-1]) - len(batches[-1]) < 2
        assert first[0][2] != second[0][2] and draws != other_draws
    assert results[1]["drawing"][0][1] != results[1]["drawing"][1][1]  # not the same in every epoch


def test_all_stop_where_one_has_a_loss_that_is_not_finite(results):
    assert results[0]["not finite"] == results[1]["not finite"]
    assert "the CPD loss is not finite at epoch 0, step 1" in results[0]["not finite"]


def test_a_term_that_draws_other_lists_is_detected(results):
    assert all("SLD has drawn other lists" in one["unlike"] for one in results)


def test_a_process_that_starts_at_another_epoch_is_detected(results):
    assert results[0]["epochs"] is None
    assert "start at epoch 1, and process 0 at epoch 0" in results[1]["epochs"]
