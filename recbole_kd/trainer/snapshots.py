"""Snapshots of a model during its training. Some of them become the trajectory of a teacher."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recbole_kd.io import atomic_write, torch_bytes

SNAPSHOTS_PER_STATE = 4  # the snapshot nearest to a wanted epoch is then at most an eighth of a step away


def stride(epochs: int, most: int) -> int:
    """The distance, in epochs, between the snapshots that are stored after a number of trained epochs.

    Args:
        epochs: number of epochs trained.
        most: how many snapshots may be stored at a time.

    Returns:
        The smallest power of two that leaves at most ``most`` snapshots.

    >>> [stride(epochs, 4) for epochs in (1, 4, 5, 8, 9, 17)]
    [1, 1, 2, 2, 4, 8]
    """
    step = 1
    while epochs > step * most:
        step *= 2
    return step


def choose_epochs(stored: Iterable[int], best: int, states: int) -> list[int]:
    """Choose the stored epochs that precede the best one in a trajectory, equally spaced.

    Args:
        stored: numbers of trained epochs of which a snapshot is stored.
        best: number of trained epochs of the best state, which is the last one of the trajectory.
        states: how many states the trajectory has, the best one included.

    Returns:
        At most ``states`` - 1 ascending numbers below ``best``; fewer where fewer are stored.

    >>> choose_epochs([2, 4, 6, 8, 10, 12], 9, 4)
    [2, 4, 6]
    """
    earlier = sorted(epochs for epochs in stored if 0 < epochs < best)
    targets = [best * index / states for index in range(1, states)] if earlier else []
    return sorted({min((abs(epochs - target), epochs) for epochs in earlier)[1] for target in targets})


class Snapshots:
    """The weights of a model at some epochs of its training, in a folder beside its checkpoint.

    Args:
        file: the checkpoint.
        states: how many states a trajectory has.

    Attributes:
        folder: the folder that holds the snapshots.
        most: how many snapshots may be stored at a time.
    """

    def __init__(self, file: str | Path, states: int) -> None:
        self.folder: Path = Path(f"{file}.states")
        self.most: int = SNAPSHOTS_PER_STATE * states

    def save_if_due(self, epochs: int, model: Any) -> None:
        """Store the weights of a model where they are due, and remove the snapshots that are no longer needed.

        Args:
            epochs: number of epochs trained; 0 removes the snapshots of an earlier training.
            model: a RecBole model.
        """
        step = stride(epochs, self.most)
        if epochs == 0:
            self.remove()
        self.folder.mkdir(exist_ok=True)
        for stored, file in self.saved_files().items():
            if stored % step:
                file.unlink()
        if epochs and epochs % step == 0:
            content = {"state_dict": model.state_dict(), "other_parameter": model.other_parameter()}
            # weights_only reads pickle protocol 2
            atomic_write(self.folder / f"{epochs}.pth", torch_bytes(content, protocol=2))

    def saved_files(self) -> dict[int, Path]:
        """The files of the snapshots by the number of trained epochs, ascending."""
        files = {int(file.stem): file for file in self.folder.glob("*.pth") if file.stem.isdecimal()}
        return dict(sorted(files.items()))

    def is_complete(self, epochs: int) -> bool:
        """Whether the folder holds exactly the snapshots that a training of ``epochs`` epochs leaves.

        It does not where the training stored snapshots for a trajectory of fewer states, or was resumed without
        storing any.
        """
        step = stride(epochs - 1, self.most)
        return self.folder.is_dir() and list(self.saved_files()) == list(range(step, epochs, step))

    def remove(self) -> None:
        """Remove all snapshots and their folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
