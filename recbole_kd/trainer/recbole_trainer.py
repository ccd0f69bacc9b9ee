"""Our trainers over the trainer that RecBole has for a model.

KGAT, MKR, RecVAE, NCL and others are trained by classes derived from RecBole's Trainer, which override its epochs or
its ``fit``. Our classes override the hooks around them, so that both are base classes of one:
``KDTrainer -> ResumableTrainer -> KGTrainer -> PhaseTrainer -> Trainer``.
"""

import functools
from typing import Any, TypeVar, cast

from recbole.config import Config as RecBoleConfig
from recbole.trainer import (
    KGATTrainer,
    KGTrainer,
    MKRTrainer,
    NCLTrainer,
    RaCTTrainer,
    RecVAETrainer,
    S3RecTrainer,
    Trainer,
)
from recbole.trainer.trainer import PretrainTrainer
from recbole.utils import get_trainer

from recbole_kd.trainer.phases import NCLPhases, PhaseTrainer

AnyTrainer = TypeVar("AnyTrainer", bound=Trainer)

# the trainers whose state a resume point holds whole, and whose loss functions a Distiller passes on
SUPPORTED = (Trainer, KGTrainer, KGATTrainer, MKRTrainer, RecVAETrainer, NCLTrainer, S3RecTrainer, RaCTTrainer)


def recbole_trainer(config: RecBoleConfig) -> type:
    """The trainer class that RecBole has for the model of a Config."""
    return cast(type, get_trainer(config["MODEL_TYPE"], config["model"]))


def is_resumable(config: RecBoleConfig) -> bool:
    """Whether our trainers work over the RecBole trainer of a model, so that its training can be resumed: the model is
    trained by gradients, in one of ``SUPPORTED``.

    Those of S3Rec and RaCT are supported in the stage ``finetune``. The stages before it leave no checkpoint of the
    best epoch.
    """
    trainer = recbole_trainer(config)
    return trainer in SUPPORTED and (not needs_pretraining(config) or config["train_stage"] == "finetune")


def needs_pretraining(config: RecBoleConfig) -> bool:
    """Whether the model is pre-trained before it is trained, each in a separate run: S3Rec and RaCT."""
    return issubclass(recbole_trainer(config), PretrainTrainer)


def over_recbole_trainer(trainer_class: type[AnyTrainer], config: RecBoleConfig) -> type[AnyTrainer]:
    """One of our trainer classes over the model's RecBole trainer.

    Args:
        trainer_class: ResumableTrainer, KDTrainer, or a class derived from one of them.
        config: the Config of a model whose trainer ``is_resumable``, or of a run for its student.

    Returns:
        ``trainer_class`` itself for a model of RecBole's plain Trainer; a class derived from it for any other one,
        ``KDKGTrainer`` for CKE for example. It is the same class each time.
    """
    native = recbole_trainer(config)
    combined: type = trainer_class if issubclass(trainer_class, native) else _combine(cast(type, trainer_class), native)
    return combined


@functools.cache
def _combine(trainer_class: type, native: type) -> type:
    bases: tuple[type, ...] = (trainer_class, native)
    if issubclass(trainer_class, PhaseTrainer):
        inner = NCLPhases if native is NCLTrainer else native
        # all its classes are named: else Python would put PhaseTrainer right after the first one
        bases = (trainer_class, *inner.__mro__[: inner.__mro__.index(Trainer)], PhaseTrainer)
    name = f"{trainer_class.__name__.removesuffix('Trainer')}{native.__name__}"
    attributes: dict[str, Any] = {
        "__module__": trainer_class.__module__,
        "__doc__": f"{trainer_class.__name__} over RecBole's {native.__name__}.",
    }
    return type(name, bases, attributes)
