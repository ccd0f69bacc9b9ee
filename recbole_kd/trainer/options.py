"""The arguments of a training: which files it writes, how it resumes, and who is told about each epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recbole.config import Config as RecBoleConfig

from recbole_kd.trainer.snapshots import Snapshots

RESUME_INTERVAL = 15.0  # seconds

EpochCallback = Callable[[int, float, bool], None]
"""Called after each evaluated epoch with the epoch, its validation score, and whether the model's last scheduled phase
has begun. A TrainingStopped that it raises ends the training."""


@dataclass(frozen=True)
class TrainingFiles:
    """The files that a ``ResumableTrainer`` writes.

    Attributes:
        checkpoint: the file of the best state, a RecBole checkpoint.
        resume_point: the file of the latest resume point; None writes no resume points.
        resume_interval: the least number of seconds between two resume points.
        snapshots: receives the weights at some epochs; None stores no snapshots.
        extra_entries: entries that the checkpoint carries besides RecBole's; plain values only.
    """

    checkpoint: str | Path
    resume_point: str | Path | None = None
    resume_interval: float = RESUME_INTERVAL
    snapshots: Snapshots | None = None
    extra_entries: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingOptions:
    """How a training is run.

    Attributes:
        resume: whether to continue from a resume point, if one exists.
        resume_interval: the least number of seconds between two resume points.
        snapshots: receives the weights at some epochs; None stores no snapshots.
        on_epoch: called after each evaluated epoch.
        extra_entries: entries that the checkpoint carries besides RecBole's and the fingerprint; plain values only.
        batch_bars: whether RecBole shows a bar of batches for each epoch, where ``show_progress`` is set.
    """

    resume: bool = False
    resume_interval: float = RESUME_INTERVAL
    snapshots: Snapshots | None = None
    on_epoch: EpochCallback | None = None
    extra_entries: Mapping[str, Any] = field(default_factory=dict)
    batch_bars: bool = True

    @classmethod
    def from_config(
        cls, config: RecBoleConfig, snapshots: Snapshots | None = None, on_epoch: EpochCallback | None = None
    ) -> TrainingOptions:
        """The options of a run: ``resume``, ``resume_interval`` and ``verbose`` are keys of its config.

        Args:
            config: the Config of the run.
            snapshots: as the attribute.
            on_epoch: as the attribute.
        """
        return cls(config["resume"], config["resume_interval"], snapshots, on_epoch, batch_bars=bool(config["verbose"]))
