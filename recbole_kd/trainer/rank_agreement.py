"""What the processes of a distributed training agree on: settings, data, weights, and what is drawn for an epoch."""

import zlib
from collections.abc import Iterable
from typing import Any

import torch
from recbole.config import Config as RecBoleConfig
from recbole.utils import init_seed

from recbole_kd.data.split import Split
from recbole_kd.distributed.process_group import (
    SHARED_FOLDER_HINT,
    all_gather,
    broadcast_object,
    broadcast_tensors,
    process_rank,
)
from recbole_kd.errors import KDError
from recbole_kd.trainer.cache_key import outcome_settings


def sync_from_rank0(model: Any, epoch: int) -> None:
    """Before an epoch, give all processes the weights of rank 0 and the random states of its terms.

    Args:
        model: a Distiller.
        epoch: the epoch that this process is about to start.

    Raises:
        KDError: this process is about to start another epoch than rank 0.
    """
    first_epoch, states = broadcast_object((epoch, [term.get_extra_state() for term in model.terms]))
    if first_epoch != epoch:
        raise KDError(
            f"process {process_rank()} would start at epoch {epoch}, and process 0 at epoch {first_epoch}: "
            f"{SHARED_FOLDER_HINT}"
        )
    for term, state in zip(model.terms, states, strict=True):
        term.set_extra_state(state)
    broadcast_tensors([*model.parameters(), *model.student.buffers()])


def check_same_settings(config: RecBoleConfig) -> None:
    """Raise KDError, in all processes, where one has other settings than rank 0."""
    first, *others = all_gather(outcome_settings(config.final_config_dict))
    for rank, settings in enumerate(others, 1):
        for key in sorted(first | settings):
            if settings.get(key) != first.get(key):
                raise KDError(
                    f"{key} is {first.get(key)} in process 0 and {settings.get(key)} in process {rank}: "
                    "start all machines with the same settings"
                )


def check_same_data(split: Split) -> None:
    """Raise KDError, in all processes, where they do not all have the same split."""
    if len(set(all_gather(split.fingerprint.combined))) > 1:
        raise KDError("the dataset's files differ between the processes: give all machines the same files")


def check_same_lists(terms: Iterable[Any]) -> None:
    """Raise KDError where a term has drawn other lists for the epoch than in another process.

    Args:
        terms: the terms of a Distiller; their lists are their integer buffers.
    """
    digests = {
        term.name: [_digest(buffer) for buffer in term.buffers() if not buffer.is_floating_point()] for term in terms
    }
    gathered = all_gather(digests)
    for name in digests:
        if any(other[name] != digests[name] for other in gathered):
            raise KDError(
                f"{name} has drawn other lists than in another process: what lasts for an epoch has to depend on its "
                "generator, the student and the teacher only; leave nproc out"
            )


def _digest(buffer: torch.Tensor) -> int:
    return zlib.crc32(buffer.detach().cpu().contiguous().numpy().tobytes())


def seed_per_rank(terms: Iterable[Any], config: RecBoleConfig, epoch: int) -> None:
    """Let each process draw for itself from here on.

    Rank 0 draws as a single process would. The seed of the others depends on the epoch, so that a resumed training
    draws the same.

    Args:
        terms: the terms of a Distiller, each with its generator.
        config: the Config of the run.
        epoch: the epoch that starts.
    """
    if process_rank() == 0:
        return
    name = f"{config['seed']} {epoch} {process_rank()}"
    init_seed(zlib.crc32(name.encode()), config["reproducibility"])
    for term in terms:
        term.generator.manual_seed(zlib.crc32(f"{term.name} {name}".encode()))
