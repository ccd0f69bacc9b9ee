"""A training that stops in the middle of an epoch."""

import torch

from recbole_kd.trainer.kd_trainer import KDTrainer


class Interrupted(Exception):
    """Stops a training in the middle of an epoch."""


class InterruptedTrainer(KDTrainer):
    """Stops in the second epoch after its second step."""

    def _check_nan(self, loss: torch.Tensor) -> None:
        if self.epoch == 1 and self.step == 2:
            raise Interrupted
        super()._check_nan(loss)
