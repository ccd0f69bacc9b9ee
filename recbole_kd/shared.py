"""SharedTrainer: KDTrainer in one of several processes that train one student."""

import logging
import warnings
import zlib
from contextlib import contextmanager

import recbole.trainer.trainer as stock
import torch
from recbole.evaluator import Collector
from recbole.utils import init_seed

from recbole_kd import processes
from recbole_kd.config import KDError
from recbole_kd.model import term_names_of
from recbole_kd.teacher import fit
from recbole_kd.term import get_term
from recbole_kd.trainer import KDTrainer

ROWS = ("rec.topk", "rec.meanrank", "rec.score", "rec.items", "data.label")  # what RecBole's Collector has a row a user


class SharedTrainer(KDTrainer):
    """Trains a Distiller together with the other processes: each takes its part of every batch, and the gradients are
    averaged before each step, so that all have the same weights throughout. The first process alone writes.

    What a term draws for an epoch is drawn alike in all of them; what it draws in a step, and RecBole's negative items,
    each draws for itself.

    Args:
        config, model: as of KDTrainer.
    """

    def __init__(self, config, model):
        with _no_tensorboard(processes.rank() > 0):
            super().__init__(config, model)
        self.eval_collector = SharedCollector(self.config)
        # of a sum over the batch's rows each process has its own part
        self.factor = 1.0 if self.config["kd_reduction"] == "sum" else 1.0 / processes.count()

    def fit(self, train_data, valid_data=None, *args, **kwargs):
        processes.share(train_data, even=True)  # as many steps in each: a step waits for all
        if valid_data is not None:
            processes.share(valid_data, even=False)
        return super().fit(train_data, valid_data, *args, **kwargs)

    def _begin(self, epoch):
        level(self.model, epoch)
        super()._begin(epoch)
        check_alike(self.model.terms)
        draw_apart(self.model.terms, self.config, epoch)

    def _train_epoch(self, train_data, epoch_idx, loss_func=None, show_progress=False):
        losses = super()._train_epoch(train_data, epoch_idx, loss_func, show_progress)
        return tuple((processes.summed(torch.tensor(losses, dtype=torch.float64)) * self.factor).tolist())

    def _check_nan(self, loss):
        values = processes.summed(torch.stack([value.float().reshape(()) for value in self.model.losses.values()]))
        self.model.losses = dict(zip(self.model.losses, values * self.factor, strict=True))
        super()._check_nan(sum(self.model.losses.values()))  # all stop where one has to
        loss.register_hook(self._when_backward_begins)

    def _when_backward_begins(self, _gradient):
        # between RecBole's backward() and its clipping there is no hook but this: called when the pass is through
        torch.autograd.Variable._execution_engine.queue_callback(self._share_gradients)

    def _share_gradients(self):
        processes.share_gradients(self.model.parameters(), self.factor)

    def _valid_epoch(self, valid_data, show_progress=False):
        # one number for all, so that all stop together
        return processes.from_first(super()._valid_epoch(valid_data, show_progress))

    def _save_checkpoint(self, epoch, verbose=True, **kwargs):
        if processes.rank() == 0:
            super()._save_checkpoint(epoch, verbose, **kwargs)

    def _keep(self, epoch):
        if processes.rank() == 0:
            super()._keep(epoch)


class SharedCollector(Collector):
    """RecBole's Collector, each process of which has seen some of the users: metrics are of all of them."""

    def get_data_struct(self):
        own = super().get_data_struct()
        parts = processes.gathered({name: own.get(name) for name in ROWS if name in own})
        for name in parts[0]:
            own.set(name, torch.cat([part[name] for part in parts if name in part]))
        return own


def level(model, epoch):
    """Before an epoch: the first process's weights and where its terms' randomness stands, for all. Raises KDError."""
    theirs, states = processes.from_first((epoch, [term.get_extra_state() for term in model.terms]))
    if theirs != epoch:
        raise KDError(
            f"process {processes.rank()} would go on at epoch {epoch}, and the first one at {theirs}: "
            f"{processes.ONE_FOLDER}"
        )
    for term, state in zip(model.terms, states, strict=True):
        term.set_extra_state(state)
    processes.copy_of_first([*model.parameters(), *model.student.buffers()])


def check_settings(config):
    """Raise KDError, in all processes, where one has other settings than the first."""
    first, *others = processes.gathered(fit.decisive(config.final_config_dict))
    for rank, own in enumerate(others, 1):
        for key in sorted(first | own):
            if own.get(key) != first.get(key):
                raise KDError(
                    f"{key} is {first.get(key)} in the first process and {own.get(key)} in process {rank}: "
                    "start all machines with the same settings"
                )


def check_data(data):
    """Raise KDError, in all processes, where not all have the same split."""
    if len(set(processes.gathered(data.fingerprint.whole))) > 1:
        raise KDError("the dataset's files are not the same for all processes: give all machines the same ones")


def check_alike(terms):
    """Raise KDError where a term has drawn other lists for the epoch than in another process."""
    own = {
        term.name: [_digest(buffer) for buffer in term.buffers() if not buffer.is_floating_point()] for term in terms
    }
    everywhere = processes.gathered(own)
    for name in own:
        if any(theirs[name] != own[name] for theirs in everywhere):
            raise KDError(
                f"{name} has drawn other lists than in another process: what lasts for an epoch has to come from its "
                "generator, the student and the teacher alone; leave nproc out"
            )


def _digest(buffer):
    return zlib.crc32(buffer.detach().cpu().contiguous().numpy().tobytes())


def draw_apart(terms, config, epoch):
    """From here on each process draws for itself; the first one as it would alone. What the others draw depends on the
    epoch, so that a resumed training draws the same.
    """
    if processes.rank() == 0:
        return
    name = f"{config['seed']} {epoch} {processes.rank()}"
    init_seed(zlib.crc32(name.encode()), config["reproducibility"])
    for term in terms:
        term.generator.manual_seed(zlib.crc32(f"{term.name} {name}".encode()))


def quiet(config):
    """In the processes that do not write: no log, no bar, no warning that the first one gives too."""
    logging.getLogger().setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    config["show_progress"] = config["log_wandb"] = False


class _Nowhere:
    """In place of a SummaryWriter."""

    def add_scalar(self, *args):
        """Nothing."""

    add_hparams = add_scalar


@contextmanager
def _no_tensorboard(wanted):
    """RecBole's Trainer makes its own writer, and the writer a file: the name is swapped while one is constructed."""
    maker = stock.get_tensorboard
    if wanted:
        stock.get_tensorboard = lambda logger: _Nowhere()
    try:
        yield
    finally:
        stock.get_tensorboard = maker


def check_shares(config):
    """Refuse several processes for a term that cannot be shared out to them. Raises KDError."""
    for name in term_names_of(config):
        if not get_term(name).shards:
            raise KDError(f"{name} cannot be trained by several processes: leave nproc and world_size out")
