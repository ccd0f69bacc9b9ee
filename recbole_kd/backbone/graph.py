"""Graph models: the factors are what ``forward`` returns after propagation, not the tables in the checkpoint."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from recbole_kd.backbone.base import Backbone, Step, eval_mode
from recbole_kd.backbone.remembered import kept_for_step, without_trace
from recbole_kd.backbone.views import FactorView

Tables = tuple[torch.Tensor, torch.Tensor]


class GraphBackbone(Backbone):
    """LightGCN, NGCF, NCL, SGL, KGAT and others whose ``forward`` gives the tables of users and items.

    A knowledge graph's table of entities begins with the items. ``full_sort_predict`` caches propagated tables that
    carry no gradient; terms read ``forward`` only.
    """

    @classmethod
    def matches(cls, model: Any) -> bool:
        arguments = _forward_arguments(model)
        if arguments is None:
            return False
        with without_trace(model), eval_mode(model):
            tables = model.forward(*arguments)
        if not isinstance(tables, tuple) or not all(isinstance(table, torch.Tensor) for table in tables[:2]):
            return False
        return len(tables[0]) == model.n_users and len(tables[1]) >= model.n_items

    @contextmanager
    def view(self, step: Step | None = None) -> Iterator[FactorView]:
        """Within a step ``forward`` propagates once: the model's loss and the terms get the same tensors."""
        forward, arguments = self.model.forward, _forward_arguments(self.model) or ()
        kept: list[Any] = []

        def propagate_once(*given: Any) -> Any:
            if any(argument is not expected for argument, expected in zip(given, arguments, strict=False)):
                return forward(*given)  # SGL propagates through other graphs too
            if not kept:
                # in float32 under AMP: a sparse product of halves has no gradient on a CPU
                with kept_for_step(step), torch.autocast(self.model.device.type, enabled=False):
                    kept.append(forward(*arguments))
            return kept[0]

        self.model.forward = propagate_once  # on the instance, where it hides the class's method
        try:
            yield _LazyView(lambda: _item_tables(propagate_once(*arguments), self.model.n_items))
        finally:
            del self.model.forward


def _forward_arguments(model: Any) -> tuple[Any, ...] | None:
    """What the model's ``forward`` is called with to propagate the whole graph; None for another kind of model."""
    names = list(inspect.signature(model.forward).parameters)
    if not names:
        return ()
    return (model.train_graph,) if names == ["graph"] and hasattr(model, "train_graph") else None


def _item_tables(tables: tuple[torch.Tensor, ...], n_items: int) -> Tables:
    return tables[0], tables[1][:n_items]


class _LazyView(FactorView):
    """Propagates at the first access, which is after the model's loss has cleared its caches."""

    def __init__(self, propagate: Callable[[], Tables]) -> None:
        self.propagate = propagate

    @property
    def query_table(self) -> torch.Tensor:
        return self.propagate()[0]

    @property
    def item_table(self) -> torch.Tensor:
        return self.propagate()[1]
