"""Checks of stored knowledge against what a run asks of it: a file on disk may be damaged, or not be ours."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from recbole_kd.ops.blocks import block_rows


@dataclass(frozen=True)
class ArrayForm:
    """What a stored array has to be.

    Attributes:
        shape: its shape; None for a length that is not known before.
        limit: of an array of ids, the number of ids, padding included; None for an array of numbers.
        longest: the largest first length, where that is not known before.
        rows_axis: of an array of ids, the dimension of users or items, whose first entry is the padding.
        positive: of numbers, whether all have to be above 0.
    """

    shape: tuple[int | None, ...]
    limit: int | None = None
    longest: int | None = None
    rows_axis: int = 0
    positive: bool = False


Forms = Mapping[str, ArrayForm]
"""The forms of the arrays of a folder, by name."""


def list_forms(rows: int, k: int, limit: int) -> Forms:
    """The forms of a TopList.

    Args:
        rows: number of lists, padding included.
        k: their length.
        limit: number of ids, padding included.
    """
    return {"ids": ArrayForm((rows, k), limit), "scores": ArrayForm((rows, k))}


def trajectory_forms(n_users: int, n_items: int, k: int, states: int | None, longest: int | None = None) -> Forms:
    """The forms of the lists at the earlier moments of a training.

    Args:
        n_users, n_items: numbers of users and items, padding included.
        k: length of a list.
        states: number of earlier moments; None if only their largest number is known.
        longest: that number.
    """
    return {"ids": ArrayForm((states, n_users, k), n_items, longest, rows_axis=1)}


def fits(arrays: Mapping[str, torch.Tensor], forms: Forms) -> bool:
    """Whether arrays are what was asked for: names, shapes, types, and the range of their values.

    A list holds ids of the catalogue, best first, and 0 in the slots that are left; the list of the padding is empty.
    Scores fall along a list and are -inf in these slots.
    """
    if set(arrays) != set(forms) or not all(_has_form(arrays[name], form) for name, form in forms.items()):
        return False
    if "ids" not in forms:
        return all(_are_numbers(arrays[name], form.positive) for name, form in forms.items())
    form, ids, scores = forms["ids"], arrays["ids"], arrays.get("scores")
    if ids.select(form.rows_axis, 0).any():
        return False
    width = ids.shape[-1]
    id_blocks = ids.view(-1, width).split(block_rows(width))
    score_blocks = [None] * len(id_blocks) if scores is None else scores.view(-1, width).split(block_rows(width))
    return all(_are_lists(*blocks, form.limit or 0) for blocks in zip(id_blocks, score_blocks, strict=True))


def _has_form(array: torch.Tensor, form: ArrayForm) -> bool:
    is_known = len(form.shape) == array.dim() and all(
        wanted in (None, length) for wanted, length in zip(form.shape, array.shape, strict=True)
    )
    if not is_known or (form.longest is not None and array.shape[0] > form.longest):
        return False
    return array.dtype == (torch.float32 if form.limit is None else torch.int32)


def _are_numbers(array: torch.Tensor, positive: bool) -> bool:
    return bool(torch.isfinite(array).all() and (not positive or (array > 0).all()))


def _are_lists(ids: torch.Tensor, scores: torch.Tensor | None, limit: int) -> bool:
    filled = ids > 0
    if (ids < 0).any() or (ids >= limit).any() or (filled[:, 1:] & ~filled[:, :-1]).any():
        return False
    if scores is None:
        return True
    is_sorted = (scores[:, 1:] <= scores[:, :-1]).all()  # False for NaN
    return bool(is_sorted and not scores.isnan().any() and ((scores > -torch.inf) == filled).all())
