"""Plain RecBole, a step at a time: building a model, training it, finding it again. Teacher and student alone."""

import json
import logging
import time
from contextlib import contextmanager
from pathlib import Path

import torch
from recbole.trainer import Trainer
from recbole.utils import get_trainer, init_seed

from recbole_kd import processes
from recbole_kd.config import KDError, sentence
from recbole_kd.config.keys import unset
from recbole_kd.teacher import parts
from recbole_kd.teacher.checkpoint import at, read_checkpoint, settled, to_bytes, write_whole
from recbole_kd.teacher.initial import new_model
from recbole_kd.teacher.resume import NonFiniteLoss, ResumableTrainer

# keys that say where and how a run is shown, not what comes out of it
OUTWARD = {
    "gpu_id", "use_gpu", "state", "data_path", "checkpoint_dir", "show_progress", "log_wandb",
    "wandb_project", "save_dataset", "dataset_save_path", "save_dataloaders", "dataloaders_save_path", "config_files",
    "metrics", "topk", "eval_batch_size", "loss_decimal_place", "device", "local_rank", "single_spec", "nproc",
    "world_size", "ip", "port", "group_offset", "eval_type", "baseline", "resume", "resume_interval", "result_file",
    "teacher_path", "teacher_check", "teachers", "eval_mask",
}  # fmt: skip
LATER = ("ensemble_weights", "eval_mask", "init_std", "neighbour_weight")


LESS = "a smaller train_batch_size, eval_batch_size or kd_rows takes less"


class TrainingFailed(RuntimeError):
    """A training in plain RecBole ended in an error of RecBole's or of the machine's; says whose it was."""


class Stopped(Exception):
    """What a watcher raises to end a training."""


@contextmanager
def named(whose):
    """What may stop a training, in a sentence that says ``whose`` it was. Raises TrainingFailed."""
    try:
        yield
    except (KDError, NonFiniteLoss, Stopped, ImportError, OSError):
        raise
    except Exception as error:
        logging.getLogger().debug("what stopped it:", exc_info=True)
        said = f"too little memory: {error}; {LESS}" if of_memory(error) else sentence(error)
        raise TrainingFailed(f"the training of {whose} failed: {said}") from error


def of_memory(error):
    """Whether an exception says that there is too little memory; torch's are RuntimeErrors."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error))


def decisive(settings, more=()):
    """Of a config's settings those that decide a run's outcome, as text; ``more``: outward ones that count here too.

    One of the keys that came LATER counts where it is set: what was made before there was such a key is found again.
    So does ``worker``, whose processes draw the negatives each for itself.
    """

    def counts(key, value):
        if key == "worker":
            return bool(value)
        return (key not in OUTWARD or key in more) and not (key in LATER and unset(key, value))

    return {key: str(value) for key, value in settings.items() if counts(key, value)}


def run_key(config, fingerprint, *more):
    """Sixteen hex digits that stand for all that decides a run's outcome: settings, data, whatever else is given."""
    return parts.hashed(json.dumps(decisive(config.final_config_dict), sort_keys=True), fingerprint.whole, *more)[:16]


def build(config, dataset):
    """A model as ``run_recbole`` builds it: seeded, then constructed, then moved. ``dataset``: the training part.

    Raises:
        KDError: there is no such model with these settings.
        ImportError: it needs a package that is not there.
    """
    init_seed(config["seed"] + config["local_rank"], config["reproducibility"])
    try:
        return new_model(config, dataset)
    except (ImportError, MemoryError, KDError):
        raise
    except Exception as error:
        raise unmade(config, error) from error


def unmade(config, error):
    """What is raised where a model stumbles over a key of the wrong kind, somewhere."""
    return KDError(f"a {config['model']} cannot be made with these settings: {sentence(error)}")


def lacks(config, error):
    """What is raised where a model imports a package that is not there."""
    return KDError(f"{config['model']} needs a package that is not installed: {error}")


def resumable(config):
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
    data = own_split or parts.split(config)
    model = build(config, data.train._dataset)
    if not resumable(config):  # a trainer of a model's own may do more between epochs than a resume point holds
        return run(get_trainer(config["MODEL_TYPE"], config["model"])(config, model), data, file, **how)
    if states is not None and not states.folder.is_dir():
        how["resume"] = False  # what it would go on from kept no states
    trainer = ResumableTrainer(config, model)
    trainer.states = states
    return run(trainer, data, file, **how)


def resuming(config):
    """How a training of this run is resumed: keywords of ``run``."""
    return {"resume": config["resume"], "resume_interval": config["resume_interval"]}


def run(trainer, data, file, resume=False, resume_interval=15.0, watch=None):
    """Run a trainer over a fresh split: resume points while it goes, a mark beside the checkpoint when it has ended.

    ``watch(epoch, score, settled)`` is called after each evaluated epoch, ``settled`` where the model's last scheduled
    phase has begun; Stopped, which it may raise, ends the training, without a mark.
    """
    config, can_resume = trainer.config, isinstance(trainer, ResumableTrainer)
    extra = {"fingerprint": vars(data.fingerprint)}
    trainer.saved_model_file = str(file)
    # RecBole's own bound; its TraditionalTrainer leaves one epoch afterwards, which would not be evaluated, nor kept
    trainer.eval_step = min(trainer.eval_step, trainer.epochs)
    writes = processes.rank() == 0
    if writes:
        Path(f"{file}.json").unlink(missing_ok=True)
    if can_resume:
        trainer.extra, trainer.resume_file, trainer.resume_interval = extra, f"{file}.resume", resume_interval
        if resume and trainer.resume() is not None:
            logging.getLogger().info(f"going on at epoch {trainer.start_epoch}")
    began = time.perf_counter()
    score = _fit(trainer, data, watch)
    if not writes:
        return
    if not Path(file).is_file():
        raise KDError(f"{config['model']} has a trainer of its own that leaves no checkpoint: take another model")
    if not can_resume:
        _rewrite(file, extra)
    epochs = len(trainer.train_loss_dict)
    seconds = trainer.seconds if can_resume else time.perf_counter() - began
    scores = [[epoch, score] for epoch, score in trainer.valid_scores.items()] if can_resume else []
    mark = {"best_valid_score": float(score), "epochs": epochs, "seconds": seconds, "valid_scores": scores}
    if can_resume and trainer.history:
        mark["progress"] = trainer.history
    write_whole(f"{file}.json", json.dumps(mark, indent=1).encode())
    if can_resume:
        trainer.forget()


def _fit(trainer, data, watch):
    """RecBole's fit; what it would stumble over is said in a sentence. Returns the best validation score."""
    config = trainer.config
    try:
        score, _ = trainer.fit(
            data.train, data.valid, saved=True, show_progress=config["show_progress"],
            callback_fn=watch and _watched(trainer.model, watch),
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
                f"side alone, student.enable_amp or teacher.enable_amp ({sentence(error)})"
            ) from error
        raise
    return score


def _watched(model, watch):
    # asked anew each time: HetComp's last phase begins when its users have got there
    return lambda epoch, score: watch(epoch, float(score), epoch >= getattr(model, "last_phase", 0))


def _rewrite(file, extra):
    # only for RecBole's own file, written a moment ago by this very process
    content = torch.load(file, map_location="cpu", weights_only=False)
    write_whole(file, to_bytes({**content, **extra}))


def complete(file):
    """What the mark beside a checkpoint says, or None where its training has not ended."""
    mark = Path(f"{file}.json")
    try:
        return json.loads(mark.read_text()) if Path(file).is_file() and mark.is_file() else None
    except ValueError:  # damaged: as if it were not there
        return None


def read_own(file):
    """A checkpoint that a run of this project left. Raises KDError, which says what to do."""
    try:
        return read_checkpoint(file)
    except KDError as error:
        raise KDError(f"{error}; remove it, and the same command trains it again") from error


def load_weights(config, dataset, file, content=None):
    """A model with the weights of a checkpoint, in evaluation mode.

    Raises:
        KDError: the weights do not fit the model that the config describes, or are not finite.
    """
    content = content or read_checkpoint(file)
    model = build(config, dataset)
    try:
        if not all(isinstance(name, str) for name in content["state_dict"]):
            raise RuntimeError("a weight has no name")
        model.load_state_dict(content["state_dict"])
    except RuntimeError as error:
        raise KDError(
            f"the weights in '{file}' do not fit a {config['model']} on this dataset: {sentence(error)}"
        ) from error
    broken = next((name for name, weight in model.named_parameters() if not torch.isfinite(weight).all()), None)
    if broken is not None:
        raise KDError(f"the weights in '{file}' are not all finite numbers, those of {broken} for one: train it again")
    other = settled(content.get("other_parameter")) or {}
    if not isinstance(other, dict):
        raise KDError(f"'{file}' is not a RecBole checkpoint: its other_parameter is none")
    names = getattr(model, "other_parameter_name", ())
    other = {name: value for name, value in other.items() if name in names}
    model.load_other_parameter(at(config["device"], other) or None)
    return model.eval()
