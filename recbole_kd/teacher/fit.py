"""Plain RecBole, a step at a time: the split, training a model on it, evaluating it. Teacher and student alone."""

import hashlib
import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.data import create_dataset, data_preparation
from recbole.trainer import Trainer
from recbole.utils import EvaluatorType, get_trainer, init_seed

from recbole_kd import processes
from recbole_kd.config import KDError
from recbole_kd.config.keys import unset
from recbole_kd.teacher.checkpoint import read_checkpoint, settled, to_bytes, write_whole
from recbole_kd.teacher.initial import new_model
from recbole_kd.teacher.mask import mask_training
from recbole_kd.teacher.resume import NonFiniteLoss, ResumableTrainer

# keys that say where and how a run is shown, not what comes out of it
OUTWARD = {
    "gpu_id", "use_gpu", "state", "data_path", "checkpoint_dir", "show_progress", "log_wandb",
    "wandb_project", "save_dataset", "dataset_save_path", "save_dataloaders", "dataloaders_save_path", "config_files",
    "metrics", "topk", "eval_batch_size", "loss_decimal_place", "device", "local_rank", "single_spec", "nproc",
    "world_size", "ip", "port", "group_offset", "eval_type", "baseline", "resume", "resume_interval", "result_file",
    "teacher_path", "teacher_check", "teachers", "eval_mask",
}  # fmt: skip
LATER = ("ensemble_weights", "eval_mask", "init_std")
PARTS = 3  # of a split: train, valid and test


@dataclass(frozen=True)
class Fingerprint:
    """What makes two models comparable: hashes of the vocabulary and of the pairs of each part of the split."""

    vocabulary: str
    train: str
    valid: str
    test: str

    @property
    def whole(self):
        """All of it in one hash."""
        return _hash(self.vocabulary, self.train, self.valid, self.test)


@dataclass(frozen=True)
class Split:
    """RecBole's dataset and loaders of one config, and the pairs in them.

    Attributes:
        pairs: for train, valid and test: sorted distinct user * n_items + item, int64.
        tokens: users' and items' tokens by id.
    """

    dataset: Any
    train: Any
    valid: Any
    test: Any
    pairs: dict
    tokens: tuple
    fingerprint: Fingerprint

    @property
    def train_pairs(self):
        """The training pairs as two int64 tensors, users and items."""
        size = len(self.tokens[1])
        return torch.from_numpy(self.pairs["train"] // size), torch.from_numpy(self.pairs["train"] % size)


def split(config):
    """RecBole's split of a config, exactly as ``run_recbole`` makes it: seeded first, nothing drawn in between.

    Raises:
        KDError: the dataset is not there or does not fit its settings.
    """
    init_seed(config["seed"], config["reproducibility"])
    _check_split(config)
    try:
        dataset = create_dataset(config)
        _check_columns(config, dataset)
        loaders = data_preparation(config, dataset)
    except KDError:
        raise
    except Exception as error:  # RecBole's own refusals, and what a file of another form makes it stumble over
        raise KDError(f"the dataset '{config['dataset']}' could not be prepared: {sentence(error)}") from error
    pairs = {name: pairs_of(loader._dataset) for name, loader in zip(("train", "valid", "test"), loaders, strict=True)}
    if not len(pairs["train"]):
        raise KDError(f"the dataset '{config['dataset']}' has no training interaction left after its filters")
    tokens = tuple(
        np.asarray(dataset.field2id_token[field]).astype(str) for field in (dataset.uid_field, dataset.iid_field)
    )
    train, valid, test = loaders
    doubles = _doubles(train._dataset)  # a pair that stands twice is trained on twice
    trained = _hash(pairs["train"], doubles) if doubles.size else _hash(pairs["train"])
    fingerprint = Fingerprint(_hash(*tokens), trained, _hash(pairs["valid"]), _hash(pairs["test"]))
    if config["eval_mask"] == "train":
        mask_training(test, pairs["train"])
    return Split(dataset, train, valid, test, pairs, tokens, fingerprint)


def pairs_of(dataset):
    """The distinct pairs of a RecBole dataset as user * n_items + item, sorted, int64."""
    return np.unique(_rows(dataset))


def _doubles(dataset):
    """The pairs that stand there more than once, and how often, int64, shape [2, c]."""
    pairs, counts = np.unique(_rows(dataset), return_counts=True)
    return np.stack([pairs[counts > 1], counts[counts > 1]])


def _rows(dataset):
    users, items = (
        dataset.inter_feat[field].numpy().astype(np.int64) for field in (dataset.uid_field, dataset.iid_field)
    )
    return users * dataset.item_num + items


def _hash(*parts):
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            part = part.tobytes() if part.dtype.kind == "i" else "\0".join(part.tolist()).encode()
        digest.update(part if isinstance(part, bytes) else str(part).encode())
        digest.update(b"\1")
    return digest.hexdigest()


def _check_split(config):
    """Refuse what no model can be trained and ranked with, and RecBole would stumble over. Raises KDError."""
    files, asked = config["benchmark_filename"], config["eval_args"] or {}
    ratios = (asked.get("split") or {}).get("RS")
    key, parts = ("benchmark_filename", files) if files else ("eval_args: {split: {RS: …}}", ratios)
    if parts is not None and len(parts) != PARTS:
        raise KDError(f"{key} is {parts!r}: three parts are needed, for training, validation and test")
    mode = asked.get("mode")
    modes = mode.values() if isinstance(mode, dict) else [mode]
    if config["eval_type"] == EvaluatorType.VALUE or "labeled" in modes:
        raise KDError(
            f"eval_args={asked!r} and metrics={config['metrics']!r} measure predicted values: students are measured by "
            "what they rank, so write mode: full and metrics such as NDCG"
        )


def _check_columns(config, dataset):
    for key in ("USER_ID_FIELD", "ITEM_ID_FIELD"):
        if config[key] not in dataset.field2id_token:
            raise KDError(
                f"the dataset '{config['dataset']}' has no column '{config[key]}': set {key} to the name it has"
            )
    if (config["eval_args"] or {}).get("order") == "TO" and config["TIME_FIELD"] not in dataset.inter_feat.columns:
        raise KDError(
            f"eval_args: order: TO sorts by the column '{config['TIME_FIELD']}', which was not read: write "
            f"load_col: {{inter: [{config['USER_ID_FIELD']}, {config['ITEM_ID_FIELD']}, {config['TIME_FIELD']}]}}"
        )
    longest = max(config["topk"])
    if longest > dataset.item_num:
        raise KDError(f"topk={config['topk']} asks for {longest} items of {dataset.item_num - 1}: take smaller ones")


def sentence(error):
    """What an exception of RecBole's says, on one line."""
    text = " ".join(str(error).split())
    known = isinstance(error, (ValueError, OSError, NotImplementedError)) and text
    return text if known else f"RecBole failed with {type(error).__name__} {text}".strip()


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
    return _hash(json.dumps(decisive(config.final_config_dict), sort_keys=True), fingerprint.whole, *more)[:16]


def build(config, dataset):
    """A model as ``run_recbole`` builds it: seeded, then constructed, then moved. ``dataset``: the training part."""
    init_seed(config["seed"] + config["local_rank"], config["reproducibility"])
    return new_model(config, dataset)


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
    data = own_split or split(config)
    model = build(config, data.train._dataset)
    if not resumable(config):  # a trainer of a model's own may do more between epochs than a resume point holds
        return run(get_trainer(config["MODEL_TYPE"], config["model"])(config, model), data, file, **how)
    if states is not None and not states.folder.is_dir():
        how["resume"] = False  # what it would go on from kept no states
    trainer = ResumableTrainer(config, model)
    trainer.states = states
    return run(trainer, data, file, **how)


def run(trainer, data, file, resume=False, resume_interval=15.0, watch=None):
    """Run a trainer over a fresh split: resume points while it goes, a mark beside the checkpoint when it has ended.

    ``watch(epoch, score, settled)`` is called after each evaluated epoch, ``settled`` where the model's last scheduled
    phase has begun; what it raises ends the training, without a mark.
    """
    config, can_resume = trainer.config, isinstance(trainer, ResumableTrainer)
    extra = {"fingerprint": vars(data.fingerprint)}
    trainer.saved_model_file = str(file)
    writes = processes.rank() == 0
    if writes:
        Path(f"{file}.json").unlink(missing_ok=True)
    if can_resume:
        trainer.extra, trainer.resume_file, trainer.resume_interval = extra, f"{file}.resume", resume_interval
        if resume and trainer.resume() is not None:
            logging.getLogger().info(f"going on at epoch {trainer.start_epoch}")
    began = time.perf_counter()
    try:
        score, _ = trainer.fit(
            data.train, data.valid, saved=True, show_progress=config["show_progress"],
            callback_fn=watch and _watched(trainer.model, watch),
        )  # fmt: skip
    except ValueError as error:
        if "nan" in str(error):  # of a trainer of a model's own
            raise NonFiniteLoss(f"the {config['model']} loss is not finite: try a smaller learning_rate") from error
        raise
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


def load_weights(config, dataset, file, content=None):
    """A model with the weights of a checkpoint, in evaluation mode.

    Raises:
        KDError: the weights do not fit the model that the config describes.
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
    other = settled(content.get("other_parameter")) or {}
    if not isinstance(other, dict):
        raise KDError(f"'{file}' is not a RecBole checkpoint: its other_parameter is none")
    names = getattr(model, "other_parameter_name", ())
    model.load_other_parameter({name: value for name, value in other.items() if name in names} or None)
    return model.eval()
