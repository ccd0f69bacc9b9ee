"""One forward pass a step: what a model's own loss has computed is given to the terms as well."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
KEPT = 4  # forward passes of one loss; contrastive models make several of them


class RememberedForward:
    """A model's ``forward`` while it is replaced: it records the passes of the model's own loss, for later reads.

    The model's loss always gets a pass of its own: a model may call ``forward`` twice with the same arguments and
    count on two draws of its dropout. What reads afterwards gets the first pass with these arguments.

    Args:
        forward: the model's own ``forward``.
    """

    def __init__(self, forward: Callable[..., Any]) -> None:
        self.forward = forward
        self.recorded: list[tuple[Arguments, Any]] = []
        self.replays = False

    def __call__(self, *positional: Any, **keywords: Any) -> Any:
        arguments = positional, keywords
        if self.replays:
            for known, result in self.recorded:
                if _same(known, arguments):
                    return result
        result = self.forward(*positional, **keywords)
        if not self.replays and len(self.recorded) < KEPT:
            self.recorded.append((arguments, result))
        return result


@contextmanager
def remembered_forward(model: Any) -> Iterator[RememberedForward]:
    """Replace the ``forward`` of a model for the time of a step."""
    memory = RememberedForward(model.forward)
    model.forward = memory  # on the instance, where it hides the class's method
    try:
        yield memory
    finally:
        del model.forward


def kept_for_step(step: Any) -> torch.set_grad_enabled:
    """A context for what a view keeps throughout a step: it has gradients, also where its first read has none.

    A term may read the student's own lists, without gradients, before it reads the scores of its loss.

    Args:
        step: the rows of a training step; None: the gradients are as around it.
    """
    return torch.set_grad_enabled(step is not None or torch.is_grad_enabled())


@contextmanager
def without_trace(model: Any) -> Iterator[None]:
    """Run a model a second time in a step: its random draws and the caches that it fills leave no trace.

    The draws are those of torch's global generators, which are set back. Tables that a model keeps for its
    evaluation, such as DMF's, would be stale after the next step.
    """
    attributes = dict(vars(model))
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            vars(model).clear()
            vars(model).update(attributes)


def _same(first: Arguments, second: Arguments) -> bool:
    if len(first[0]) != len(second[0]) or first[1].keys() != second[1].keys():
        return False
    values = [*zip(first[0], second[0], strict=True), *((value, second[1][key]) for key, value in first[1].items())]
    return all(_same_value(one, other) for one, other in values)


def _same_value(first: Any, second: Any) -> bool:
    if first is second:
        return True
    if not (isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor)):
        return bool(type(first) is type(second) and first == second)
    return first.shape == second.shape and first.dtype == second.dtype and torch.equal(first, second)
