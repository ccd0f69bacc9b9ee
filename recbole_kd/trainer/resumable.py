"""Training that can be killed at any moment and resumed to the same weights, bit for bit.

A resume point is the state just before an epoch: weights, optimiser, early stopping, and every source of randomness.
It holds plain tensors and numbers and is read with ``weights_only``, so that it cannot run code.
"""

import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from recbole.config import Config as RecBoleConfig
from recbole.data.interaction import Interaction
from recbole.trainer import Trainer

from recbole_kd.backbone.item_table import plain_state
from recbole_kd.config.configurator import plain_config
from recbole_kd.errors import KDError, NonFiniteLoss
from recbole_kd.io import atomic_write, torch_bytes
from recbole_kd.trainer.options import TrainingFiles
from recbole_kd.trainer.resume_checks import COUNTERS, DIGEST, check_archive, check_resume_state, digest_of
from recbole_kd.trainer.resume_state import (
    counted_attributes,
    first_parameters,
    initial_tensors,
    optimizer_states,
    plain_number,
    restore_attributes,
    restore_optimizers,
)
from recbole_kd.trainer.rng import restore_rng, rng_state, torch_loaders
from recbole_kd.trainer.sum_reduction import sum_over_rows


class ResumableTrainer(Trainer):
    """RecBole's Trainer, with resume points and with checkpoints that are written whole or not at all.

    The training loop is RecBole's ``fit``; this class overrides its hooks only. ``over_recbole_trainer`` puts it over
    the special trainer of a model.

    Args:
        config: RecBole's Config or ours.
        model: a RecBole model.
        files: the files to write. Where None, the checkpoint gets RecBole's default name and no resume point is
            written; RecBole itself constructs a trainer from ``config`` and ``model`` alone.

    Attributes:
        files: the argument.
        history: the progress that the method's terms reported: name to a list of [epoch, number].
        valid_scores: the validation score of each evaluated epoch.
        seconds: training time so far, including the time before a resume.
        epoch: the current epoch, from 0.
        step: the current step in that epoch, from 1.
    """

    files: TrainingFiles | None
    history: dict[str, list[list[float]]]
    valid_scores: dict[int, float]
    seconds: float
    epoch: int
    step: int

    def __init__(self, config: RecBoleConfig, model: torch.nn.Module, files: TrainingFiles | None = None) -> None:
        super().__init__(config, model)
        self.files = files
        if files is not None:
            self.saved_model_file = str(files.checkpoint)
        self.history, self.valid_scores, self.seconds = {}, {}, 0.0
        self.epoch = self.step = 0
        self._initial_tensors = initial_tensors(model)
        self._loaders: list[Any] = []
        self._last_resume_point: float | None = None
        self._timer_started: float | None = None
        self._resume_state: dict[str, Any] | None = None

    def model_to_save(self) -> Any:
        """The model that a checkpoint holds."""
        return self.model

    def fit(self, train_data: Any, valid_data: Any = None, *args: Any, **kwargs: Any) -> tuple[float, Any]:
        """RecBole's ``fit``, from the generators of the resume point where ``resume`` found one.

        Overridden to restore the generators at the last moment before the training, and to measure its duration.
        """
        self._loaders = torch_loaders([loader for loader in (train_data, valid_data) if loader is not None])
        if self._resume_state is not None:
            try:
                restore_rng(self._resume_state, self._loaders)
            except Exception as error:
                raise self._damaged_resume_point() from error
            self._resume_state = None
        self._timer_started = time.perf_counter()
        result = super().fit(train_data, valid_data, *args, **kwargs)
        self._count_time()
        return result

    def _count_time(self) -> None:
        now = time.perf_counter()
        if self._timer_started is not None:  # None where an epoch is run without fit
            self.seconds += now - self._timer_started
        self._timer_started = now

    def _train_epoch(
        self, train_data: Any, epoch_idx: int, loss_func: Callable | None = None, show_progress: bool = False
    ) -> Any:
        """RecBole's epoch. Overridden because RecBole has no hook at the start of an epoch, and for kd_reduction."""
        self._start_epoch(epoch_idx)
        if loss_func is None and self.config["kd_reduction"] == "sum":
            loss_func = self._summed_loss
        return super()._train_epoch(train_data, epoch_idx, loss_func, show_progress)

    def _summed_loss(self, interaction: Interaction) -> torch.Tensor:
        return sum_over_rows(self.model.calculate_loss(interaction), len(interaction), self.config)

    def _valid_epoch(self, valid_data: Any, show_progress: bool = False) -> tuple[float, Any]:
        """RecBole's validation. Overridden to record its score."""
        score, result = super()._valid_epoch(valid_data, show_progress)
        self.valid_scores = {**self.valid_scores, self.epoch: float(score)}
        return score, result

    def _start_epoch(self, epoch: int) -> None:
        """Called before each epoch: write the resume point and the snapshot that are due."""
        self._count_time()
        self._write_resume_point(epoch)
        if self.files is not None and self.files.snapshots is not None:
            self.files.snapshots.save_if_due(epoch, self.model_to_save())
        self.epoch, self.step = epoch, 0

    def _losses(self) -> dict[str, torch.Tensor]:
        """The losses of the last step by name, where there are several."""
        return {}

    def _check_nan(self, loss: torch.Tensor) -> None:
        """Raise NonFiniteLoss for NaN and for infinity. Overridden: RecBole's refuses NaN alone and names nothing."""
        self.step += 1
        if torch.isfinite(loss):
            return
        names = [name for name, value in self._losses().items() if not torch.isfinite(value)]
        raise NonFiniteLoss(
            f"the {' and '.join(names) or self.config['model']} loss is not finite "
            f"at epoch {self.epoch}, step {self.step}: "
            f"try a smaller learning_rate or weight; the last good checkpoint, if any, is {self.saved_model_file}"
        )

    def _save_checkpoint(self, epoch: int, verbose: bool = True, **kwargs: Any) -> None:
        """Write RecBole's checkpoint of ``model_to_save``.

        Overridden to write the file whole or not at all, with a plain config and the extra entries, and to store the
        optimiser's state of the saved model alone.
        """
        model = self.model_to_save()
        count = len(list(model.parameters()))
        content = {
            "config": plain_config(self.config),
            "epoch": epoch,
            "cur_step": self.cur_step,
            "best_valid_score": float(self.best_valid_score),
            "state_dict": plain_state(model),
            "other_parameter": model.other_parameter(),
            "optimizer": first_parameters(self.optimizer.state_dict(), count),
            **(self.files.extra_entries if self.files is not None else {}),
        }
        file = kwargs.pop("saved_model_file", self.saved_model_file)
        atomic_write(file, torch_bytes(content))
        if verbose:
            self.logger.info(f"Saving current: {file}")

    def _write_resume_point(self, epoch: int) -> None:
        if self.files is None or self.files.resume_point is None:
            return
        now = time.monotonic()
        if self._last_resume_point is not None and now - self._last_resume_point < self.files.resume_interval:
            return
        self._last_resume_point = now
        state = {
            "epoch": epoch,
            "device": self.device.type,
            # Module's own: a Distiller's state_dict is its student's alone, and the terms are needed here too
            "model": torch.nn.Module.state_dict(self.model),
            "attributes": counted_attributes(self.model, self._initial_tensors),
            **optimizer_states(self),
            "counters": {name: plain_number(getattr(self, name)) for name in COUNTERS},
            **rng_state(self._loaders),
        }
        state[DIGEST] = digest_of(state)
        atomic_write(self.files.resume_point, torch_bytes(state, protocol=2))  # weights_only reads pickle protocol 2

    def resume(self) -> int | None:
        """Return to the last resume point, if one exists.

        Returns:
            The epoch that comes next; None without a resume point.

        Raises:
            KDError: the resume point was written on another kind of device, whose generators cannot be restored on
                this one; or it is damaged; or it is of another version, with another content.
        """
        if self.files is None or self.files.resume_point is None or not Path(self.files.resume_point).is_file():
            return None
        file = self.files.resume_point
        content = Path(file).read_bytes()
        try:
            check_archive(content)
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            if state.get("device") in {"cpu", "cuda"} - {self.device.type}:
                raise KDError(
                    f"the resume point '{file}' was written on a {state['device']} device, and this run is on "
                    f"{self.device.type}: resume it there, or remove the file to start from the beginning"
                )
            check_resume_state(state, self)
            self._restore_state(state)
        except KDError:
            raise
        except Exception as error:  # the file's name stands for all settings, so that any failure means damage
            raise self._damaged_resume_point() from error
        self._resume_state = state
        return self.start_epoch

    def _damaged_resume_point(self) -> KDError:
        return KDError(
            f"the resume point '{self.files and self.files.resume_point}' is damaged, or of another version of "
            "recbole_kd: remove it to start from the beginning"
        )

    def _restore_state(self, state: dict[str, Any]) -> None:
        torch.nn.Module.load_state_dict(self.model, state["model"])
        for name, values in state["attributes"].items():
            restore_attributes(vars(self.model.get_submodule(name)), values, self.device)
        restore_optimizers(self, state)
        for name in COUNTERS:
            setattr(self, name, state["counters"][name])
        self.start_epoch = state["epoch"]

    def remove_resume_point(self) -> None:
        """Remove the resume point of a training that has ended."""
        if self.files is not None and self.files.resume_point is not None and os.path.exists(self.files.resume_point):
            os.remove(self.files.resume_point)
