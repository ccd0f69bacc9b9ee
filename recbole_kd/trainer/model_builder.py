"""Build RecBole models, and load their weights."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from recbole.config import Config as RecBoleConfig
from recbole.utils import init_seed
from torch import nn

from recbole_kd.backbone.sparse_graph import use_row_product
from recbole_kd.checkpoint.reader import read_checkpoint, restore_arrays, to_device
from recbole_kd.config.model_names import model_class_of
from recbole_kd.errors import KDError, error_sentence, is_out_of_memory
from recbole_kd.trainer.warm_start import RowMap, matched_state


def build_seeded_model(config: RecBoleConfig, dataset: Any) -> Any:
    """Build a model as ``run_recbole`` does: seed first, then construct, then move to the device.

    Args:
        config: a plain RecBole Config.
        dataset: the training part of the split.

    Raises:
        KDError: the model cannot be constructed with these settings.
        ImportError: the model needs a package that is not installed.
    """
    _check_catalogue(config, dataset)
    init_seed(config["seed"] + config["local_rank"], config["reproducibility"])
    try:
        return build_model(config, dataset)
    except (ImportError, MemoryError, KDError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise build_error(config, error) from error


def _check_catalogue(config: RecBoleConfig, dataset: Any) -> None:
    """Refuse GRU4RecCPR and SASRecCPR where they rank anew more items than there are."""
    sizes = [int(size) for size in str(config["reranker_CAN_NUM"] or "0").split(",")]
    if max(sizes) > dataset.item_num:
        raise KDError(
            f"{config['model']} ranks its best {max(sizes)} items anew (reranker_CAN_NUM), and the dataset has "
            f"{dataset.item_num - 1}: set reranker_CAN_NUM to a smaller number"
        )


def build_error(config: RecBoleConfig, error: Exception) -> KDError:
    """The error for a model whose constructor fails, on a setting of the wrong kind for example."""
    if config["pre_model_path"] and "loading state_dict" in str(error):
        return KDError(
            f"the pre-trained weights in pre_model_path='{config['pre_model_path']}' do not fit {config['model']} with "
            "the settings of this run: pre-train it on the same data with the same settings, its widths included"
        )
    return KDError(f"a {config['model']} cannot be made with these settings: {error_sentence(error)}")


def missing_package(config: RecBoleConfig, error: ImportError | str) -> KDError:
    """The error for a model that imports a package that is not installed."""
    return KDError(f"{config['model']} needs a package that is not installed: {error}")


def load_weights(
    config: RecBoleConfig,
    dataset: Any,
    file: str | Path,
    content: Mapping[str, Any] | None = None,
    maps: Sequence[RowMap] = (),
) -> Any:
    """Build a model and load the weights of a checkpoint into it.

    Args:
        config: a plain RecBole Config.
        dataset: the training part of the split.
        file: the checkpoint.
        content: the content of the checkpoint, where it was read before.
        maps: of users and of items, where the dataset has more of them than the checkpoint; new ones keep their initial
            rows.

    Returns:
        The RecBole model, in evaluation mode.

    Raises:
        KDError: the weights do not fit the model that the config describes, or are not finite.
    """
    content = content or read_checkpoint(file)
    model = build_seeded_model(config, dataset)
    try:
        if not all(isinstance(name, str) for name in content["state_dict"]):
            raise RuntimeError("a weight has no name")
        weights = content["state_dict"]
        model.load_state_dict(matched_state(weights, model.state_dict(), maps, file) if maps else weights)
    except RuntimeError as error:
        raise KDError(
            f"the weights in '{file}' do not fit a {config['model']} on this dataset: {error_sentence(error)}"
        ) from error
    _refuse_not_finite(model, file)
    if maps:
        _refuse_solved(model, config, file)
    else:
        _load_other_parameter(model, config["device"], content, file)
    return model.eval()


def _refuse_not_finite(model: Any, file: str | Path) -> None:
    broken = next((name for name, weight in model.named_parameters() if not torch.isfinite(weight).all()), None)
    if broken is not None:
        raise KDError(f"the weights in '{file}' are not all finite numbers, those of {broken} for one: train it again")


def _refuse_solved(model: Any, config: RecBoleConfig, file: str | Path) -> None:
    """Refuse new rows for a model such as EASE, which is solved for its users and items. Raises KDError."""
    names = [name for name in getattr(model, "other_parameter_name", ()) if not name.startswith("restore_")]
    if names:
        raise KDError(f"'{file}' has no rows for new users and items: {config['model']} is computed from its data anew")


def _load_other_parameter(model: Any, device: torch.device, content: Mapping[str, Any], file: str | Path) -> None:
    """Load what RecBole models such as EASE keep outside their parameters."""
    other = restore_arrays(content.get("other_parameter")) or {}
    if not isinstance(other, dict):
        raise KDError(f"'{file}' is not a RecBole checkpoint: its other_parameter is not a dict")
    names = getattr(model, "other_parameter_name", ())
    other = {name: value for name, value in other.items() if name in names}
    model.load_other_parameter(to_device(device, other) or None)


def build_model(config: RecBoleConfig, dataset: Any) -> Any:
    """Build a RecBole model, on the device of its config.

    With ``init_std`` its embedding tables are drawn again, from a separate generator. The draws of the model and all
    draws that follow are therefore the same with and without it.

    Args:
        config: a plain RecBole Config, or the Config of a run for its student.
        dataset: the training part of the split.

    Raises:
        KDError: ``init_std`` is set for a model that has no embedding table.
    """
    model = model_class_of(config)(config, dataset)
    if config["init_std"]:
        tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
        if not tables:
            raise KDError(no_tables_message(config))
        _redraw_tables(tables, config["init_std"], config["seed"])
    return use_row_product(model.to(config["device"]))


def no_tables_message(config: RecBoleConfig) -> str:
    """The message for a model that has no embedding table which ``init_std`` could initialise."""
    std, model = config["init_std"], config["model"]
    return f"init_std={std} sets how embedding tables are initialised, and {model} has none: leave it out for that side"


def _redraw_tables(tables: Iterable[nn.Embedding], std: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for table in tables:
            table.weight.copy_(torch.empty(table.weight.shape).normal_(0.0, std, generator=generator))
            if table.padding_idx is not None:
                table.weight[table.padding_idx] = 0
