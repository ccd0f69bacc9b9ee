"""DistributedKDTrainer: KDTrainer in one of several processes that train one student together."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import recbole.trainer.trainer as recbole_trainer
import torch
from recbole.config import Config as RecBoleConfig
from recbole.evaluator import Collector

from recbole_kd.distributed.process_group import (
    all_gather,
    all_reduce_sum,
    broadcast_object,
    process_count,
    process_rank,
    reduce_gradients,
)
from recbole_kd.distributed.sharding import shard_loader
from recbole_kd.trainer.kd_trainer import KDTrainer
from recbole_kd.trainer.options import TrainingFiles
from recbole_kd.trainer.rank_agreement import check_same_lists, seed_per_rank, sync_from_rank0

# what RecBole's Collector holds a row for each user of
PER_USER_STATS = ("rec.topk", "rec.meanrank", "rec.score", "rec.items", "data.label")


class DistributedKDTrainer(KDTrainer):
    """Trains a Distiller together with the other processes.

    Each process takes its shard of every batch. The gradients are averaged before each step, so that all processes
    have the same weights throughout. Rank 0 alone writes files.

    What a term draws for an epoch is the same in all processes. What it draws in a step, and RecBole's negative items,
    each process draws for itself.

    Args:
        config: as of KDTrainer.
        model: as of KDTrainer.
        files: as of KDTrainer.

    Attributes:
        factor: the factor of the gradients summed over the processes. A mean over a shard counts by the share of the
            shard; a sum counts in full.
    """

    factor: float

    def __init__(self, config: RecBoleConfig, model: Any, files: TrainingFiles | None = None) -> None:
        with _without_tensorboard(process_rank() > 0):
            super().__init__(config, model, files)
        self.eval_collector = DistributedCollector(self.config)
        self.factor = 1.0 if self.config["kd_reduction"] == "sum" else 1.0 / process_count()

    def fit(self, train_data: Any, valid_data: Any = None, *args: Any, **kwargs: Any) -> tuple[float, Any]:
        """RecBole's ``fit`` on this process's shard of the data. Overridden because RecBole makes the loaders."""
        shard_loader(train_data, even=True)  # the same number of steps in each process: a step waits for all
        if valid_data is not None:
            shard_loader(valid_data, even=False)
        return super().fit(train_data, valid_data, *args, **kwargs)

    def _start_epoch(self, epoch: int) -> None:
        """Start the epoch from the state of rank 0, and check that all processes have drawn the same lists."""
        sync_from_rank0(self.model, epoch)
        super()._start_epoch(epoch)
        check_same_lists(self.model.terms)
        seed_per_rank(self.model.terms, self.config, epoch)

    def _train_epoch(self, *args: Any, **kwargs: Any) -> tuple[float, ...]:
        """RecBole's epoch. Overridden to sum its losses over the processes."""
        losses = super()._train_epoch(*args, **kwargs)
        return tuple((all_reduce_sum(torch.tensor(losses, dtype=torch.float64)) * self.factor).tolist())

    def _check_nan(self, loss: torch.Tensor) -> None:
        """Check the losses of all processes. Overridden so that all stop where one has a loss that is not finite.

        RecBole calls this just before ``backward()``, so that the reduction of the gradients is requested here too.
        """
        values = all_reduce_sum(torch.stack([value.float().reshape(()) for value in self.model.losses.values()]))
        self.model.losses = dict(zip(self.model.losses, values * self.factor, strict=True))
        super()._check_nan(sum(self.model.losses.values()))
        loss.register_hook(self._when_backward_begins)

    def _when_backward_begins(self, _gradient: torch.Tensor) -> None:
        # RecBole clips the gradients right after backward(). torch has no public hook for the end of a backward pass,
        # and the optimiser's hooks come after the clipping; FSDP uses this callback for the same purpose.
        torch.autograd.Variable._execution_engine.queue_callback(self._reduce_gradients)

    def _reduce_gradients(self) -> None:
        reduce_gradients(self.model.parameters(), self.factor)

    def _valid_epoch(self, valid_data: Any, show_progress: bool = False) -> tuple[float, Any]:
        """RecBole's validation. Overridden to give all processes the score of rank 0, so that all stop together."""
        return broadcast_object(super()._valid_epoch(valid_data, show_progress))

    def _save_checkpoint(self, epoch: int, verbose: bool = True, **kwargs: Any) -> None:
        """Write the checkpoint. Overridden because rank 0 alone writes."""
        if process_rank() == 0:
            super()._save_checkpoint(epoch, verbose, **kwargs)

    def _write_resume_point(self, epoch: int) -> None:
        if process_rank() == 0:
            super()._write_resume_point(epoch)


class DistributedCollector(Collector):
    """RecBole's Collector in one of several processes: its metrics are those of the users of all processes."""

    def get_data_struct(self) -> Any:
        """What the metrics are computed from, with the rows of all processes one after the other."""
        struct = super().get_data_struct()
        gathered = all_gather({name: struct.get(name) for name in PER_USER_STATS if name in struct})
        for name in gathered[0]:
            struct.set(name, torch.cat([stats[name] for stats in gathered if name in stats]))
        return struct


def silence_rank(config: RecBoleConfig) -> None:
    """Silence a process that does not write: no log, no progress bar, and no warning that rank 0 gives too.

    Args:
        config: the Config of the run; changed in place.
    """
    logging.getLogger().setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    config["show_progress"] = config["log_wandb"] = False


class _NullWriter:
    """A replacement of TensorBoard's SummaryWriter that writes nothing."""

    def add_scalar(self, *args: Any) -> None:
        """Do nothing."""

    def add_hparams(self, *args: Any) -> None:
        """Do nothing."""


@contextmanager
def _without_tensorboard(wanted: bool) -> Iterator[None]:
    """Construct a trainer without TensorBoard's file.

    RecBole's Trainer makes its writer in its constructor, and the writer its file; no argument prevents it. The
    function that makes it is therefore replaced for the duration of the block.
    """
    get_tensorboard = recbole_trainer.get_tensorboard
    if wanted:
        recbole_trainer.get_tensorboard = lambda logger: _NullWriter()
    try:
        yield
    finally:
        recbole_trainer.get_tensorboard = get_tensorboard
