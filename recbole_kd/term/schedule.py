"""How a quantity changes over the epochs. Pure functions of the epoch, which counts from 0."""


def ramp(epoch: int, length: int) -> float:
    """Linear from 0 at epoch 0 to 1 at epoch ``length`` and after; 1 throughout where ``length`` is 0.

    >>> [ramp(epoch, 4) for epoch in (0, 1, 4, 9)]
    [0.0, 0.25, 1.0, 1.0]
    """
    return 1.0 if length <= 0 else min(1.0, epoch / length)


def geometric_decay(epoch: int, length: int, start: float, end: float) -> float:
    """Geometric from ``start`` at epoch 0 to ``end`` at epoch ``length`` and after, which is throughout if it is 0.

    >>> [geometric_decay(epoch, 2, 1.0, 0.25) for epoch in (0, 1, 2, 9)]
    [1.0, 0.5, 0.25, 0.25]
    """
    return start * (end / start) ** ramp(epoch, length)


def is_refresh_epoch(epoch: int, every: int) -> bool:
    """Whether a refresh that runs each ``every`` epochs, beginning with the first, runs at this one.

    >>> [is_refresh_epoch(epoch, 3) for epoch in range(5)]
    [True, False, False, True, False]
    """
    return epoch % every == 0
