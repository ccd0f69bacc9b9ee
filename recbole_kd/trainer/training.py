"""Training a model to a checkpoint, and finding it again."""

import json
import logging
import time
from contextlib import contextmanager
from pathlib import Path

import torch
from recbole.trainer import Trainer
from recbole.utils import get_trainer

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.data.split import prepare_split
from recbole_kd.distributed.process_group import process_rank
from recbole_kd.errors import (
    MEMORY_HINT,
    KDError,
    NonFiniteLoss,
    TrainingFailed,
    TrainingStopped,
    error_sentence,
    is_out_of_memory,
)
from recbole_kd.io import atomic_write, torch_bytes
from recbole_kd.trainer.model_builder import build_seeded_model
from recbole_kd.trainer.resumable import ResumableTrainer


@contextmanager
def describe_failure(whose):
    """What may stop a training, in a sentence that says ``whose`` it was. Raises TrainingFailed."""
    try:
        yield
    except (KDError, NonFiniteLoss, TrainingStopped, ImportError, OSError):
        raise
    except Exception as error:
        logging.getLogger().debug("what stopped it:", exc_info=True)
        said = f"too little memory: {error}; {MEMORY_HINT}" if is_out_of_memory(error) else error_sentence(error)
        raise TrainingFailed(f"the training of {whose} failed: {said}") from error


def is_resumable(config):
    """Whether a model's training can be stopped and gone on with: RecBole's Trainer trains it, epoch by epoch."""
    return get_trainer(config["MODEL_TYPE"], config["model"]) is Trainer


def train(config, file, own_split=None, states=None, **how):
    """Train a model in plain RecBole and leave its best state in ``file``, marked as complete by ``file``.json.

    Args:
        config: a plain RecBole Config.
        file: the checkpoint to write.
        own_split: the config's split, where it was just made and nothing was drawn since.
        states: States, which are kept while it trains, or None.
        resuming: ``resume`` and ``resume_interval``, as ``run`` takes them.
    """
    data = own_split or prepare_split(config)
    model = build_seeded_model(config, data.train._dataset)
    if not is_resumable(config):  # a trainer of a model's own may do more between epochs than a resume point holds
        return run_trainer(get_trainer(config["MODEL_TYPE"], config["model"])(config, model), data, file, **how)
    if states is not None and not states.folder.is_dir():
        how["resume"] = False  # what it would go on from kept no states
    trainer = ResumableTrainer(config, model)
    trainer.snapshots = states
    return run_trainer(trainer, data, file, **how)


def resume_options(config):
    """How a training of this run is resumed: keywords of ``run``."""
    return {"resume": config["resume"], "resume_interval": config["resume_interval"]}


def run_trainer(trainer, data, file, resume=False, resume_interval=15.0, watch=None):
    """Run a trainer over a fresh split: resume points while it goes, a mark beside the checkpoint when it has ended.

    ``watch(epoch, score, settled)`` is called after each evaluated epoch, ``settled`` where the model's last scheduled
    phase has begun; Stopped, which it may raise, ends the training, without a mark.
    """
    config, can_resume = trainer.config, isinstance(trainer, ResumableTrainer)
    extra = {"fingerprint": vars(data.fingerprint)}
    trainer.saved_model_file = str(file)
    # RecBole's own bound; its TraditionalTrainer leaves one epoch afterwards, which would not be evaluated, nor kept
    trainer.eval_step = min(trainer.eval_step, trainer.epochs)
    writes = process_rank() == 0
    if writes:
        Path(f"{file}.json").unlink(missing_ok=True)
    if can_resume:
        trainer.checkpoint_entries, trainer.resume_file, trainer.resume_interval = (
            extra,
            f"{file}.resume",
            resume_interval,
        )
        if resume and trainer.resume() is not None:
            logging.getLogger().info(f"going on at epoch {trainer.start_epoch}")
    began = time.perf_counter()
    score = _fit(trainer, data, watch)
    if not writes:
        return
    if not Path(file).is_file():
        raise KDError(f"{config['model']} has a trainer of its own that leaves no checkpoint: take another model")
    if not can_resume:
        _add_entries(file, extra)
    epochs = len(trainer.train_loss_dict)
    seconds = trainer.seconds if can_resume else time.perf_counter() - began
    scores = [[epoch, score] for epoch, score in trainer.valid_scores.items()] if can_resume else []
    mark = {"best_valid_score": float(score), "epochs": epochs, "seconds": seconds, "valid_scores": scores}
    if can_resume and trainer.history:
        mark["progress"] = trainer.history
    atomic_write(f"{file}.json", json.dumps(mark, indent=1).encode())
    if can_resume:
        trainer.remove_resume_point()


def _fit(trainer, data, watch):
    """RecBole's fit; what it would stumble over is said in a sentence. Returns the best validation score."""
    config = trainer.config
    try:
        score, _ = trainer.fit(
            data.train, data.valid, saved=True, show_progress=config["show_progress"],
            callback_fn=watch and _epoch_callback(trainer.model, watch),
        )  # fmt: skip
    except ValueError as error:
        if "nan" in str(error):  # of a trainer of a model's own
            raise NonFiniteLoss(f"the {config['model']} loss is not finite: try a smaller learning_rate") from error
        raise
    except RuntimeError as error:
        # RecBole casts all of a model, its sparse products too, which torch cannot all do in half precision
        if config["enable_amp"] and any(kind in str(error) for kind in ("BFloat16", "Half")):
            raise KDError(
                f"{config['model']} cannot be trained with enable_amp on this device: leave it out, or set it for one "
                f"side alone, student.enable_amp or teacher.enable_amp ({error_sentence(error)})"
            ) from error
        raise
    return score


def _epoch_callback(model, watch):
    # asked anew each time: HetComp's last phase begins when its users have got there
    return lambda epoch, score: watch(epoch, float(score), epoch >= getattr(model, "last_phase", 0))


def _add_entries(file, extra):
    # only for RecBole's own file, written a moment ago by this very process
    content = torch.load(file, map_location="cpu", weights_only=False)
    atomic_write(file, torch_bytes({**content, **extra}))


def read_done_marker(file):
    """What the mark beside a checkpoint says, or None where its training has not ended."""
    mark = Path(f"{file}.json")
    try:
        return json.loads(mark.read_text()) if Path(file).is_file() and mark.is_file() else None
    except ValueError:  # damaged: as if it were not there
        return None


def read_trained(file):
    """A checkpoint that a run of this project left. Raises KDError, which says what to do."""
    try:
        return read_checkpoint(file)
    except KDError as error:
        raise KDError(f"{error}; remove it, and the same command trains it again") from error
