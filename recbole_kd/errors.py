"""The exceptions of recbole_kd, and the sentences that its messages share."""

import difflib


class KDError(ValueError):
    """Bad input, said in one sentence: what, where, what would work. The command line ends with exit code 2."""


def error_sentence(error):
    """What an exception of RecBole's says, on one line."""
    text = " ".join(str(error).split())
    known = isinstance(error, (ValueError, OSError, NotImplementedError)) and text
    return text if known else f"RecBole failed with {type(error).__name__} {text}".strip()


def did_you_mean(name, names, cutoff=0.6):
    """' (did you mean 'x'?)' for the nearest of ``names``, or ''."""
    by_lower = {known.lower(): known for known in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=cutoff)
    return f"; did you mean '{by_lower[close[0]]}'?" if close else ""


class NonFiniteLoss(ArithmeticError):
    """A loss became NaN or infinite; says which one, at which epoch and step. The last good checkpoint stays."""


MEMORY_HINT = "a smaller train_batch_size, eval_batch_size or kd_rows takes less"


class TrainingFailed(RuntimeError):
    """A training in plain RecBole ended in an error of RecBole's or of the machine's; says whose it was."""


class TrainingStopped(Exception):
    """What a watcher raises to end a training."""


def is_out_of_memory(error):
    """Whether an exception says that there is too little memory; torch's are RuntimeErrors."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error))
