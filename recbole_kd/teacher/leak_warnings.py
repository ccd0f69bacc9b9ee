"""The warnings of accepted teachers, which the checkpoint of their student carries: a student hands on a leak."""

from collections.abc import Iterable, Mapping
from typing import Any

from recbole_kd.knowledge.frozen_teacher import Teacher

ENTRY = "leak_warning"  # of a checkpoint: a list of sentences
WARNED = "leak_warning"  # part of the key of a student that carries one, so that no earlier file takes its place
MAX_SENTENCES, MAX_LENGTH = 8, 500  # of what is read from a file, which may be anybody's


def read_warnings(*contents: Mapping[str, Any]) -> tuple[str, ...]:
    """The distinct warnings that checkpoints carry, as printable sentences of limited length.

    Args:
        contents: checkpoints, as read_checkpoint gives them.
    """
    sentences: dict[str, None] = {}
    for content in contents:
        written = content.get(ENTRY)
        if written is None:
            continue
        if not isinstance(written, (list, tuple)) or not all(isinstance(sentence, str) for sentence in written):
            written = ["its entry leak_warning cannot be read"]
        sentences |= dict.fromkeys(_printable(sentence) for sentence in written[:MAX_SENTENCES])
    return tuple(sentences)


def _printable(sentence: str) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in sentence[:MAX_LENGTH])
    return text if text.strip() else "a warning without text"


def warnings_to_record(warning: str | None, *contents: Mapping[str, Any]) -> tuple[str, ...]:
    """The first causes of a teacher's warning: those that its checkpoints carry, or else the warning itself.

    A student of a student carries the same sentences, however many generations lie between.

    Args:
        warning: the warning that the teacher was accepted with; None if nothing was wrong.
        contents: the teacher's checkpoints.
    """
    if warning is None:
        return ()
    return read_warnings(*contents) or (warning,)


def leak_entry(teachers: Iterable[Teacher]) -> dict[str, list[str]]:
    """The entry for the checkpoint of a student of some teachers; empty where no teacher was warned of."""
    sentences = dict.fromkeys(sentence for teacher in teachers for sentence in teacher.leak_warnings)
    return {ENTRY: list(sentences)} if sentences else {}
