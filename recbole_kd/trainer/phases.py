"""The phases of an epoch of distillation, each with its losses by name.

RecBole's Trainer goes once through the data in an epoch. Its special trainers do so several times, with another loss
function each time: KGAT's learns from the interactions, then from the knowledge graph.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from recbole.config import Config as RecBoleConfig
from recbole.data.interaction import Interaction
from recbole.trainer import NCLTrainer, Trainer
from recbole.utils import set_color
from tqdm import tqdm

STEPS_PER_REFRESH = 16  # of the losses in the progress bar: each one waits for the GPU


class PhaseLosses(dict[str, float]):
    """The losses of a phase, summed over its steps, by name.

    RecBole's trainers add up the phases of an epoch as numbers, beginning with 0. Addition is by name.

    >>> 0.0 + PhaseLosses(base=1.0) + PhaseLosses(base=2.0, SLD=0.5)
    {'base': 3.0, 'SLD': 0.5}
    """

    def __add__(self, other: Any) -> "PhaseLosses":
        values = other if isinstance(other, PhaseLosses) else {}
        return PhaseLosses({name: self.get(name, 0.0) + values.get(name, 0.0) for name in {**self, **values}})

    __radd__ = __add__


def merge_phases(result: Any) -> PhaseLosses:
    """The losses of an epoch by name.

    Args:
        result: what the epoch of a special trainer returns: the losses of one phase, or a tuple of them in which a
            number stands for a phase that did not take place.
    """
    if isinstance(result, tuple):
        return sum(map(merge_phases, result), PhaseLosses())
    return result if isinstance(result, PhaseLosses) else PhaseLosses()


class PhaseTrainer(Trainer):
    """The innermost part of KDTrainer: between RecBole's Trainer and the trainer of the student.

    The model is a Distiller.

    Attributes:
        step: the current step in the epoch, from 1.
    """

    step: int
    _progress_bar: tqdm | None = None

    def _train_epoch(
        self, train_data: Any, epoch_idx: int, loss_func: Callable | None = None, show_progress: bool = False
    ) -> Any:
        """RecBole's epoch. Overridden to name the losses, in the progress bar too: RecBole's shows none."""
        step_loss = partial(self._step_loss, loss_func or self.model.calculate_loss)
        if not show_progress:
            return self._named(super()._train_epoch(train_data, epoch_idx, step_loss))
        description = set_color(f"Train {epoch_idx:>5}", "pink")
        with tqdm(train_data, total=len(train_data), ncols=120, desc=description) as bar:
            self._progress_bar = bar
            losses = super()._train_epoch(bar, epoch_idx, step_loss)
        self._progress_bar = None
        return self._named(losses)

    def _named(self, losses: Any) -> PhaseLosses:
        values = losses if isinstance(losses, tuple) else (losses,)
        return PhaseLosses(zip(self.model.losses, values, strict=True))

    def _step_loss(self, loss_func: Callable, interaction: Interaction) -> Any:
        """The losses of a step. Those of the Distiller have names; any other loss of the student is named here."""
        self.model.losses = {}
        losses: Any = loss_func(interaction)
        if not self.model.losses:
            losses = sum(losses) if isinstance(losses, tuple) else losses
            name = loss_func.__name__.removeprefix("calculate_").removesuffix("_loss")  # KGAT's calculate_kg_loss
            self.model.losses = {name: losses.detach()}
        if self._progress_bar is not None and self.step % STEPS_PER_REFRESH == 0:
            shown = {name: f"{loss.item():.4f}" for name, loss in self.model.losses.items()}
            self._progress_bar.set_postfix(shown, refresh=False)
        return losses


class NCLPhases(NCLTrainer):
    """NCLTrainer with RecBole's loop in place of its own copy of it.

    The copy leaves out the last part of the loss while it warms up, whatever that part is; for a Distiller it would be
    a term. Here the Distiller leaves out the last part of the student's loss.
    """

    def __init__(self, config: RecBoleConfig, model: Any) -> None:
        super().__init__(config, model)
        if self.device.type != "cuda":
            self.enable_amp = False  # the copy casts on a GPU alone

    def _train_epoch(
        self, train_data: Any, epoch_idx: int, loss_func: Callable | None = None, show_progress: bool = False
    ) -> Any:
        """RecBole's epoch. Overridden for the parts of the loss that count in it."""
        self.model.loss_components = slice(-1) if epoch_idx < self.config["warm_up_step"] else slice(None)
        return super(NCLTrainer, self)._train_epoch(train_data, epoch_idx, loss_func, show_progress)
