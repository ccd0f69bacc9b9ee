"""How a model begins: as its class makes it, or with embedding tables drawn again from a given normal."""

import torch
from recbole.utils import get_model

from recbole_kd.backbone.adjacency import with_fast_graph
from recbole_kd.config import KDError


def new_model(config, dataset):
    """A RecBole model of a config, on its device. ``dataset``: the training part.

    With ``init_std`` its embedding tables are drawn again, from a generator of their own: the draws of the model and
    all that follow them are the same with and without.

    Raises:
        KDError: ``init_std`` for a model that has no table.
    """
    model = get_model(config["model"])(config, dataset)
    if config["init_std"]:
        tables = [module for module in model.modules() if isinstance(module, torch.nn.Embedding)]
        if not tables:
            raise KDError(no_tables(config))
        _draw(tables, config["init_std"], config["seed"])
    return with_fast_graph(model.to(config["device"]))


def no_tables(config):
    """The sentence for a model that has none."""
    std, model = config["init_std"], config["model"]
    return f"init_std={std} says how embedding tables begin, and {model} has none: leave it out for that side"


def _draw(tables, std, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for table in tables:
            table.weight.copy_(torch.empty(table.weight.shape).normal_(0.0, std, generator=generator))
            if table.padding_idx is not None:
                table.weight[table.padding_idx] = 0
