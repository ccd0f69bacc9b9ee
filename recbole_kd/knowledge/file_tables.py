"""Reading tables of tokens and scores: .tsv with a header, or .npz with an array for each column."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_kd.errors import KDError

ORDERS = ("score", "rank")  # the highest score is best, the lowest rank is best
CONFIDENCES = ("confidence", "distance")  # the highest confidence is surest, the lowest distance is surest
SMALLEST_CONFIDENCE = 1e-30  # whose logarithm is finite
TOKENS_AT_ONCE = 1_000_000


def read_table(path: Path) -> pd.DataFrame:
    """A file of scores as a DataFrame.

    Args:
        path: .tsv with a header: a user's token, an item's token, and ``score`` or ``rank`` (with or without RecBole's
            type after a colon). In a file of rows the second column is ``length``, and the last one may be
            ``confidence`` or ``distance``. Or .npz with arrays of these names, ``user`` and ``item`` among them.

    Returns:
        Columns ``user`` and ``item`` (tokens) and ``score``; of rows ``length`` (int64) too, and ``distance`` where
        there is one or a confidence, of which it is the negative logarithm.

    Raises:
        KDError: the file is missing or of another form, or a number in it is not finite.
    """
    if not os.path.isfile(path):
        raise KDError(f"the file of scores '{path}' does not exist")
    try:
        frame = _npz(path) if path.suffix == ".npz" else _tsv(path)
        frame = _with_numbers(frame, path)
    except KDError:
        raise
    except Exception as error:  # numpy and pandas raise many kinds
        raise KDError(f"the file of scores '{path}' cannot be read: {' '.join(str(error).split())[:200]}") from error
    numbers = frame.drop(columns=["user", "item"])
    if not (numbers.abs() <= np.finfo(np.float32).max).all(axis=None):  # False for NaN
        raise KDError(
            f"the file of scores '{path}' holds something that is not a finite number, or one beyond single precision"
        )
    return frame


def _integers(lengths: pd.Series, path: Path) -> pd.Series:
    """Lengths as int64. Raises KDError: one is not a whole number."""
    numbers = lengths.astype(np.float64)
    if (numbers % 1 != 0).any():
        raise KDError(f"'{path}' has a length of {lengths[numbers % 1 != 0].iloc[0]}, which is not a whole number")
    return numbers.astype(np.int64)


def _distances(confidence: np.ndarray, path: Path) -> np.ndarray:
    """The negative logarithms of confidences. Raises KDError: one is below 0."""
    if (confidence < 0).any():
        raise KDError(
            f"'{path}' has a confidence of {confidence[confidence < 0][0]:g}, below 0: write probabilities, or "
            "in place of logarithms of them the column distance with their negatives"
        )
    return -np.log(confidence.clip(SMALLEST_CONFIDENCE))


def is_of_rows(frame: pd.DataFrame) -> bool:
    """Whether a table has lists of training rows, and not of users."""
    return "length" in frame


def replace_tokens(frame: pd.DataFrame, side: str, tokens: np.ndarray, path: Path) -> None:
    """Put ids in place of the tokens of ``user`` or ``item``.

    Args:
        frame: as ``read_table`` gives it; changed in place.
        side: ``user`` or ``item``.
        tokens: the vocabulary, by id.
        path: the file, for the message.

    Raises:
        KDError: a token is not in the vocabulary.
    """
    ids = token_ids(frame[side], tokens)
    if not ids.all():
        unknown = frame[side][ids == 0].unique()
        raise KDError(
            f"'{path}' names {len(unknown):,} {side}s that this dataset does not have after its filters, "
            f"such as {str(unknown[0])!r}: leave them out"
        )
    frame[side] = ids


def token_ids(values: pd.Series | np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """The id of each token, int64; 0 for one that is not in the vocabulary.

    >>> token_ids(np.array(["b", "c"]), np.array(["[PAD]", "a", "b"])).tolist()
    [2, 0]
    """
    if isinstance(values, pd.Series) and isinstance(values.dtype, pd.CategoricalDtype):
        return token_ids(values.cat.categories.to_numpy(), tokens)[values.cat.codes.to_numpy()]
    index, array = pd.Index(tokens[1:]), np.asarray(values)
    blocks = range(0, len(array), TOKENS_AT_ONCE)  # pandas makes an object of each token that it looks up
    ids = [index.get_indexer(pd.Index(array[start : start + TOKENS_AT_ONCE])) for start in blocks]
    return np.concatenate([np.zeros(0, np.int64), *ids]) + 1


def _tsv(path: Path) -> pd.DataFrame:
    content = path.read_bytes()
    if b"\0" in content:  # pandas would end the token there
        raise KDError(f"the file of scores '{path}' holds a NUL character: write text in UTF-8, without it")
    first, _, _ = content.decode("utf-8-sig").partition("\n")
    names = [name.partition(":")[0] for name in first.rstrip("\r").split("\t")]
    of_rows = names[1:2] == ["length"]
    _check_tsv_header(path, names, of_rows)
    # with a header, pandas would take the first field of longer lines for the name of the row
    rows = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, header=None, encoding="utf-8-sig")
    incomplete = (rows == "").any(axis=1).to_numpy()
    if incomplete.any():
        raise KDError(f"row {int(incomplete.argmax()) + 1} of '{path}' lacks a value")
    frame = rows.iloc[1:].reset_index(drop=True)
    frame.columns = pd.Index(["user", "length", "item", *names[3:]] if of_rows else ["user", "item", *names[2:]])
    return frame


def _check_tsv_header(path: Path, names: list[str], of_rows: bool) -> None:
    orders = names[3:4] if of_rows else names[2:]
    confidences = names[4:] if of_rows else []
    if len(orders) == 1 and orders[0] in ORDERS and len(confidences) <= 1 and set(confidences) <= set(CONFIDENCES):
        return
    form = "three columns, a user's token, an item's token, and score or rank"
    if of_rows:
        form = (
            "the columns of a file of rows, a user's token, length, an item's token, score or rank, and where there "
            "is one confidence or distance"
        )
    raise KDError(f"'{path}' needs a header of {form}, and has {', '.join(map(repr, names[:6]))}")


def _npz(path: Path) -> pd.DataFrame:
    with np.load(path, allow_pickle=False) as arrays:
        order = [name for name in ORDERS if name in arrays][:1]
        if not order or "user" not in arrays or "item" not in arrays:
            raise KDError(f"'{path}' needs the arrays user, item, and score or rank, and has {', '.join(arrays)}")
        of_rows = "length" in arrays
        names = ["user", "item", *order]
        names += ["length", *[name for name in CONFIDENCES if name in arrays][:1]] if of_rows else []
        columns = {name: arrays[name] for name in names}
    for side in ("user", "item"):
        columns[side] = columns.pop(side).astype(str)
    for name, array in columns.items():
        if name not in ("user", "item") and array.dtype.kind not in "biufU":  # complex: it would lose a part
            raise KDError(f"'{path}' holds a {name} of type {array.dtype}: it takes real numbers")
    return pd.DataFrame(columns)


def _with_numbers(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """A table whose order is a score, the highest best, and whose confidence is a distance, the lowest surest."""
    if "rank" in frame:
        frame["score"] = -frame.pop("rank").astype(np.float64)
    frame["score"] = frame["score"].astype(np.float64)
    if "length" in frame:
        frame["length"] = _integers(frame["length"], path)
    if "confidence" in frame:
        frame["distance"] = _distances(frame.pop("confidence").to_numpy(np.float64), path)
    if "distance" in frame:
        frame["distance"] = frame["distance"].astype(np.float64)
    return frame
