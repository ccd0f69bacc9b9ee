"""KDTrainer: RecBole's Trainer, with what a method does between epochs, and the plain student as its checkpoint."""

import logging

from recbole.trainer import Trainer
from recbole.utils import set_color
from tqdm import tqdm

from recbole_kd.teacher.resume import Resumable


class KDTrainer(Resumable, Trainer):
    """Trains a Distiller. The loop is RecBole's; this class hangs on its hooks.

    Args:
        config: RecBole's Config or ours.
        model: a Distiller.
    """

    def __init__(self, config, model):
        super().__init__(config, model)
        method = model.config["kd_method"]
        name = f"{model.config['model']}-{model.config['dataset']}-{method}"
        self.saved_model_file = self.saved_model_file.replace(f"{config['model']}-", f"{name}-", 1)
        self.config = model.config  # the student's names and settings are what a checkpoint tells

    def shipped(self):
        return self.model.student

    def _train_epoch(self, train_data, epoch_idx, loss_func=None, show_progress=False):
        self._begin(epoch_idx)
        self.model.start_epoch(epoch_idx)
        if not show_progress:
            return Trainer._train_epoch(self, train_data, epoch_idx, self._step_loss)
        description = set_color(f"Train {epoch_idx:>5}", "pink")
        with tqdm(train_data, total=len(train_data), ncols=120, desc=description) as bar:
            self.bar = bar
            return Trainer._train_epoch(self, bar, epoch_idx, self._step_loss)

    bar = None

    def _step_loss(self, interaction):
        losses = self.model.calculate_loss(interaction)
        if self.bar is not None and self.step % 16 == 0:
            shown = {name: f"{loss.item():.4f}" for name, loss in self.model.losses.items()}
            self.bar.set_postfix(shown, refresh=False)
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
        logging.getLogger().error("a distilled student's checkpoint is no resume point: use --resume=True")
        raise NotImplementedError("use --resume=True")
