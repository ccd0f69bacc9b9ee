"""Training that can be killed at any moment and goes on to the same weights, bit for bit.

A resume point is the state just before an epoch: weights, optimiser, early stopping, and every source of randomness.
It is plain tensors and numbers, read back with ``weights_only``.
"""

import io
import os
import time
from pathlib import Path

import numpy as np
import torch
from recbole.trainer import Trainer

from recbole_kd.config.configurator import plain_config
from recbole_kd.errors import KDError, NonFiniteLoss
from recbole_kd.io import atomic_write, torch_bytes
from recbole_kd.trainer.loss_reduction import sum_over_rows
from recbole_kd.trainer.rng import restore_rng, rng_state
from recbole_kd.trainer.snapshots import Snapshots

COUNTERS = (
    "cur_step", "best_valid_score", "best_valid_result", "train_loss_dict", "valid_scores", "seconds", "history",
)  # fmt: skip


class ResumableTrainer(Trainer):
    """RecBole's Trainer, with checkpoints written whole and resume points beside them.

    Attributes:
        resume_file: where resume points go; none are kept where None.
        resume_interval: seconds between two of them.
        checkpoint_entries: entries that the checkpoint carries besides RecBole's, plain values only.
        states: where weights are kept for a trajectory; none are where None.
        history: what was said of the progress of a method's terms: by name a list of [epoch, number].
        valid_scores: the validation score of each epoch that was evaluated.
        seconds: what the training has taken, with what led to the resume point that it went on from.
    """

    resume_file: str | None = None
    resume_interval = 15.0
    checkpoint_entries: dict = {}
    snapshots: Snapshots | None = None
    history: dict = {}
    valid_scores: dict = {}
    seconds = 0.0
    epoch = step = 0
    _last_resume_point: float | None = None
    _timer_started: float | None = None
    _resume_state: dict | None = None

    def model_to_save(self):
        """The model that a checkpoint holds."""
        return self.model

    def fit(self, train_data, valid_data=None, *args, **kwargs):
        self._loaders = [loader for loader in (train_data, valid_data) if loader is not None]
        if self._resume_state is not None:
            restore_rng(self._resume_state, self._loaders)
            self._resume_state = None
        self._timer_started = time.perf_counter()
        found = super().fit(train_data, valid_data, *args, **kwargs)
        self._count_time()
        return found

    def _count_time(self):
        now = time.perf_counter()
        if self._timer_started is not None:  # an epoch may be run without fit
            self.seconds += now - self._timer_started
        self._timer_started = now

    def _train_epoch(self, train_data, epoch_idx, loss_func=None, show_progress=False):
        self._start_epoch(epoch_idx)
        if loss_func is None and self.config["kd_reduction"] == "sum":
            loss_func = self._summed_loss
        return super()._train_epoch(train_data, epoch_idx, loss_func, show_progress)

    def _summed_loss(self, interaction):
        return sum_over_rows(self.model.calculate_loss(interaction), len(interaction), self.config)

    def _valid_epoch(self, valid_data, show_progress=False):
        score, result = super()._valid_epoch(valid_data, show_progress)
        self.valid_scores = {**self.valid_scores, self.epoch: float(score)}
        return score, result

    def _start_epoch(self, epoch):
        self._count_time()
        self._write_resume_point(epoch)
        if self.snapshots is not None:
            self.snapshots.save_if_due(epoch, self.model_to_save())
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
        model = self.model_to_save()
        count = len(list(model.parameters()))
        content = {
            "config": plain_config(self.config),
            "epoch": epoch,
            "cur_step": self.cur_step,
            "best_valid_score": float(self.best_valid_score),
            "state_dict": model.state_dict(),
            "other_parameter": model.other_parameter(),
            "optimizer": _first_parameters(self.optimizer.state_dict(), count),
            **self.checkpoint_entries,
        }
        file = kwargs.pop("saved_model_file", self.saved_model_file)
        atomic_write(file, torch_bytes(content))
        if verbose:
            self.logger.info(f"Saving current: {file}")

    def _write_resume_point(self, epoch):
        now = time.monotonic()
        if self.resume_file is None or (
            self._last_resume_point is not None and now - self._last_resume_point < self.resume_interval
        ):
            return
        self._last_resume_point = now
        state = {
            "epoch": epoch,
            "device": self.device.type,
            "model": torch.nn.Module.state_dict(self.model),  # of a Distiller, its terms included
            "attributes": _counted_attributes(self.model),
            "optimizer": self.optimizer.state_dict(),
            "counters": {name: _plain_number(getattr(self, name)) for name in COUNTERS},
            **rng_state(self._loaders),
        }
        atomic_write(self.resume_file, torch_bytes(state, protocol=2))  # the one that weights_only reads

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
            self._restore_state(state)
        except KDError:
            raise
        except Exception as error:  # its name stands for all settings; a damaged file fails with anything
            raise KDError(
                f"the resume point '{self.resume_file}' is damaged, or of another version of recbole_kd: remove it, "
                "and the training begins anew"
            ) from error
        self._resume_state = state
        return self.start_epoch

    def _restore_state(self, state):
        torch.nn.Module.load_state_dict(self.model, state["model"])
        for name, values in state["attributes"].items():
            _restore_attributes(vars(self.model.get_submodule(name)), values)
        self.optimizer.load_state_dict(state["optimizer"])
        for name, value in state["counters"].items():
            setattr(self, name, value)
        self.start_epoch = state["epoch"]

    def remove_resume_point(self):
        """Remove the resume point of a training that has ended."""
        if self.resume_file is not None and os.path.exists(self.resume_file):
            os.remove(self.resume_file)


def _counted_attributes(model):
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


def _restore_attributes(attributes, values):
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


def _plain_number(value):
    if isinstance(value, dict):
        return {key: _plain_number(inner) for key, inner in value.items()}
    return value.item() if isinstance(value, np.generic) else value
