"""Checks of a resume point before anything in it is used.

A resume point decides what a trainer does next, so that only known entries of known types are taken from it.
"""

import hashlib
import io
import math
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from recbole_kd.trainer.resume_state import other_optimizers

ENTRIES = frozenset(
    ("epoch", "device", "model", "attributes", "optimizer", "counters", "python", "numpy", "torch", "cuda", "loaders")
)
COUNTERS = (  # attributes of the trainer
    "cur_step",
    "best_valid_score",
    "best_valid_result",
    "train_loss_dict",
    "valid_scores",
    "seconds",
    "history",
)
MOMENTS = {  # what an optimiser of RecBole keeps of each parameter
    "Adam": {"step", "exp_avg", "exp_avg_sq"},
    "AdamW": {"step", "exp_avg", "exp_avg_sq"},
    "SparseAdam": {"step", "exp_avg", "exp_avg_sq"},
    "Adagrad": {"step", "sum"},
    "RMSprop": {"step", "square_avg"},
    "SGD": {"momentum_buffer"},
}
OTHER_OPTIMIZERS = "other_optimizers"  # entry with those of RecVAE's trainer; missing in earlier versions
DIGEST = "digest"  # entry with the hash of the others; missing in the resume points of earlier versions


class DamagedResumePoint(ValueError):
    """An entry of a resume point is missing, unknown, or of another type or range than the training writes."""


def check_archive(content: bytes) -> None:
    """Refuse bytes that are not an intact file of ``torch.save``; torch does not compare the checksums itself.

    Raises:
        DamagedResumePoint: a record is compressed, longer than the file, or differs from its checksum.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        is_plain = all(info.compress_type == zipfile.ZIP_STORED for info in infos)
        if not is_plain or sum(info.file_size for info in infos) > len(content) or archive.testzip():
            raise DamagedResumePoint("its records are damaged")


def digest_of(state: Mapping[str, Any]) -> str:
    """A hash of all entries of a resume point but the digest itself; no other optimisers are no entry."""
    digest = hashlib.sha256()
    left_out = {DIGEST, *([] if state.get(OTHER_OPTIMIZERS) else [OTHER_OPTIMIZERS])}
    _add_to_digest(digest, {name: value for name, value in state.items() if name not in left_out})
    return digest.hexdigest()


def _add_to_digest(digest: Any, value: Any) -> None:
    digest.update(type(value).__name__.replace("OrderedDict", "dict").encode())
    if isinstance(value, Mapping):
        value = [entry for pair in value.items() for entry in pair]
    if isinstance(value, (list, tuple)):
        digest.update(str(len(value)).encode())
        for entry in value:
            _add_to_digest(digest, entry)
    elif isinstance(value, torch.Tensor) and value.layout != torch.strided:
        value = value.coalesce()
        _add_to_digest(digest, [tuple(value.shape), value.indices(), value.values()])
    elif isinstance(value, torch.Tensor):
        digest.update(f"{value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    else:
        digest.update(repr(value).encode())


def check_resume_state(state: Mapping[str, Any], trainer: Any) -> None:
    """Refuse a resume point that the trainer cannot have written.

    Args:
        state: the content of the resume point.
        trainer: the ResumableTrainer that resumes, as constructed.

    Raises:
        DamagedResumePoint: with the entry that is wrong.
    """
    _require(set(state) - {DIGEST, OTHER_OPTIMIZERS} == ENTRIES, "its entries")
    # earlier versions wrote neither of the two entries
    has_digest = DIGEST in state or OTHER_OPTIMIZERS not in state
    _require(has_digest and state.get(DIGEST, digest_of(state)) == digest_of(state), "its digest")
    _require(state["device"] == trainer.device.type, "device")
    for name, kind in (("python", tuple), ("numpy", tuple), ("torch", torch.Tensor), ("cuda", list), ("loaders", list)):
        _require(isinstance(state[name], kind), name)
    epoch = state["epoch"]
    _require(type(epoch) is int and 0 <= epoch < trainer.epochs, "epoch")
    _check_counters(state["counters"], epoch, trainer)
    _check_weights(state["model"], trainer.model)
    _check_attributes(state["attributes"], trainer.model)
    _check_optimizers(state, trainer)


def _require(is_valid: bool, entry: str) -> None:
    if not is_valid:
        raise DamagedResumePoint(f"{entry} is not what the training writes")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _check_counters(counters: Mapping[str, Any], epoch: int, trainer: Any) -> None:
    _require(isinstance(counters, dict) and set(counters) == set(COUNTERS), "counters")
    step, seconds = counters["cur_step"], counters["seconds"]
    _require(type(step) is int and 0 <= step <= max(0, trainer.stopping_step), "cur_step")
    _require(_is_number(seconds) and math.isfinite(seconds) and seconds >= 0, "seconds")
    for name in ("train_loss_dict", "valid_scores"):
        _require(_is_curve(counters[name], epoch), name)
    scores = [score for score in counters["valid_scores"].values() if not math.isnan(score)]
    choose, worst = (max, -math.inf) if trainer.valid_metric_bigger else (min, math.inf)
    best = counters["best_valid_score"]
    _require(_is_number(best) and best == choose([worst, *scores]), "best_valid_score")
    result = counters["best_valid_result"]
    _require(result is None or (isinstance(result, dict) and _holds(result, str, _is_number)), "best_valid_result")
    history = counters["history"]
    _require(isinstance(history, dict) and _holds(history, str, _is_progress), "history")


def _holds(values: Mapping[Any, Any], key_type: type, is_valid: Any) -> bool:
    return all(type(key) is key_type and is_valid(value) for key, value in values.items())


def _is_curve(curve: Any, epochs: int) -> bool:
    """Whether a dict holds a number for some of the epochs before ``epochs``, in their order."""
    if not (isinstance(curve, dict) and _holds(curve, int, _is_number)):
        return False
    return list(curve) == sorted(curve) and all(0 <= epoch < epochs for epoch in curve)


def _is_progress(points: Any) -> bool:
    return isinstance(points, list) and all(
        isinstance(point, list) and len(point) == 2 and type(point[0]) is int and _is_number(point[1])
        for point in points
    )


def _check_weights(weights: Mapping[str, Any], model: torch.nn.Module) -> None:
    present = torch.nn.Module.state_dict(model)  # a Distiller's own has its student's weights alone
    drawn = {name for name in present if name.endswith("batch_reader._extra_state")}  # missing in earlier versions
    _require(isinstance(weights, dict) and set(weights) | drawn == set(present), "model")
    present = {name: tensor for name, tensor in present.items() if name in weights}
    parameters = dict(model.named_parameters())
    for name, tensor in present.items():
        is_weight = isinstance(tensor, torch.Tensor)  # otherwise the extra state of a module
        _require((_is_alike if is_weight else _can_replace)(weights[name], tensor), f"model: {name}")
        is_finite = name not in parameters or bool(torch.isfinite(weights[name]).all())
        _require(is_finite, f"model: {name}")


def _can_replace(value: Any, present: Any) -> bool:
    """Whether a value can be the later extra state of a module whose state is ``present`` now."""
    if isinstance(present, dict):
        is_dict = isinstance(value, dict) and set(value) == set(present)
        return is_dict and all(_can_replace(value[key], present[key]) for key in present)
    if isinstance(present, torch.Tensor):
        return isinstance(value, torch.Tensor) and (value.dtype, value.dim()) == (present.dtype, present.dim())
    return present is None or type(value) is type(present)


def _is_alike(value: Any, tensor: torch.Tensor) -> bool:
    if not isinstance(value, torch.Tensor):
        return False
    return (value.dtype, value.shape, value.layout) == (tensor.dtype, tensor.shape, tensor.layout)


def _check_attributes(attributes: Mapping[str, Any], model: torch.nn.Module) -> None:
    modules = dict(model.named_modules())
    _require(isinstance(attributes, dict) and set(attributes) == set(modules), "attributes")
    for name, values in attributes.items():
        _require(isinstance(values, dict) and all(isinstance(key, str) for key in values), f"attributes: {name}")
        for key, value in values.items():
            module = modules[name]
            # one that is made during the training is not there yet; a method must not be covered
            is_free = key in vars(module) or not hasattr(module, key)
            _require(is_free and key[:1] != "_", f"attributes: {key}")
            _require(_can_follow(value, vars(module).get(key)), f"attributes: {key}")


def _can_follow(value: Any, present: Any) -> bool:
    """Whether an attribute of the value ``present`` can have become ``value`` during the training."""
    if isinstance(value, torch.Tensor):
        if isinstance(present, np.ndarray):
            return value.dtype == torch.from_numpy(present).dtype and value.dim() == present.ndim
        if isinstance(present, torch.Tensor):
            return (value.dtype, value.dim(), value.layout) == (present.dtype, present.dim(), present.layout)
        is_plain = value.layout == torch.strided and (value.is_floating_point() or value.dtype == torch.int64)
        return present is None and is_plain
    if isinstance(value, list):
        return all(map(_is_number, value)) and (present is None or isinstance(present, list))
    if type(value) is bool:
        return present is None or type(present) is bool
    return _is_number(value) and (present is None or _is_number(present))


def _check_optimizers(state: Mapping[str, Any], trainer: Any) -> None:
    """The state of the optimiser in use, and those of the others; the one in use may be one of the others."""
    others, kept = other_optimizers(trainer), state.get(OTHER_OPTIMIZERS, {})
    _require(isinstance(kept, dict) and set(kept) == set(others), OTHER_OPTIMIZERS)
    for name, optimizer in others.items():
        _check_optimizer(kept[name], optimizer)
    if isinstance(state["optimizer"], str):
        _require(state["optimizer"] in others, "optimizer")
    else:
        _check_optimizer(state["optimizer"], trainer.optimizer)


def _check_optimizer(state: Mapping[str, Any], optimizer: torch.optim.Optimizer) -> None:
    _require(isinstance(state, dict) and set(state) == {"state", "param_groups"}, "optimizer")
    _require(state["param_groups"] == optimizer.state_dict()["param_groups"], "param_groups")
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments = state["state"]
    _require(isinstance(moments, dict) and all(type(i) is int and 0 <= i < len(parameters) for i in moments), "state")
    names = MOMENTS[type(optimizer).__name__]
    for index, values in moments.items():
        _require(isinstance(values, dict) and set(values) == names, "state")
        for name, value in values.items():
            _require(_is_moment(name, value, parameters[index]), f"state: {name}")


def _is_moment(name: str, value: Any, parameter: torch.Tensor) -> bool:
    if name == "step" and not isinstance(value, torch.Tensor):  # SparseAdam counts in a number
        return _is_number(value) and 0 <= value < math.inf
    if not isinstance(value, torch.Tensor):
        return value is None and name == "momentum_buffer"
    shape = torch.Size([]) if name == "step" else parameter.shape
    is_known = value.shape == shape and value.layout == torch.strided and value.is_floating_point()
    is_known = is_known and bool(torch.isfinite(value).all())
    return is_known and (name in ("exp_avg", "momentum_buffer") or bool((value >= 0).all()))
