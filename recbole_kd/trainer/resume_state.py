"""The state of a model and its optimiser as a resume point holds it: plain values and tensors.

RecBole models keep counters and arrays outside their parameters and buffers, which have to be stored too.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def counted_attributes(model: torch.nn.Module) -> dict[str, dict[str, Any]]:
    """The values that a model counts outside its parameters and buffers, for each of its modules.

    MultiVAE counts its updates; LINE keeps a list of samples and its position in it. Arrays of numpy are returned as
    tensors.
    """

    def plain(value: Any) -> bool:
        if isinstance(value, list):
            return all(type(element) in (int, float) for element in value)
        if isinstance(value, np.ndarray):
            return value.dtype.kind in "iu"
        if isinstance(value, torch.Tensor):
            return value.is_floating_point() and value.layout == torch.strided and not value.requires_grad
        return type(value) in (int, float, bool)

    return {
        name: {
            key: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
            for key, value in vars(module).items()
            if key[0] != "_" and plain(value)
        }
        for name, module in model.named_modules()
    }


def restore_attributes(attributes: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Put the values of ``counted_attributes`` into the attributes of one module, each with the type it had.

    Args:
        attributes: ``vars`` of the module; changed in place.
        values: what ``counted_attributes`` returned for it.
    """
    for key, value in values.items():
        present = attributes.get(key)
        if isinstance(present, np.ndarray):
            value = value.numpy()
        elif isinstance(present, torch.Tensor):
            value = value.to(present.device)
        attributes[key] = value


def first_parameters(state: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The state of an optimiser for the first parameters only: those of the model in the checkpoint.

    Args:
        state: the state_dict of an optimiser.
        count: number of parameters.
    """
    group = {**state["param_groups"][0], "params": state["param_groups"][0]["params"][:count]}
    indices = set(group["params"])
    return {"state": {key: value for key, value in state["state"].items() if key in indices}, "param_groups": [group]}


def plain_number(value: Any) -> Any:
    """A number of numpy as a number of Python, inside dicts too; other values as they are."""
    if isinstance(value, dict):
        return {key: plain_number(inner) for key, inner in value.items()}
    return value.item() if isinstance(value, np.generic) else value
