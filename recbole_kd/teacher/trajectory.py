"""The states that a model passes through while it trains: a few are kept, and some of those become a trajectory.

How many epochs there will be is not known beforehand. So states are kept at a stride that doubles whenever there are
too many: at any moment they are about equally spaced, and which are there depends on the epoch alone, so that a resumed
training keeps the same ones.
"""

import shutil
from pathlib import Path

from recbole_kd.teacher.checkpoint import to_bytes, write_whole

A_STATE = 4  # states that are kept for each that is wanted: the nearest is then half a quarter of a step away at most


def stride(epochs, most):
    """Every how many epochs a state is kept when this many have been trained.

    >>> [stride(epochs, 4) for epochs in (1, 4, 5, 8, 9, 17)]
    [1, 1, 2, 2, 4, 8]
    """
    step = 1
    while epochs > step * most:
        step *= 2
    return step


def choose(held, best, states):
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


class States:
    """Weights of a model at some epochs of its training, beside its checkpoint.

    Args:
        file: the checkpoint.
        states: how many states a trajectory is to have.
    """

    def __init__(self, file, states):
        self.folder, self.most = Path(f"{file}.states"), A_STATE * states

    def keep(self, epochs, model):
        """Called before each epoch with the number of epochs trained."""
        step = stride(epochs, self.most)
        if epochs == 0:
            self.forget()
        self.folder.mkdir(exist_ok=True)
        for held, file in self.held().items():
            if held % step:
                file.unlink()
        if epochs and epochs % step == 0:
            content = {"state_dict": model.state_dict(), "other_parameter": model.other_parameter()}
            write_whole(self.folder / f"{epochs}.pth", to_bytes(content, protocol=2))  # the one that weights_only reads

    def held(self):
        """The files by the number of epochs trained, in order."""
        files = {int(file.stem): file for file in self.folder.glob("*.pth")}
        return dict(sorted(files.items()))

    def whole(self, epochs):
        """Whether all are there that a training of this many epochs keeps: not so where it was for fewer states, or
        went on without keeping any.
        """
        step = stride(epochs - 1, self.most)
        return self.folder.is_dir() and list(self.held()) == list(range(step, epochs, step))

    def forget(self):
        """Remove them all."""
        shutil.rmtree(self.folder, ignore_errors=True)
