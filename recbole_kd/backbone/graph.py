"""Graph models: the factors are what ``forward()`` gives after propagation, not the tables in the checkpoint."""

import inspect
from contextlib import contextmanager

import torch

from recbole_kd.backbone.base import Backbone, View


class GraphBackbone(Backbone):
    """LightGCN, NGCF and others whose ``forward()``, without arguments, gives both tables.

    ``full_sort_predict`` caches propagated tables that carry no gradient; terms read ``forward()`` only.
    """

    @classmethod
    def matches(cls, model):
        if inspect.signature(model.forward).parameters:
            return False
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            training = model.training
            tables = model.eval()()
            model.train(training)
        sizes = (model.n_users, model.n_items)
        return isinstance(tables, tuple) and tuple(len(table) for table in tables) == sizes

    @contextmanager
    def view(self):
        """Within a step ``forward()`` propagates once: the model's loss and the terms get the same tensors."""
        forward = self.model.forward
        tables: list = []

        def once():
            if not tables:
                # in float32 under AMP: a sparse product of halves has no gradient on a CPU
                with torch.autocast(self.model.device.type, enabled=False):
                    tables.append(forward())
            return tables[0]

        self.model.forward = once  # on the instance, in front of the class's method
        try:
            yield _LazyView(once)
        finally:
            del self.model.forward


class _LazyView(View):
    """Propagates when a term first asks, which is after the model's own loss has cleared its caches."""

    def __init__(self, propagate):
        self.propagate = propagate

    @property
    def user_table(self):
        return self.propagate()[0]

    @property
    def item_table(self):
        return self.propagate()[1]
