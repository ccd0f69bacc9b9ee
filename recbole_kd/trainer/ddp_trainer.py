"""SharedTrainer: KDTrainer in one of several processes that train one student."""

import logging
import warnings
import zlib
from contextlib import contextmanager

import recbole.trainer.trainer as stock
import torch
from recbole.evaluator import Collector
from recbole.utils import init_seed

from recbole_kd.distributed.process_group import (
    SHARED_FOLDER_HINT,
    all_gather,
    all_reduce_sum,
    broadcast_object,
    broadcast_tensors,
    process_count,
    process_rank,
    reduce_gradients,
)
from recbole_kd.distributed.sharding import shard_loader
from recbole_kd.errors import KDError
from recbole_kd.trainer.cache_key import outcome_settings
from recbole_kd.trainer.kd_trainer import KDTrainer

PER_USER_STATS = (
    "rec.topk",
    "rec.meanrank",
    "rec.score",
    "rec.items",
    "data.label",
)  # what RecBole's Collector has a row a user


class DistributedKDTrainer(KDTrainer):
    """Trains a Distiller together with the other processes: each takes its part of every batch, and the gradients are
    averaged before each step, so that all have the same weights throughout. The first process alone writes.

    What a term draws for an epoch is drawn alike in all of them; what it draws in a step, and RecBole's negative items,
    each draws for itself.

    Args:
        config, model: as of KDTrainer.
    """

    def __init__(self, config, model):
        with _without_tensorboard(process_rank() > 0):
            super().__init__(config, model)
        self.eval_collector = DistributedCollector(self.config)
        # of a sum over the batch's rows each process has its own part
        self.factor = 1.0 if self.config["kd_reduction"] == "sum" else 1.0 / process_count()

    def fit(self, train_data, valid_data=None, *args, **kwargs):
        shard_loader(train_data, even=True)  # as many steps in each: a step waits for all
        if valid_data is not None:
            shard_loader(valid_data, even=False)
        return super().fit(train_data, valid_data, *args, **kwargs)

    def _start_epoch(self, epoch):
        sync_from_rank0(self.model, epoch)
        super()._start_epoch(epoch)
        check_same_lists(self.model.terms)
        seed_per_rank(self.model.terms, self.config, epoch)

    def _train_epoch(self, train_data, epoch_idx, loss_func=None, show_progress=False):
        losses = super()._train_epoch(train_data, epoch_idx, loss_func, show_progress)
        return tuple((all_reduce_sum(torch.tensor(losses, dtype=torch.float64)) * self.factor).tolist())

    def _check_nan(self, loss):
        values = all_reduce_sum(torch.stack([value.float().reshape(()) for value in self.model.losses.values()]))
        self.model.losses = dict(zip(self.model.losses, values * self.factor, strict=True))
        super()._check_nan(sum(self.model.losses.values()))  # all stop where one has to
        loss.register_hook(self._when_backward_begins)

    def _when_backward_begins(self, _gradient):
        # between RecBole's backward() and its clipping there is no hook but this: called when the pass is through
        torch.autograd.Variable._execution_engine.queue_callback(self._share_gradients)

    def _share_gradients(self):
        reduce_gradients(self.model.parameters(), self.factor)

    def _valid_epoch(self, valid_data, show_progress=False):
        # one number for all, so that all stop together
        return broadcast_object(super()._valid_epoch(valid_data, show_progress))

    def _save_checkpoint(self, epoch, verbose=True, **kwargs):
        if process_rank() == 0:
            super()._save_checkpoint(epoch, verbose, **kwargs)

    def _write_resume_point(self, epoch):
        if process_rank() == 0:
            super()._write_resume_point(epoch)


class DistributedCollector(Collector):
    """RecBole's Collector, each process of which has seen some of the users: metrics are of all of them."""

    def get_data_struct(self):
        own = super().get_data_struct()
        parts = all_gather({name: own.get(name) for name in PER_USER_STATS if name in own})
        for name in parts[0]:
            own.set(name, torch.cat([part[name] for part in parts if name in part]))
        return own


def sync_from_rank0(model, epoch):
    """Before an epoch: the first process's weights and where its terms' randomness stands, for all. Raises KDError."""
    theirs, states = broadcast_object((epoch, [term.get_extra_state() for term in model.terms]))
    if theirs != epoch:
        raise KDError(
            f"process {process_rank()} would go on at epoch {epoch}, and the first one at {theirs}: "
            f"{SHARED_FOLDER_HINT}"
        )
    for term, state in zip(model.terms, states, strict=True):
        term.set_extra_state(state)
    broadcast_tensors([*model.parameters(), *model.student.buffers()])


def check_same_settings(config):
    """Raise KDError, in all processes, where one has other settings than the first."""
    first, *others = all_gather(outcome_settings(config.final_config_dict))
    for rank, own in enumerate(others, 1):
        for key in sorted(first | own):
            if own.get(key) != first.get(key):
                raise KDError(
                    f"{key} is {first.get(key)} in the first process and {own.get(key)} in process {rank}: "
                    "start all machines with the same settings"
                )


def check_same_data(data):
    """Raise KDError, in all processes, where not all have the same split."""
    if len(set(all_gather(data.fingerprint.combined))) > 1:
        raise KDError("the dataset's files are not the same for all processes: give all machines the same ones")


def check_same_lists(terms):
    """Raise KDError where a term has drawn other lists for the epoch than in another process."""
    own = {
        term.name: [_digest(buffer) for buffer in term.buffers() if not buffer.is_floating_point()] for term in terms
    }
    everywhere = all_gather(own)
    for name in own:
        if any(theirs[name] != own[name] for theirs in everywhere):
            raise KDError(
                f"{name} has drawn other lists than in another process: what lasts for an epoch has to come from its "
                "generator, the student and the teacher alone; leave nproc out"
            )


def _digest(buffer):
    return zlib.crc32(buffer.detach().cpu().contiguous().numpy().tobytes())


def seed_per_rank(terms, config, epoch):
    """From here on each process draws for itself; the first one as it would alone. What the others draw depends on the
    epoch, so that a resumed training draws the same.
    """
    if process_rank() == 0:
        return
    name = f"{config['seed']} {epoch} {process_rank()}"
    init_seed(zlib.crc32(name.encode()), config["reproducibility"])
    for term in terms:
        term.generator.manual_seed(zlib.crc32(f"{term.name} {name}".encode()))


def silence_rank(config):
    """In the processes that do not write: no log, no bar, no warning that the first one gives too."""
    logging.getLogger().setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    config["show_progress"] = config["log_wandb"] = False


class _NullWriter:
    """In place of a SummaryWriter."""

    def add_scalar(self, *args):
        """Nothing."""

    add_hparams = add_scalar


@contextmanager
def _without_tensorboard(wanted):
    """RecBole's Trainer makes its own writer, and the writer a file: the name is swapped while one is constructed."""
    maker = stock.get_tensorboard
    if wanted:
        stock.get_tensorboard = lambda logger: _NullWriter()
    try:
        yield
    finally:
        stock.get_tensorboard = maker
