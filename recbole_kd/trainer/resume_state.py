"""The state of a model and its optimisers as a resume point holds it: plain values and tensors.

RecBole models keep counters and arrays outside their parameters and buffers, which have to be stored too.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch

NO_TENSORS: Mapping[int, torch.Tensor] = MappingProxyType({})


def initial_tensors(model: torch.nn.Module) -> Mapping[int, torch.Tensor]:
    """The tensors that a model's modules have as plain attributes now, each by its ``id``. They are not kept alive."""
    values = [value for module in model.modules() for value in vars(module).values()]
    return WeakValueDictionary({id(value): value for value in values if isinstance(value, torch.Tensor)})


def counted_attributes(
    model: torch.nn.Module, initial: Mapping[int, torch.Tensor] = NO_TENSORS
) -> dict[str, dict[str, Any]]:
    """The values that a model counts outside its parameters and buffers, for each of its modules.

    MultiVAE counts its updates; LINE keeps a list of samples and its position in it. KGAT replaces its sparse matrix
    after each epoch, NCL the clusters of its nodes. Arrays of numpy are returned as tensors.

    Args:
        model: the model.
        initial: the ``initial_tensors`` of the model: indices and sparse matrices among them are constant.
    """

    def plain(value: Any) -> bool:
        if isinstance(value, list):
            return all(type(element) in (int, float) for element in value)
        if isinstance(value, np.ndarray):
            return value.dtype.kind in "iu"
        if isinstance(value, torch.Tensor):
            is_dense = value.is_floating_point() and value.layout == torch.strided
            return not value.requires_grad and (is_dense or initial.get(id(value)) is not value)
        return type(value) in (int, float, bool)

    return {
        name: {
            key: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
            for key, value in vars(module).items()
            if key[0] != "_" and plain(value)
        }
        for name, module in model.named_modules()
    }


def restore_attributes(
    attributes: dict[str, Any], values: Mapping[str, Any], device: torch.device | str = "cpu"
) -> None:
    """Put the values of ``counted_attributes`` into the attributes of one module, each with the type it had.

    Args:
        attributes: ``vars`` of the module; changed in place.
        values: what ``counted_attributes`` returned for it.
        device: where tensors go that the module does not have yet.
    """
    for key, value in values.items():
        present = attributes.get(key)
        if isinstance(present, np.ndarray):
            value = value.numpy()
        elif isinstance(value, torch.Tensor):
            value = value.to(present.device if isinstance(present, torch.Tensor) else device)
        attributes[key] = value


def optimizer_states(trainer: Any) -> dict[str, Any]:
    """The state of each optimiser of a trainer.

    RecVAE's trainer has one for its encoder and one for its decoder, of which ``optimizer`` is the one in use.

    Returns:
        ``optimizer``: its state, or the name of the attribute that holds it too; ``other_optimizers``: states by name.
    """
    others = other_optimizers(trainer)
    in_use = next((name for name, other in others.items() if other is trainer.optimizer), None)
    return {
        "optimizer": in_use or trainer.optimizer.state_dict(),
        "other_optimizers": {name: other.state_dict() for name, other in others.items()},
    }


def restore_optimizers(trainer: Any, state: Mapping[str, Any]) -> None:
    """Restore what ``optimizer_states`` returned. Resume points of earlier versions have no ``other_optimizers``."""
    others = other_optimizers(trainer)
    for name, value in state.get("other_optimizers", {}).items():
        others[name].load_state_dict(value)
    if isinstance(state["optimizer"], str):
        trainer.optimizer = others[state["optimizer"]]
    else:
        trainer.optimizer.load_state_dict(state["optimizer"])


def other_optimizers(trainer: Any) -> dict[str, torch.optim.Optimizer]:
    """The optimisers of a trainer beside ``optimizer``, by the names of their attributes."""
    return {
        name: value
        for name, value in vars(trainer).items()
        if isinstance(value, torch.optim.Optimizer) and name != "optimizer"
    }


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
