"""KDTrainer: RecBole's Trainer, with what a method does between epochs, and the plain student as its checkpoint."""

import os

from recbole.utils import get_local_time, set_color
from tqdm import tqdm

from recbole_kd.errors import KDError
from recbole_kd.trainer.resumable import ResumableTrainer


class KDTrainer(ResumableTrainer):
    """Trains a Distiller. The loop is RecBole's; this class hangs on its hooks.

    Args:
        config: RecBole's Config or ours.
        model: a Distiller.
    """

    progress_bar: tqdm | None = None
    last_progress: dict = {}

    def __init__(self, config, model):
        super().__init__(model.config, model)  # on RecBole's own path, ``config`` names the method and no student
        name = f"{self.config['model']}-{self.config['dataset']}-{self.config['kd_method']}-{get_local_time()}.pth"
        self.saved_model_file = os.path.join(self.checkpoint_dir, name)

    def model_to_save(self):
        return self.model.student

    def _build_optimizer(self, **kwargs):
        """RecBole's optimiser in two groups: the student's parameters, whose step is plain RecBole's to the bit, and
        those of the terms, which may be many more, by torch's fused step where there is one.
        """
        students = list(self.model.student.parameters())
        known = {id(parameter) for parameter in students}
        others = [parameter for parameter in self.model.parameters() if id(parameter) not in known]
        if "params" in kwargs or not others:
            return super()._build_optimizer(**kwargs)
        groups = [{"params": students}, {"params": others, **self._fused()}]
        return super()._build_optimizer(params=groups, **kwargs)

    def _fused(self):
        fuses = self.learner.lower() in ("adam", "adamw") and self.device.type in ("cpu", "cuda")
        return {"fused": True} if fuses else {}

    def _train_epoch(self, train_data, epoch_idx, loss_func=None, show_progress=False):
        if not show_progress:
            return super()._train_epoch(train_data, epoch_idx, self._step_loss)
        description = set_color(f"Train {epoch_idx:>5}", "pink")
        with tqdm(train_data, total=len(train_data), ncols=120, desc=description) as bar:
            self.progress_bar = bar
            return super()._train_epoch(bar, epoch_idx, self._step_loss)

    def _start_epoch(self, epoch):
        super()._start_epoch(epoch)
        self.model.start_epoch(epoch)
        progress = self.model.progress()
        if progress and progress != self.last_progress:
            self.logger.info(", ".join(f"{name} {value:.2f}" for name, value in progress.items()))
        for name, value in progress.items():
            self.tensorboard.add_scalar(f"Progress/{name}", value, epoch)
            self.history = {**self.history, name: [*self.history.get(name, []), [epoch, value]]}
        self.last_progress = progress

    def _step_loss(self, interaction):
        losses = self.model.calculate_loss(interaction)
        if self.progress_bar is not None and self.step % 16 == 0:
            shown = {name: f"{loss.item():.4f}" for name, loss in self.model.losses.items()}
            self.progress_bar.set_postfix(shown, refresh=False)
        return losses

    def _losses(self):
        return self.model.losses

    def _valid_epoch(self, valid_data, show_progress=False):
        result = super()._valid_epoch(valid_data, show_progress)
        if self.epoch < self.model.last_phase:
            self.cur_step = -1  # early stopping counts after the last scheduled phase only
        return result

    def _generate_train_loss_output(self, epoch_idx, s_time, e_time, losses):
        digits = self.config["loss_decimal_place"] or 4
        parts = ", ".join(
            set_color(f"{name} loss", "blue") + f": {value:.{digits}f}"
            for name, value in zip(self.model.losses, losses, strict=True)
        )
        head = set_color(f"epoch {epoch_idx} training", "green")
        return f"{head} [{set_color('time', 'blue')}: {e_time - s_time:.2f}s, {parts}]"

    def _add_train_loss_to_tensorboard(self, epoch_idx, losses, tag="Loss/Train"):
        for name, value in zip(self.model.losses, losses, strict=True):
            self.tensorboard.add_scalar(f"{tag}/{name}", value, epoch_idx)

    def resume_checkpoint(self, resume_file):
        """Refused: a checkpoint holds the student alone; ``--resume=True`` goes on from the method's own state."""
        raise KDError("a distilled student's checkpoint is no resume point: run_kd with resume=True goes on")
