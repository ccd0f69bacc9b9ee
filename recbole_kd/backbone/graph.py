"""Graph models: the factors are what ``forward()`` returns after propagation, not the tables in the checkpoint."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from recbole_kd.backbone.base import Backbone, View


class GraphBackbone(Backbone):
    """LightGCN, NGCF and others whose ``forward()``, without arguments, gives both tables.

    ``full_sort_predict`` caches propagated tables that carry no gradient; terms read ``forward()`` only.
    """

    @classmethod
    def matches(cls, model: Any) -> bool:
        if inspect.signature(model.forward).parameters:
            return False
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            training = model.training
            tables = model.eval()()
            model.train(training)
        sizes = (model.n_users, model.n_items)
        return isinstance(tables, tuple) and tuple(len(table) for table in tables) == sizes

    @contextmanager
    def view(self) -> Iterator[View]:
        """Within a step ``forward()`` propagates once: the model's loss and the terms get the same tensors."""
        forward = self.model.forward
        tables: list[tuple[torch.Tensor, torch.Tensor]] = []

        def propagate_once() -> tuple[torch.Tensor, torch.Tensor]:
            if not tables:
                # in float32 under AMP: a sparse product of halves has no gradient on a CPU
                with torch.autocast(self.model.device.type, enabled=False):
                    tables.append(forward())
            return tables[0]

        self.model.forward = propagate_once  # on the instance, where it hides the class's method
        try:
            yield _LazyView(propagate_once)
        finally:
            del self.model.forward


class _LazyView(View):
    """Propagates at the first access, which is after the model's loss has cleared its caches."""

    def __init__(self, propagate: Callable[[], tuple[torch.Tensor, torch.Tensor]]) -> None:
        self.propagate = propagate

    @property
    def user_table(self) -> torch.Tensor:
        return self.propagate()[0]

    @property
    def item_table(self) -> torch.Tensor:
        return self.propagate()[1]
