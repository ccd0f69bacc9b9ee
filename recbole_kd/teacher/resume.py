"""Training that can be killed at any moment and goes on to the same weights, bit for bit.

A resume point is the state just before an epoch: weights, optimiser, early stopping, and every source of randomness.
It is plain tensors and numbers, read back with ``weights_only``.
"""

import io
import os
import random
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from recbole.trainer import Trainer

from recbole_kd.config import KDError, plain_config
from recbole_kd.teacher.checkpoint import to_bytes, write_whole
from recbole_kd.teacher.reduction import summed
from recbole_kd.teacher.trajectory import States

COUNTERS = (
    "cur_step", "best_valid_score", "best_valid_result", "train_loss_dict", "valid_scores", "seconds", "history",
)  # fmt: skip


class NonFiniteLoss(ArithmeticError):
    """A loss became NaN or infinite; says which one, at which epoch and step. The last good checkpoint stays."""


class ResumableTrainer(Trainer):
    """RecBole's Trainer, with checkpoints written whole and resume points beside them.

    Attributes:
        resume_file: where resume points go; none are kept where None.
        resume_interval: seconds between two of them.
        extra: entries that the checkpoint carries besides RecBole's, plain values only.
        states: where weights are kept for a trajectory; none are where None.
        history: what was said of the progress of a method's terms: by name a list of [epoch, number].
        valid_scores: the validation score of each epoch that was evaluated.
        seconds: what the training has taken, with what led to the resume point that it went on from.
    """

    resume_file: str | None = None
    resume_interval = 15.0
    extra: dict = {}
    states: States | None = None
    history: dict = {}
    valid_scores: dict = {}
    seconds = 0.0
    epoch = step = 0
    _written: float | None = None
    _counted: float | None = None
    _resumed: dict | None = None

    def shipped(self):
        """The model that a checkpoint holds."""
        return self.model

    def fit(self, train_data, valid_data=None, *args, **kwargs):
        self._loaders = [loader for loader in (train_data, valid_data) if loader is not None]
        if self._resumed is not None:
            restore_randomness(self._resumed, self._loaders)
            self._resumed = None
        self._counted = time.perf_counter()
        found = super().fit(train_data, valid_data, *args, **kwargs)
        self._count_time()
        return found

    def _count_time(self):
        now = time.perf_counter()
        if self._counted is not None:  # an epoch may be run without fit
            self.seconds += now - self._counted
        self._counted = now

    def _train_epoch(self, train_data, epoch_idx, loss_func=None, show_progress=False):
        self._begin(epoch_idx)
        if loss_func is None and self.config["kd_reduction"] == "sum":
            loss_func = self._sum
        return super()._train_epoch(train_data, epoch_idx, loss_func, show_progress)

    def _sum(self, interaction):
        return summed(self.model.calculate_loss(interaction), len(interaction), self.config)

    def _valid_epoch(self, valid_data, show_progress=False):
        score, result = super()._valid_epoch(valid_data, show_progress)
        self.valid_scores = {**self.valid_scores, self.epoch: float(score)}
        return score, result

    def _begin(self, epoch):
        self._count_time()
        self._keep(epoch)
        if self.states is not None:
            self.states.keep(epoch, self.shipped())
        self.epoch, self.step = epoch, 0

    def _losses(self):
        """The last step's losses by name, where there are several."""
        return {}

    def _check_nan(self, loss):
        self.step += 1
        if torch.isfinite(loss):
            return
        bad = [name for name, value in self._losses().items() if not torch.isfinite(value)]
        raise NonFiniteLoss(
            f"the {' and '.join(bad) or self.config['model']} loss is not finite "
            f"at epoch {self.epoch}, step {self.step}: "
            f"try a smaller learning_rate or weight; the last good checkpoint, if any, is {self.saved_model_file}"
        )

    def _save_checkpoint(self, epoch, verbose=True, **kwargs):
        model = self.shipped()
        count = len(list(model.parameters()))
        content = {
            "config": plain_config(self.config),
            "epoch": epoch,
            "cur_step": self.cur_step,
            "best_valid_score": float(self.best_valid_score),
            "state_dict": model.state_dict(),
            "other_parameter": model.other_parameter(),
            "optimizer": _first_parameters(self.optimizer.state_dict(), count),
            **self.extra,
        }
        file = kwargs.pop("saved_model_file", self.saved_model_file)
        write_whole(file, to_bytes(content))
        if verbose:
            self.logger.info(f"Saving current: {file}")

    def _keep(self, epoch):
        now = time.monotonic()
        if self.resume_file is None or (self._written is not None and now - self._written < self.resume_interval):
            return
        self._written = now
        state = {
            "epoch": epoch,
            "device": self.device.type,
            "model": torch.nn.Module.state_dict(self.model),  # of a Distiller, its terms included
            "attributes": _attributes(self.model),
            "optimizer": self.optimizer.state_dict(),
            "counters": {name: _plain(getattr(self, name)) for name in COUNTERS},
            **randomness(self._loaders),
        }
        write_whole(self.resume_file, to_bytes(state, protocol=2))  # the one that weights_only reads

    def resume(self):
        """Go back to the last resume point, if there is one. Returns the epoch that comes next, or None.

        Raises:
            KDError: it is of another kind of device, whose generators cannot go on here; it is damaged, or of another
                version, of which something has another form.
        """
        if self.resume_file is None or not Path(self.resume_file).is_file():
            return None
        content = Path(self.resume_file).read_bytes()
        try:
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            if state.get("device", self.device.type) != self.device.type:
                raise KDError(
                    f"the resume point '{self.resume_file}' was written on a {state['device']} device, and this run is "
                    f"on {self.device.type}: go on there, or remove it, and the training begins anew"
                )
            self._take(state)
        except KDError:
            raise
        except Exception as error:  # its name stands for all settings; a damaged file fails with anything
            raise KDError(
                f"the resume point '{self.resume_file}' is damaged, or of another version of recbole_kd: remove it, "
                "and the training begins anew"
            ) from error
        self._resumed = state
        return self.start_epoch

    def _take(self, state):
        torch.nn.Module.load_state_dict(self.model, state["model"])
        for name, values in state["attributes"].items():
            _put_back(vars(self.model.get_submodule(name)), values)
        self.optimizer.load_state_dict(state["optimizer"])
        for name, value in state["counters"].items():
            setattr(self, name, value)
        self.start_epoch = state["epoch"]

    def forget(self):
        """Remove the resume point of a training that has ended."""
        if self.resume_file is not None and os.path.exists(self.resume_file):
            os.remove(self.resume_file)


def _attributes(model):
    """What models count up outside their parameters and buffers: MultiVAE its updates, LINE its list and its place in
    it. Arrays of numpy's go as tensors.
    """

    def plain(value):
        if isinstance(value, list):
            return all(type(part) in (int, float) for part in value)
        if isinstance(value, np.ndarray):
            return value.dtype.kind in "iu"
        if isinstance(value, torch.Tensor):
            return value.is_floating_point() and value.layout == torch.strided and not value.requires_grad
        return type(value) in (int, float, bool)

    return {
        name: {
            key: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
            for key, value in vars(module).items()
            if key[0] != "_" and plain(value)
        }
        for name, module in model.named_modules()
    }


def _put_back(attributes, values):
    for key, value in values.items():
        present = attributes.get(key)
        if isinstance(present, np.ndarray):
            value = value.numpy()
        elif isinstance(present, torch.Tensor):
            value = value.to(present.device)
        attributes[key] = value


def _first_parameters(state, count):
    """An optimiser's state for the first parameters only: those of the model that ships."""
    group = {**state["param_groups"][0], "params": state["param_groups"][0]["params"][:count]}
    kept = set(group["params"])
    return {"state": {key: value for key, value in state["state"].items() if key in kept}, "param_groups": [group]}


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def randomness(loaders=()):
    """Where every global source of randomness stands, and those of the loaders: plain values and tensors."""
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (kind, np.asarray(keys).tolist(), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],  # of the GPU that is used
        "loaders": [loader.generator and loader.generator.get_state() for loader in loaders],
    }


def restore_randomness(state, loaders=()):
    """The same, back."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(tuple(state["numpy"]))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state(state["cuda"][0])
    for loader, generator in zip(loaders, state["loaders"], strict=True):
        if generator is not None:
            loader.generator.set_state(generator)


@contextmanager
def kept_randomness():
    """Leave Python's, numpy's and torch's global generators as they were: they are RecBole's."""
    state = randomness()
    try:
        yield
    finally:
        restore_randomness(state)


@contextmanager
def own_randomness(seed):
    """torch's global generator, seeded for a moment: what is drawn inside does not move RecBole's."""
    with kept_randomness():
        torch.manual_seed(seed)
        yield
