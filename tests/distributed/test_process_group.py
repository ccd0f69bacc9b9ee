"""Several processes that train one student: what they share, that they agree, and how they end."""

import datetime
import itertools
import logging
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path

import filelock
import psutil
import pytest
import torch
from recbole_kd.testing.conformance import Bench, same_weights
from recbole.utils import init_seed

from recbole_kd import experiment
from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.cli import main
from recbole_kd.config.configurator import plain_config
from recbole_kd.config.schema import method_names
from recbole_kd.data.split import prepare_split
from recbole_kd.distributed import process_group
from recbole_kd.distributed.launcher import _free_port, launch_processes, process_layout
from recbole_kd.distributed.process_group import (
    ProcessInfo,
    all_gather,
    broadcast_object,
    broadcast_tensors,
    join_group,
    process_count,
    process_rank,
    rank0_first,
    reduce_gradients,
)
from recbole_kd.distributed.sharding import ShardSampler, divided_threads, shard_loader
from recbole_kd.errors import KDError
from recbole_kd.evaluation.metrics import evaluate
from recbole_kd.experiment import get_distilled, make_config
from recbole_kd.knowledge import base as knowledge_base
from recbole_kd.method.checks import check_distributable
from recbole_kd.method.distiller import Distiller
from recbole_kd.method.registry import method_class
from recbole_kd.quick_start import _run_rank, objective_function, run_kd
from recbole_kd.teacher import provider
from recbole_kd.teacher.provider import provide_teachers
from recbole_kd.term.nkd import NKD
from recbole_kd.trainer.cache_key import run_key
from recbole_kd.trainer.ddp_trainer import DistributedKDTrainer
from recbole_kd.trainer.options import TrainingFiles
from recbole_kd.trainer.rank_agreement import (
    check_same_data,
    check_same_lists,
    check_same_settings,
    seed_per_rank,
    sync_from_rank0,
)
from recbole_kd.trainer.training import run_trainer
from recbole_kd.tune.tuner import tune

REPO = Path(__file__).resolve().parents[2]
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
    """Two Places on this machine."""
    meeting = f"tcp://localhost:{_free_port()}"
    return [ProcessInfo(rank, 2, rank, 2, meeting) for rank in (0, 1)]


@pytest.fixture
def here(monkeypatch):
    """Makes this process one of several in name, without any others."""

    def be(rank, world=2):
        monkeypatch.setattr(process_group, "_current", ProcessInfo(rank, world, rank, world, ""))

    yield be
    monkeypatch.undo()


# What two processes do, in one pair for all


def both(place, settings, methods):
    """Everything that is looked at below, by the name of the test that does."""
    logging.getLogger().setLevel(logging.ERROR)
    with join_group(place, CPU):
        found = {"gradients": [gradients(settings, method, keys) for method, keys in methods]}
        for method, keys in TRAINED.items():
            found[method] = training(settings, method, keys)
        found["evaluation"] = evaluation(settings)
        found["drawing"] = drawing(settings)
        found["missing"] = missing()
        found["not finite"] = not_finite(settings)
        found["unlike"] = unlike(settings)
        found["epochs"] = other_epoch(settings)
        return all_gather(found)


def half(batch):
    return batch[torch.arange(len(batch))[process_rank() :: 2]]


def bench_of(method, settings, **keys):
    """The first process trains the teacher, as in a run."""
    with rank0_first():
        return Bench(method, settings, **keys)


def gradients(settings, method, keys):
    """Of the first step of a training, each process with its half of a batch."""
    bench = bench_of(method, settings, **keys)
    trainer = DistributedKDTrainer(bench.config, model_of(bench))
    if process_rank() == 1:  # nobody hands these on: they have to come from the first one
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
    """Notes what the processes have in common at each epoch, and what each has seen."""

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
        """As on a machine that computes otherwise."""
        found = super().evaluate(*args, **kwargs)
        return {name: value + process_rank() * len(self.weights) for name, value in found.items()}


def training(settings, method, keys):
    """A whole training with early stopping: lists and weights at each epoch, scores, and when it ended."""
    bench = bench_of(method, {**settings, "epochs": 12, "stopping_step": 1}, **keys)
    split, model = prepare_split(bench.student_config), model_of(bench)
    file = f"{settings['checkpoint_dir']}/{method}-{process_rank()}.pth"
    trainer = run_trainer(Watching, bench.config, model, split, file)
    left = sorted(str(file) for file in Path(settings["checkpoint_dir"]).glob(f"{method}-*"))
    return {
        "lists": trainer.lists, "weights": trainer.weights, "stopped": trainer.stopped, "left": left,
        "best": trainer.best_valid_score, "losses": trainer.train_loss_dict,
        "moments": list(trainer.optimizer.state_dict()["state"].values()),
    }  # fmt: skip


def evaluation(settings):
    """RecBole's metrics of one model, each process with its part of the users."""
    bench = bench_of("SLD", settings, **MEASURED)
    trainer = DistributedKDTrainer(bench.config, model_of(bench))
    shard_loader(bench.data.valid, even=False)
    trainer.eval_collector.data_collect(bench.data.train)
    users = [int(user) for batch in bench.data.valid for user in batch[0]["user_id"]]
    return users, trainer.evaluate(bench.data.valid, load_best_model=False)


def drawing(settings):
    """What each process is given in two epochs: users, positive and negative items, the terms' own draws."""
    bench = bench_of("MKD", settings)
    data, model = prepare_split(bench.student_config), model_of(bench)
    shard_loader(data.train, even=True)
    found = []
    for epoch in range(2):
        sync_from_rank0(model, epoch)
        seed_per_rank(model.terms, bench.config, epoch)
        batches = [[batch[name].tolist() for name in ("user_id", "item_id", "neg_item_id")] for batch in data.train]
        found.append((batches, torch.rand(3, generator=model.terms[0].generator).tolist()))
    return found


def missing():
    """Gradients where the second of three parameters has one in the second process alone, and the third in none."""
    weights = [torch.nn.Parameter(torch.ones(2, 3)) for _ in range(3)]
    weights[0].grad = torch.full((2, 3), 1.0 + process_rank())
    if process_rank() == 1:
        weights[1].grad = torch.full((2, 3), 4.0)
    reduce_gradients(weights, 0.5)
    return [weight.grad for weight in weights]


def not_finite(settings):
    """What is said where one process alone has a loss that is not finite."""
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
    """What is said where a term draws for an epoch what is its own."""
    bench = bench_of("SLD", settings)
    model = model_of(bench)
    model.terms[0].items += process_rank()
    try:
        check_same_lists(model.terms)
    except KDError as error:
        return str(error)


def other_epoch(settings):
    """What is said where one process goes on at another epoch."""
    model = model_of(bench_of("SLD", settings))
    try:
        sync_from_rank0(model, process_rank())
    except KDError as error:
        said = str(error)
    else:
        said = None
    if process_rank() == 1:  # the weights, which the first one has sent
        broadcast_tensors([*model.parameters(), *model.student.buffers()])
    return said


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
    bench = Bench(method, settings, **keys)
    factor = 1.0 if keys.get("kd_reduction") == "sum" else 0.5
    parts = []
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
        parts.append({name: weight.grad for name, weight in model.named_parameters()})
    first, second = parts
    return {name: None if first[name] is None else factor * (first[name] + second[name]) for name in first}


@pytest.fixture(scope="module")
def found(alone, folder, module_settings):
    """What both processes have found, by their number."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        return launch_processes(both, pair(), (module_settings, METHODS))
    finally:
        os.chdir(before)


@pytest.mark.parametrize("place", range(len(METHODS)), ids=NAMES)
def test_the_gradient_is_the_mean_of_both_halves(place, found, alone):
    assert any(wanted is not None and wanted.abs().max() > 0 for wanted in alone[place].values())
    for both_have in (found[0]["gradients"][place], found[1]["gradients"][place]):
        assert set(both_have) == set(alone[place])
        for name, wanted in alone[place].items():
            got = both_have[name]
            assert (got is None) == (wanted is None), name
            if wanted is not None:
                torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-6 * float(wanted.abs().max()), msg=name)


def test_a_gradient_that_one_lacks_counts_as_zeros_and_one_that_nobody_has_stays_none(found):
    for first, second, third in (one["missing"] for one in found):
        assert torch.equal(first, torch.full((2, 3), 1.5)) and torch.equal(second, torch.full((2, 3), 2.0))
        assert third is None


@pytest.mark.parametrize("method", TRAINED)
def test_lists_weights_and_the_end_are_the_same_everywhere(method, found):
    one, other = found[0][method], found[1][method]
    assert one["stopped"] == other["stopped"] and one["best"] == other["best"] < 1
    assert one["losses"] == other["losses"]
    for what in ("lists", "weights"):
        for mine, theirs in zip(one[what], other[what], strict=True):
            assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))
    assert len(one["weights"]) > 1 and not torch.equal(one["weights"][0][0], one["weights"][-1][0])
    for mine, theirs in zip(one["moments"], other["moments"], strict=True):
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("method", TRAINED)
def test_the_first_process_alone_writes(method, found):
    assert [Path(file).name for file in found[0][method]["left"]] == [f"{method}-0.pth", f"{method}-0.pth.json"]


def test_metrics_are_of_all_users_each_once(found, folder, module_settings, monkeypatch):
    monkeypatch.chdir(folder)
    bench = Bench("SLD", module_settings, **MEASURED)
    model = model_of(bench)
    wanted, _ = evaluate(bench.student_config, model.student, bench.data)
    (some, mine), (rest, theirs) = found[0]["evaluation"], found[1]["evaluation"]
    assert sorted(some + rest) == [int(user) for user in bench.data.valid.uid_list] and abs(len(some) - len(rest)) < 2
    assert dict(mine) == dict(theirs) == pytest.approx(wanted)


def test_together_they_see_the_batches_that_one_would_and_draw_their_own_negatives(found, folder, module_settings):
    data = prepare_split(plain_config(make_config("MKD", config_dict=module_settings)))
    for epoch in range(2):
        whole = [sorted(zip(batch["user_id"].tolist(), batch["item_id"].tolist(), strict=True)) for batch in data.train]
        (mine, own), (theirs, other) = found[0]["drawing"][epoch], found[1]["drawing"][epoch]
        assert len(mine) == len(theirs) == len(whole) > 2
        together = [sorted(zip(one[0] + two[0], one[1] + two[1], strict=True)) for one, two in zip(mine, theirs)]  # noqa: B905
        assert together[:-1] == whole[:-1]
        assert set(together[-1]) == set(whole[-1]) and 0 <= len(together[-1]) - len(whole[-1]) < 2
        assert mine[0][2] != theirs[0][2] and own != other
    assert found[1]["drawing"][0][1] != found[1]["drawing"][1][1]  # not the same in every epoch


def test_all_stop_where_one_has_a_loss_that_is_not_finite(found):
    assert found[0]["not finite"] == found[1]["not finite"]
    assert "the CPD loss is not finite at epoch 0, step 1" in found[0]["not finite"]


def test_a_term_that_draws_its_own_lists_is_found_out(found):
    assert all("SLD has drawn other lists" in one["unlike"] for one in found)


def test_a_process_that_goes_on_elsewhere_is_found_out(found):
    assert found[0]["epochs"] is None
    assert "start at epoch 1, and process 0 at epoch 0" in found[1]["epochs"]


# Sharing, in one process


@pytest.mark.parametrize("world", [2, 3, 5])
@pytest.mark.parametrize("size", [5, 6, 7])
def test_shares_do_not_overlap(size, world, here):
    parts, even = [], []
    for rank in range(world):
        here(rank, world)
        parts.append(list(ShardSampler(range(size), even=False)))
        assert len(ShardSampler(range(size), even=False)) == len(parts[-1])
        even.append(list(ShardSampler(range(size), even=True)))
        assert len(ShardSampler(range(size), even=True)) == len(even[-1])
    assert sorted(itertools.chain(*parts)) == list(range(size))
    drawn = list(itertools.chain(*even))
    assert set(drawn) == set(range(size)) and len({len(part) for part in even}) == 1
    assert len(drawn) - size < world


def test_a_loader_with_less_than_one_for_each_is_left_alone(here):
    loader = torch.utils.data.DataLoader(list(range(3)), batch_size=2)
    here(1, 4)
    shard_loader(loader, even=False)
    assert [batch.tolist() for batch in loader] == [[0, 1], [2]]


def test_a_process_that_is_alone_speaks_to_nobody():
    assert (process_count(), process_rank()) == (1, 0)
    assert broadcast_object("it") == "it" and all_gather("it") == ["it"]
    with rank0_first(), divided_threads():
        assert process_count() == 1


def test_cores_are_parted_and_given_back(here):
    torch.set_num_threads(4)
    try:
        here(0)
        with divided_threads():
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(1)


# What is refused


def test_places_are_those_of_recboles_keys(settings):
    def places(**keys):
        return process_layout(make_config("MKD", config_dict={**settings, **keys}))

    assert [(place.rank, place.world_size, place.local_rank) for place in places()] == [(0, 1, 0)]
    assert [(place.rank, place.world_size, place.local_rank) for place in places(nproc=2)] == [(0, 2, 0), (1, 2, 1)]
    second = places(nproc=2, world_size=4, group_offset=2, ip="first", port=7)
    assert [(place.rank, place.local_rank, place.init_method) for place in second] == [
        (2, 0, "tcp://first:7"), (3, 1, "tcp://first:7"),
    ]  # fmt: skip
    assert places(nproc=2, world_size=4, ip="first")[0].init_method == "tcp://first:5678"
    assert places(nproc=2)[0].init_method != places(nproc=2)[0].init_method  # two runs on one machine do not meet
    for wrong in ({"nproc": 2, "world_size": 3, "group_offset": 2}, {"nproc": 2, "world_size": 1}):
        with pytest.raises(KDError, match="world_size"):
            places(**wrong)
    for key in ("nproc", "world_size", "group_offset", "port"):
        with pytest.raises(KDError, match=key):
            places(**{key: -2})


def test_torchrun_gives_the_place(settings, monkeypatch):
    numbers = {"RANK": 3, "WORLD_SIZE": 4, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 2, "TORCHELASTIC_RUN_ID": "x"}
    for name, value in numbers.items():
        monkeypatch.setenv(name, str(value))
    assert process_layout(make_config("MKD", config_dict=settings)) == [ProcessInfo(3, 4, 1, 2, "env://")]
    with pytest.raises(KDError, match="torchrun"):
        process_layout(make_config("MKD", config_dict={**settings, "nproc": 2}))


def test_fewer_gpus_than_processes_are_refused(settings, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    config = make_config("MKD", config_dict={**settings, "nproc": 2, "gpu_id": 0})
    config["device"] = torch.device("cuda")
    with pytest.raises(KDError, match=r"2 processes need as many GPUs, and gpu_id=0 gives 1.*gpu_id=0,1"):
        process_layout(config)


def test_a_term_that_cannot_be_shared_is_refused_before_anything_starts(settings, workdir, monkeypatch):
    monkeypatch.setattr(NKD, "distributable", False)
    monkeypatch.setattr("recbole_kd.quick_start.launch_processes", None)
    with pytest.raises(KDError, match="NKD cannot be trained by several processes"):
        run_kd("MKD", config_dict={**settings, "nproc": 2})
    assert not list(workdir.rglob("*.pth"))
    check_distributable(make_config("SLD", config_dict=settings))


def test_searches_and_recboles_own_run_refuse_several_processes(settings, workdir):
    keys = {**settings, "nproc": 2}
    with pytest.raises(KDError, match="nproc"):
        tune("MKD", config_dict=keys, trials=1)
    with pytest.raises(KDError, match="nproc"):
        objective_function({**keys, "model": "MKD"})
    stock = plain_config(make_config("MKD", config_dict=settings))
    stock["single_spec"] = False
    with pytest.raises(KDError, match="nproc"):
        Distiller(stock, None)
    assert not list(workdir.rglob("*.pth"))


def test_a_student_of_several_processes_is_stored_as_another_one(settings, here, monkeypatch):
    config = make_config("SLD", config_dict=settings)
    data, files = prepare_split(plain_config(config)), []
    monkeypatch.setattr(experiment, "_distil", lambda config, knowledge, file: files.append(file))
    monkeypatch.setattr(experiment, "read_trained", lambda file: None)
    monkeypatch.setattr(experiment, "load_weights", lambda *args: None)
    monkeypatch.setattr(experiment, "broadcast_object", lambda what=None: what)
    for world in (1, 2, 3):
        here(0, world)
        get_distilled(config, data, None, "teacher")
    assert len(set(files)) == 3
    several = make_config("SLD", config_dict={**settings, "nproc": 2, "port": 5000, "ip": "first"})
    assert run_key(several, data.fingerprint) == run_key(config, data.fingerprint)  # where, not how many


# Whole runs


def last(text):
    return text.splitlines()[-1]


def fail(place):
    with join_group(place, CPU):
        if place.rank == 1:
            raise KDError("this one's fault")
        broadcast_object("never taken")
        all_gather("never answered")


def test_a_port_that_is_taken_is_said(workdir):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        meeting = f"tcp://localhost:{taken.getsockname()[1]}"
        with pytest.raises(ConnectionError, match=f"process 0 of 2 does not find the others at {meeting}"):  # noqa: SIM117
            with join_group(ProcessInfo(0, 2, 0, 2, meeting), CPU):
                pass
    assert process_count() == 1


def test_the_error_of_one_ends_all_and_is_the_one_that_is_said(workdir):
    with pytest.raises(KDError, match="this one's fault"):
        launch_processes(fail, pair(), ())
    assert not multiprocessing.active_children()


def unlike_settings(place, settings):
    config = make_config("SLD", config_dict={**settings, "learning_rate": (0.01, 0.1)[place.rank]})
    with join_group(place, CPU):
        check_same_settings(config)


def test_machines_of_other_settings_are_refused(settings, workdir):
    said = "learning_rate is 0.01 in process 0 and 0.1 in process 1"
    with pytest.raises(KDError, match=said):
        launch_processes(unlike_settings, pair(), (settings,))


def test_machines_of_other_files_and_folders_are_refused(settings, workdir, here, monkeypatch):
    config = make_config("SLD", config_dict=settings)
    data = prepare_split(plain_config(config))
    here(1, 2)
    monkeypatch.setattr("recbole_kd.trainer.rank_agreement.all_gather", lambda own: [own, "another"])
    with pytest.raises(KDError, match="files differ between the processes"):
        check_same_data(data)
    with pytest.raises(KDError, match=r"process 1 finds no teacher BPR in .*saved/teacher: all processes have to see"):
        provide_teachers(config, data)
    assert not list(workdir.rglob("*.pth"))


def test_whoever_waits_for_nobody_ends(monkeypatch):
    monkeypatch.setattr(process_group, "RENDEZVOUS_TIMEOUT", datetime.timedelta(seconds=2))
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    for rank in (0, 1):
        with pytest.raises(ConnectionError, match=f"process {rank} of 2 does not find the others"):  # noqa: SIM117
            with join_group(ProcessInfo(rank, 2, 0, 1, f"tcp://localhost:{port}"), CPU):
                pass
    assert process_count() == 1


def fail_late(place):
    """The first one's error, which the other one hears of before it is said."""
    if place.rank == 0:
        said = traceback.format_exc
        traceback.format_exc = lambda: (time.sleep(1.5), said())[1]
    with join_group(place, CPU):
        if place.rank == 0:
            raise KDError("the first one's fault")
        all_gather("never answered")


def no_room(place):
    """As where the disk is full: nothing can be written any more."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    return place.rank


def test_the_cause_is_said_though_another_ends_before(workdir):
    with pytest.raises(KDError, match="the first one's fault"):
        launch_processes(fail_late, pair(), ())


def test_an_answer_that_cannot_be_written_is_said(workdir, capfd):
    with pytest.raises(ChildProcessError, match=r"ended without a result.*check that there is room for temporary files in"):
        launch_processes(no_room, pair(), ())
    assert "Traceback" not in capfd.readouterr().err


def argv_of(settings, folder, *more):
    flat = {key: value for key, value in settings.items() if key not in ("teacher", "checkpoint_dir")}
    flat |= {"model": "SLD", "checkpoint_dir": folder, "teacher.embedding_size": 12, "baseline": False}
    flat |= {"stopping_step": 10000, "sld_refresh": 1}
    return [*(f"--{key}={value}" for key, value in flat.items()), *more]


def one_after_the_other(place, argvs, second_meeting):
    """Two runs in the same pair of processes, of which the first one alone trains teachers and stores knowledge."""
    write = knowledge_base.write_arrays
    if place.rank > 0:
        provider.train = knowledge_base.write_arrays = None
    else:  # long enough for the other to come and look for it
        knowledge_base.write_arrays = lambda *args: (time.sleep(3), write(*args))
    places = (place, replace(place, init_method=second_meeting))
    return [_run_rank(where, (None, None, None, None, argv)) for where, argv in zip(places, argvs, strict=True)]


def distilled(folder):
    return next(folder.glob("BPR-toy-SLD-*.pth"))


def test_killed_the_run_ends_in_one_sentence_and_goes_on_to_the_same_bits(settings, workdir, capfd):
    settings |= {"state": "INFO", "epochs": 30, "nproc": 2}

    def kill():
        while not list((workdir / "cut").glob("BPR-toy-SLD-*.pth")):
            time.sleep(0.02)
        victim = max(multiprocessing.active_children(), key=lambda process: process.pid)
        victim.kill()

    threading.Thread(target=kill, daemon=True).start()
    began = time.monotonic()
    assert main(argv_of(settings, workdir / "cut")) == 1
    assert time.monotonic() - began < 60 and not multiprocessing.active_children()
    out, err = capfd.readouterr()
    assert last(err).startswith("recbole_kd: process 1 of 2 was killed (SIGKILL")
    assert "Traceback" not in out + err
    assert not list((workdir / "cut").glob("BPR-*.json")) and len(list((workdir / "cut").glob("BPR-*.resume"))) == 1
    read_checkpoint(distilled(workdir / "cut"))  # whole

    # one log, and TensorBoard's files of one process
    assert len(list((workdir / "log" / "BPR").iterdir())) == 1
    assert len({file.name.split(".")[-2] for file in (workdir / "log_tensorboard").rglob("events*")}) == 1

    argvs = [argv_of(settings, workdir / "cut", "--resume=True"), argv_of(settings, workdir / "whole")]
    found = launch_processes(one_after_the_other, pair(), (argvs, pair()[0].init_method))
    assert "resuming at epoch" in capfd.readouterr().err
    assert [result["config"]["nproc"] for result in found] == [2, 2]
    assert found[0]["distilled"]["test_result"] == found[1]["distilled"]["test_result"]
    cut, whole = (read_checkpoint(distilled(workdir / name)) for name in ("cut", "whole"))
    assert same_weights(cut["state_dict"], whole["state_dict"])
    assert distilled(workdir / "cut").name == distilled(workdir / "whole").name
    assert not list(workdir.rglob("*.resume")) and not list(workdir.rglob("*.partial"))
    assert len(list((workdir / "whole").glob("BPR-*"))) == 2  # the student and its mark


def test_who_started_them_is_killed_and_they_end_too(settings, workdir):
    settings |= {"epochs": 5000, "nproc": 2}
    run = subprocess.Popen(
        [sys.executable, str(REPO / "run_kd.py"), *argv_of(settings, workdir / "saved")],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as a shell's background jobs have it
    )  # fmt: skip
    while not list((workdir / "saved").glob("**/BPR-*.resume")):
        assert run.poll() is None
        time.sleep(0.05)
    children = psutil.Process(run.pid).children()
    run.kill()
    run.wait()
    assert len(children) > 1
    _, left = psutil.wait_procs(children, timeout=10)
    assert not left
    with filelock.FileLock(workdir / "saved" / ".recbole_kd.lock", timeout=0):
        pass


def test_torchrun_starts_a_run(settings, workdir):
    run = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", str(REPO / "run_kd.py")]
    ended = subprocess.run([*run, *argv_of(settings, workdir / "saved")], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("distilled (SLD)") == 1
    assert len(list((workdir / "saved").glob("BPR-*.pth"))) == 1
