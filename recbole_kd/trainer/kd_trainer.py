"""KDTrainer: RecBole's Trainer, extended by what a method does between epochs, with the student as its checkpoint."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import torch
from recbole.config import Config as RecBoleConfig
from recbole.utils import get_local_time, set_color

from recbole_kd.errors import KDError
from recbole_kd.trainer.options import TrainingFiles
from recbole_kd.trainer.phases import PhaseLosses, PhaseTrainer, merge_phases
from recbole_kd.trainer.recbole_trainer import over_recbole_trainer
from recbole_kd.trainer.resumable import ResumableTrainer


class KDTrainer(ResumableTrainer, PhaseTrainer):
    """Trains a Distiller. The training loop is RecBole's ``fit``; this class overrides its hooks only.

    For a student that has a special trainer in RecBole, such as CKE or RecVAE, the object is of a class derived from
    this one and from that trainer.

    Args:
        config: RecBole's Config or ours. The Config of the model is used in its place: where RecBole constructs the
            trainer, ``config`` names the method and holds no student.
        model: a Distiller.
        files: the files to write, as of ResumableTrainer.

    Attributes:
        epoch_losses: the losses of the last epoch by name: ``base``, one for each term, and one for each phase without
            terms, such as ``kg``.
        last_progress: the progress that the terms reported last: a number by name.
    """

    epoch_losses: PhaseLosses
    last_progress: dict[str, float]

    def __new__(cls, config: RecBoleConfig, model: Any, files: TrainingFiles | None = None) -> "KDTrainer":
        """An object of the class over the student's own trainer. RecBole finds a trainer by the method alone."""
        return super().__new__(over_recbole_trainer(cls, model.config))

    def __init__(self, config: RecBoleConfig, model: Any, files: TrainingFiles | None = None) -> None:
        super().__init__(model.config, model, files)
        if files is None:
            name = f"{self.config['model']}-{self.config['dataset']}-{self.config['kd_method']}-{get_local_time()}.pth"
            self.saved_model_file = os.path.join(self.checkpoint_dir, name)
        self.epoch_losses, self.last_progress = PhaseLosses(), {}

    def model_to_save(self) -> Any:
        """The student, a plain RecBole model: the terms are not needed after the training."""
        return self.model.student

    def _build_optimizer(self, **kwargs: Any) -> torch.optim.Optimizer:
        """RecBole's optimiser, with two groups of parameters.

        Overridden because the student's step has to be plain RecBole's to the bit, and the terms may have many more
        parameters, for which torch's fused step is faster where torch offers one. A trainer that makes an optimiser
        for each part of the student, as RecVAE's, trains the terms with each of them.
        """
        student_parameters = list(self.model.student.parameters())
        others = _without(self.model.parameters(), student_parameters)
        if not others:
            return super()._build_optimizer(**kwargs)
        trained = list(kwargs.pop("params", student_parameters))
        groups = [{"params": trained}, {"params": others, **self._fused()}]
        return super()._build_optimizer(params=groups, **kwargs)

    def _fused(self) -> dict[str, bool]:
        supported = self.learner.lower() in ("adam", "adamw") and self.device.type in ("cpu", "cuda")
        return {"fused": True} if supported else {}

    def _train_epoch(
        self, train_data: Any, epoch_idx: int, loss_func: Callable | None = None, show_progress: bool = False
    ) -> tuple[float, ...]:
        """RecBole's epoch. Overridden to name the losses of all its phases."""
        loss_func = loss_func or self.model.calculate_loss
        self.epoch_losses = merge_phases(super()._train_epoch(train_data, epoch_idx, loss_func, show_progress))
        return tuple(self.epoch_losses.values())

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

    def _losses(self) -> dict[str, torch.Tensor]:
        """The losses of the last step: ``base`` and one for each term, or that of a phase without terms."""
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
            for name, value in zip(self.epoch_losses, losses, strict=True)
        )
        title = set_color(f"epoch {epoch_idx} training", "green")
        return f"{title} [{set_color('time', 'blue')}: {e_time - s_time:.2f}s, {losses_text}]"

    def _add_train_loss_to_tensorboard(self, epoch_idx: int, losses: Any, tag: str = "Loss/Train") -> None:
        """RecBole's curves in TensorBoard. Overridden to give each loss its name in place of a number."""
        for name, value in zip(self.epoch_losses, losses, strict=True):
            self.tensorboard.add_scalar(f"{tag}/{name}", value, epoch_idx)

    def resume_checkpoint(self, resume_file: str | os.PathLike) -> None:
        """Refused: RecBole resumes from a checkpoint, and this one holds the student without the terms.

        Raises:
            KDError: always; the message names ``resume=True``, which resumes the method.
        """
        raise KDError("a distilled student's checkpoint is not a resume point: use run_kd with resume=True")


def _without(
    parameters: Iterable[torch.nn.Parameter], excluded: Iterable[torch.nn.Parameter]
) -> list[torch.nn.Parameter]:
    identities = {id(parameter) for parameter in excluded}
    return [parameter for parameter in parameters if id(parameter) not in identities]
