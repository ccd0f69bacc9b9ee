"""Train a model to a checkpoint, and find the checkpoint again."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from recbole.config import Config as RecBoleConfig
from recbole.trainer import Trainer

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.data.split import Split, prepare_split
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
from recbole_kd.io import atomic_write, read_record, torch_bytes, write_record
from recbole_kd.trainer.done_marker import is_done_marker
from recbole_kd.trainer.model_builder import build_seeded_model
from recbole_kd.trainer.options import EpochCallback, TrainingFiles, TrainingOptions
from recbole_kd.trainer.recbole_trainer import is_resumable, over_recbole_trainer, recbole_trainer
from recbole_kd.trainer.resumable import ResumableTrainer
from recbole_kd.trainer.warm_start import warm_start


@contextmanager
def describe_failure(subject: str) -> Iterator[None]:
    """Turn an unexpected error of a training into a TrainingFailed that names what was trained.

    Args:
        subject: what is trained, "the teacher BPR" for example.

    Raises:
        TrainingFailed: the block raised an error that does not describe itself.
    """
    try:
        yield
    except (KDError, NonFiniteLoss, TrainingStopped, ImportError, OSError):
        raise
    except Exception as error:
        logging.getLogger().debug("the traceback of the failed training:", exc_info=True)
        reason = f"too little memory: {error}; {MEMORY_HINT}" if is_out_of_memory(error) else error_sentence(error)
        raise TrainingFailed(f"the training of {subject} failed: {reason}") from error


def train(
    config: RecBoleConfig, file: str | Path, split: Split | None = None, options: TrainingOptions | None = None
) -> None:
    """Train a model in plain RecBole. Its best state goes to ``file``; ``file``.json marks it as complete.

    Args:
        config: a plain RecBole Config.
        file: the checkpoint to write.
        split: the split of the config, where it was just prepared and nothing was drawn since; prepared where None.
        options: how to train. Snapshots are stored of resumable models alone.

    Raises:
        KDError, NonFiniteLoss, TrainingStopped: as ``run_trainer``.
    """
    split, options = split or prepare_split(config), options or TrainingOptions()
    if options.snapshots is not None and not options.snapshots.folder.is_dir():
        options = replace(options, resume=False)  # the training that left the resume point stored no snapshots
    model = build_seeded_model(config, split.train._dataset)
    warm_start(model, config, split.train._dataset)
    # any other special trainer may do more between epochs than a resume point holds
    trainer_class = over_recbole_trainer(ResumableTrainer, config) if is_resumable(config) else recbole_trainer(config)
    run_trainer(trainer_class, config, model, split, file, options)


def run_trainer(
    trainer_class: type[Trainer],
    config: RecBoleConfig,
    model: torch.nn.Module,
    split: Split,
    file: str | Path,
    options: TrainingOptions | None = None,
) -> Any:
    """Construct a trainer and train a model with it on a fresh split. Rank 0 alone writes.

    Resume points go to ``file``.resume. After the training, ``file``.json marks the checkpoint as complete.

    Args:
        trainer_class: a RecBole trainer class.
        config: the Config that the trainer is constructed with.
        model: the model.
        split: a split from whose loaders nothing has been drawn.
        file: the checkpoint to write.
        options: how to train.

    Returns:
        The trainer.

    Raises:
        KDError: the trainer leaves no checkpoint, or the resume point cannot be used.
        NonFiniteLoss: a loss is NaN or infinite.
        TrainingStopped: raised by ``options.on_epoch``; the checkpoint is not marked as complete.
    """
    options, writes = options or TrainingOptions(), process_rank() == 0
    trainer = _make_trainer(trainer_class, config, model, split, file, options)
    if writes:
        Path(f"{file}.json").unlink(missing_ok=True)
    if options.resume and isinstance(trainer, ResumableTrainer) and trainer.resume() is not None:
        logging.getLogger().info(f"resuming at epoch {trainer.start_epoch}")
    started = time.perf_counter()
    score = _fit(trainer, split, options)
    if writes:
        entries = {**_fingerprint_entry(split), **options.extra_entries}
        _complete(trainer, entries, file, score, time.perf_counter() - started)
    return trainer


def _make_trainer(
    trainer_class: type[Trainer],
    config: RecBoleConfig,
    model: torch.nn.Module,
    split: Split,
    file: str | Path,
    options: TrainingOptions,
) -> Any:
    if issubclass(trainer_class, ResumableTrainer):
        entries = {**_fingerprint_entry(split), **options.extra_entries}
        files = TrainingFiles(file, f"{file}.resume", options.resume_interval, options.snapshots, entries)
        trainer = trainer_class(config, model, files=files)
    else:
        trainer = trainer_class(config, model)
        trainer.saved_model_file = str(file)  # RecBole's trainers take it in no other way
    # RecBole's own bound; its TraditionalTrainer leaves one epoch afterwards, which would not be evaluated or saved
    trainer.eval_step = min(trainer.eval_step, trainer.epochs)
    return trainer


def _fingerprint_entry(split: Split) -> dict[str, Any]:
    return {"fingerprint": vars(split.fingerprint)}


def _fit(trainer: Any, split: Split, options: TrainingOptions) -> float:
    """RecBole's ``fit``, with messages for errors that RecBole does not describe. Returns the best validation score."""
    config = trainer.config
    callback = None if options.on_epoch is None else _epoch_callback(trainer.model, options.on_epoch)
    show_progress = config["show_progress"] and options.batch_bars
    try:
        score, _ = trainer.fit(split.train, split.valid, saved=True, show_progress=show_progress, callback_fn=callback)
    except ValueError as error:
        if "nan" in str(error):  # raised by a special trainer of RecBole
            raise NonFiniteLoss(f"the {config['model']} loss is not finite: try a smaller learning_rate") from error
        raise
    except RuntimeError as error:
        # RecBole casts the whole model, its sparse products too, which torch cannot all compute in half precision
        if config["enable_amp"] and any(kind in str(error) for kind in ("BFloat16", "Half")):
            raise KDError(
                f"{config['model']} cannot be trained with enable_amp on this device: leave it out, or set it for one "
                f"side alone, student.enable_amp or teacher.enable_amp ({error_sentence(error)})"
            ) from error
        raise
    return float(score)


def _epoch_callback(model: Any, on_epoch: EpochCallback) -> Callable[[int, float], None]:
    # last_phase is read at each epoch: HetComp's last phase begins when its users have reached it
    return lambda epoch, score: on_epoch(epoch, float(score), epoch >= getattr(model, "last_phase", 0))


def _complete(trainer: Any, entries: Mapping[str, Any], file: str | Path, score: float, seconds: float) -> None:
    """Mark the checkpoint of a training that has ended, and remove its resume point."""
    if not Path(file).is_file():
        raise KDError(
            f"{trainer.config['model']} has a special trainer that leaves no checkpoint: choose another model"
        )
    epochs = len(trainer.train_loss_dict)
    if not isinstance(trainer, ResumableTrainer):
        _add_entries(file, entries)
        marker = {"best_valid_score": score, "epochs": epochs, "seconds": seconds, "valid_scores": []}
        write_record(f"{file}.json", marker)
        return
    scores = [[epoch, value] for epoch, value in trainer.valid_scores.items()]
    marker = {"best_valid_score": score, "epochs": epochs, "seconds": trainer.seconds, "valid_scores": scores}
    if trainer.history:
        marker["progress"] = trainer.history
    write_record(f"{file}.json", marker)
    trainer.remove_resume_point()


def _add_entries(file: str | Path, entries: Mapping[str, Any]) -> None:
    # weights_only=False is safe here: RecBole wrote this file a moment ago, in this process
    content = torch.load(file, map_location="cpu", weights_only=False)
    atomic_write(file, torch_bytes({**content, **entries}))


def read_done_marker(file: str | Path) -> dict[str, Any] | None:
    """Read the marker beside a complete checkpoint.

    Args:
        file: the checkpoint.

    Returns:
        A dict with ``best_valid_score``, ``epochs``, ``seconds``, ``valid_scores`` (a list of [epoch, score]) and,
        where a method reports it, ``progress``; None where the training has not ended or the marker is damaged.
    """
    marker = read_record(f"{file}.json") if Path(file).is_file() else None
    return marker if is_done_marker(marker) else None


def read_trained(file: str | Path) -> dict[str, Any]:
    """Read a checkpoint that a run of this project left.

    Raises:
        KDError: the file cannot be read; the message says how to train the model again.
    """
    try:
        return read_checkpoint(file)
    except KDError as error:
        raise KDError(f"{error}; remove it, and the same command trains it again") from error
