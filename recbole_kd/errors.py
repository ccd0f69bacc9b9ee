"""The exceptions of recbole_kd, and the sentences that its messages share."""

import difflib
from collections.abc import Iterable

MESSAGE_LENGTH = 1500  # of what a message shows


def printable(text: object, limit: int = MESSAGE_LENGTH) -> str:
    """Text on one line that is safe to print: control characters are escaped, the middle of a long text is left out.

    >>> print(printable("red: " + chr(27) + "[31m"))
    red: \\x1b[31m

    Args:
        text: what to print; names in it may come from a file that is not trusted.
        limit: the longest text that is shown whole.
    """
    line = str(text)
    if len(line) > limit:  # the end of a message holds the remedy
        line = f"{line[: limit // 2]} ... {line[-limit // 2 :]}"
    line = " ".join(line.splitlines())
    return line if line.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


class KDError(ValueError):
    """Bad input, in one sentence: what is wrong, where, what works. The command line ends with exit code 2.

    Args:
        message: the sentence. What it cites may come from a file, so it is made ``printable``.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(message))


def error_sentence(error: BaseException) -> str:
    """The message of an exception that RecBole raised, on one line."""
    text = " ".join(str(error).split())
    known = isinstance(error, (ValueError, OSError, NotImplementedError)) and text
    return text if known else f"RecBole failed with {type(error).__name__} {text}".strip()


def did_you_mean(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """The end of a message that suggests the nearest of ``names``; empty where none is near.

    >>> did_you_mean("sld_wieght", ["sld_weight", "nkd_k"])
    "; did you mean 'sld_weight'?"

    Args:
        name: the unknown name.
        names: the names that exist.
        cutoff: how similar the nearest one has to be, in [0, 1].
    """
    by_lower = {known.lower(): known for known in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=cutoff)
    return f"; did you mean '{by_lower[close[0]]}'?" if close else ""


class NonFiniteLoss(ArithmeticError):
    """A loss became NaN or infinite; the message names it, the epoch and the step. The last good checkpoint stays."""


MEMORY_HINT = "a smaller train_batch_size, eval_batch_size or kd_rows takes less"


class TrainingFailed(RuntimeError):
    """A training in plain RecBole ended in an error of RecBole or of the machine; the message names the model."""


class TrainingStopped(Exception):
    """Raised by a callback of a training to end it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception reports too little memory. torch raises RuntimeErrors for it."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error))
