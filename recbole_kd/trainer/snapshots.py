"""Snapshots of a model during its training, of which some become a trajectory."""

import shutil
from pathlib import Path

from recbole_kd.io import atomic_write, torch_bytes

PER_WANTED = (
    4  # states that are kept for each that is wanted: the nearest is then half a quarter of a step away at most
)


def stride(epochs, most):
    """Every how many epochs a state is kept when this many have been trained.

    >>> [stride(epochs, 4) for epochs in (1, 4, 5, 8, 9, 17)]
    [1, 1, 2, 2, 4, 8]
    """
    step = 1
    while epochs > step * most:
        step *= 2
    return step


def choose_epochs(held, best, states):
    """Which of the epochs at which a state was kept come before the best one in a trajectory, equally spaced.

    Args:
        held: numbers of epochs trained.
        best: that of the best state, the last one of the trajectory.
        states: how many states the trajectory is to have, the best included.

    Returns:
        list of at most ``states`` - 1 ascending numbers below ``best``; fewer where there are not as many.

    >>> choose([2, 4, 6, 8, 10, 12], 9, 4)
    [2, 4, 6]
    """
    left = sorted(epochs for epochs in held if 0 < epochs < best)
    wanted = [best * place / states for place in range(1, states)] if left else []
    return sorted({min((abs(epochs - at), epochs) for epochs in left)[1] for at in wanted})


class Snapshots:
    """Weights of a model at some epochs of its training, beside its checkpoint.

    Args:
        file: the checkpoint.
        states: how many states a trajectory is to have.
    """

    def __init__(self, file, states):
        self.folder, self.most = Path(f"{file}.states"), PER_WANTED * states

    def save_if_due(self, epochs, model):
        """Called before each epoch with the number of epochs trained."""
        step = stride(epochs, self.most)
        if epochs == 0:
            self.remove()
        self.folder.mkdir(exist_ok=True)
        for held, file in self.saved_files().items():
            if held % step:
                file.unlink()
        if epochs and epochs % step == 0:
            content = {"state_dict": model.state_dict(), "other_parameter": model.other_parameter()}
            atomic_write(
                self.folder / f"{epochs}.pth", torch_bytes(content, protocol=2)
            )  # the one that weights_only reads

    def saved_files(self):
        """The files by the number of epochs trained, in order."""
        files = {int(file.stem): file for file in self.folder.glob("*.pth")}
        return dict(sorted(files.items()))

    def is_complete(self, epochs):
        """Whether all are there that a training of this many epochs keeps: not so where it was for fewer states, or
        went on without keeping any.
        """
        step = stride(epochs - 1, self.most)
        return self.folder.is_dir() and list(self.saved_files()) == list(range(step, epochs, step))

    def remove(self):
        """Remove them all."""
        shutil.rmtree(self.folder, ignore_errors=True)
