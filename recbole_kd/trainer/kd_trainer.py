"""KDTrainer: RecBole's Trainer, extended by what a method does between epochs, with the student as its checkpoint."""

import os
from collections.abc import Callable
from typing import Any

import torch
from recbole.config import Config as RecBoleConfig
from recbole.data.interaction import Interaction
from recbole.utils import get_local_time, set_color
from tqdm import tqdm

from recbole_kd.errors import KDError
from recbole_kd.trainer.options import TrainingFiles
from recbole_kd.trainer.resumable import ResumableTrainer

STEPS_PER_REFRESH = 16  # of the losses in the progress bar: each one waits for the GPU


class KDTrainer(ResumableTrainer):
    """Trains a Distiller. The training loop is RecBole's ``fit``; this class overrides its hooks only.

    Args:
        config: RecBole's Config or ours. The Config of the model is used in its place: where RecBole constructs the
            trainer, ``config`` names the method and holds no student.
        model: a Distiller.
        files: the files to write, as of ResumableTrainer.

    Attributes:
        progress_bar: the bar of the current epoch; None without a bar.
        last_progress: the progress that the terms reported last: a number by name.
    """

    progress_bar: tqdm | None
    last_progress: dict[str, float]

    def __init__(self, config: RecBoleConfig, model: Any, files: TrainingFiles | None = None) -> None:
        super().__init__(model.config, model, files)
        if files is None:
            name = f"{self.config['model']}-{self.config['dataset']}-{self.config['kd_method']}-{get_local_time()}.pth"
            self.saved_model_file = os.path.join(self.checkpoint_dir, name)
        self.progress_bar, self.last_progress = None, {}

    def model_to_save(self) -> Any:
        """The student, a plain RecBole model: the terms are not needed after the training."""
        return self.model.student

    def _build_optimizer(self, **kwargs: Any) -> torch.optim.Optimizer:
        """RecBole's optimiser, with two groups of parameters.

        Overridden because the student's step has to be plain RecBole's to the bit, and the terms may have many more
        parameters, for which torch's fused step is faster where torch offers one.
        """
        student_parameters = list(self.model.student.parameters())
        student_ids = {id(parameter) for parameter in student_parameters}
        term_parameters = [parameter for parameter in self.model.parameters() if id(parameter) not in student_ids]
        if "params" in kwargs or not term_parameters:
            return super()._build_optimizer(**kwargs)
        groups = [{"params": student_parameters}, {"params": term_parameters, **self._fused()}]
        return super()._build_optimizer(params=groups, **kwargs)

    def _fused(self) -> dict[str, bool]:
        supported = self.learner.lower() in ("adam", "adamw") and self.device.type in ("cpu", "cuda")
        return {"fused": True} if supported else {}

    def _train_epoch(
        self, train_data: Any, epoch_idx: int, loss_func: Callable | None = None, show_progress: bool = False
    ) -> Any:
        """RecBole's epoch. Overridden because RecBole's progress bar shows no losses."""
        if not show_progress:
            return super()._train_epoch(train_data, epoch_idx, self._step_loss)
        description = set_color(f"Train {epoch_idx:>5}", "pink")
        with tqdm(train_data, total=len(train_data), ncols=120, desc=description) as bar:
            self.progress_bar = bar
            return super()._train_epoch(bar, epoch_idx, self._step_loss)

    def _start_epoch(self, epoch: int) -> None:
        """Start the epoch of the method, and report the progress of its terms."""
        super()._start_epoch(epoch)
        self.model.start_epoch(epoch)
        progress = self.model.progress()
        if progress and progress != self.last_progress:
            self.logger.info(", ".join(f"{name} {value:.2f}" for name, value in progress.items()))
        for name, value in progress.items():
            self.tensorboard.add_scalar(f"Progress/{name}", value, epoch)
            self.history = {**self.history, name: [*self.history.get(name, []), [epoch, value]]}
        self.last_progress = progress

    def _step_loss(self, interaction: Interaction) -> Any:
        losses = self.model.calculate_loss(interaction)
        if self.progress_bar is not None and self.step % STEPS_PER_REFRESH == 0:
            shown = {name: f"{loss.item():.4f}" for name, loss in self.model.losses.items()}
            self.progress_bar.set_postfix(shown, refresh=False)
        return losses

    def _losses(self) -> dict[str, torch.Tensor]:
        """The losses of the last step: ``base`` and one for each term."""
        return self.model.losses

    def _valid_epoch(self, valid_data: Any, show_progress: bool = False) -> tuple[float, Any]:
        """RecBole's validation. Overridden because early stopping counts after the last scheduled phase only."""
        result = super()._valid_epoch(valid_data, show_progress)
        if self.epoch < self.model.last_phase:
            self.cur_step = -1
        return result

    def _generate_train_loss_output(self, epoch_idx: int, s_time: float, e_time: float, losses: Any) -> str:
        """RecBole's log line of an epoch. Overridden to give each loss its name in place of a number."""
        digits = self.config["loss_decimal_place"] or 4
        losses_text = ", ".join(
            set_color(f"{name} loss", "blue") + f": {value:.{digits}f}"
            for name, value in zip(self.model.losses, losses, strict=True)
        )
        title = set_color(f"epoch {epoch_idx} training", "green")
        return f"{title} [{set_color('time', 'blue')}: {e_time - s_time:.2f}s, {losses_text}]"

    def _add_train_loss_to_tensorboard(self, epoch_idx: int, losses: Any, tag: str = "Loss/Train") -> None:
        """RecBole's curves in TensorBoard. Overridden to give each loss its name in place of a number."""
        for name, value in zip(self.model.losses, losses, strict=True):
            self.tensorboard.add_scalar(f"{tag}/{name}", value, epoch_idx)

    def resume_checkpoint(self, resume_file: str | os.PathLike) -> None:
        """Refused: RecBole resumes from a checkpoint, and this one holds the student without the terms.

        Raises:
            KDError: always; the message names ``resume=True``, which resumes the method.
        """
        raise KDError("a distilled student's checkpoint is not a resume point: use run_kd with resume=True")
