"""Building RecBole models, and loading their weights."""

import torch
from recbole.utils import init_seed

from recbole_kd.backbone.sparse_graph import use_row_product
from recbole_kd.checkpoint.reader import read_checkpoint, restore_arrays, to_device
from recbole_kd.config.model_names import model_class_of
from recbole_kd.errors import KDError, error_sentence


def build_seeded_model(config, dataset):
    """A model as ``run_recbole`` builds it: seeded, then constructed, then moved. ``dataset``: the training part.

    Raises:
        KDError: there is no such model with these settings.
        ImportError: it needs a package that is not there.
    """
    init_seed(config["seed"] + config["local_rank"], config["reproducibility"])
    try:
        return build_model(config, dataset)
    except (ImportError, MemoryError, KDError):
        raise
    except Exception as error:
        raise build_error(config, error) from error


def build_error(config, error):
    """What is raised where a model stumbles over a key of the wrong kind, somewhere."""
    return KDError(f"a {config['model']} cannot be made with these settings: {error_sentence(error)}")


def missing_package(config, error):
    """What is raised where a model imports a package that is not there."""
    return KDError(f"{config['model']} needs a package that is not installed: {error}")


def load_weights(config, dataset, file, content=None):
    """A model with the weights of a checkpoint, in evaluation mode.

    Raises:
        KDError: the weights do not fit the model that the config describes, or are not finite.
    """
    content = content or read_checkpoint(file)
    model = build_seeded_model(config, dataset)
    try:
        if not all(isinstance(name, str) for name in content["state_dict"]):
            raise RuntimeError("a weight has no name")
        model.load_state_dict(content["state_dict"])
    except RuntimeError as error:
        raise KDError(
            f"the weights in '{file}' do not fit a {config['model']} on this dataset: {error_sentence(error)}"
        ) from error
    broken = next((name for name, weight in model.named_parameters() if not torch.isfinite(weight).all()), None)
    if broken is not None:
        raise KDError(f"the weights in '{file}' are not all finite numbers, those of {broken} for one: train it again")
    other = restore_arrays(content.get("other_parameter")) or {}
    if not isinstance(other, dict):
        raise KDError(f"'{file}' is not a RecBole checkpoint: its other_parameter is none")
    names = getattr(model, "other_parameter_name", ())
    other = {name: value for name, value in other.items() if name in names}
    model.load_other_parameter(to_device(config["device"], other) or None)
    return model.eval()


def build_model(config, dataset):
    """A RecBole model of a config, on its device. ``dataset``: the training part.

    With ``init_std`` its embedding tables are drawn again, from a generator of their own: the draws of the model and
    all that follow them are the same with and without.

    Raises:
        KDError: ``init_std`` for a model that has no table.
    """
    model = model_class_of(config)(config, dataset)
    if config["init_std"]:
        tables = [module for module in model.modules() if isinstance(module, torch.nn.Embedding)]
        if not tables:
            raise KDError(no_tables_message(config))
        _redraw_tables(tables, config["init_std"], config["seed"])
    return use_row_product(model.to(config["device"]))


def no_tables_message(config):
    """The sentence for a model that has none."""
    std, model = config["init_std"], config["model"]
    return f"init_std={std} says how embedding tables begin, and {model} has none: leave it out for that side"


def _redraw_tables(tables, std, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for table in tables:
            table.weight.copy_(torch.empty(table.weight.shape).normal_(0.0, std, generator=generator))
            if table.padding_idx is not None:
                table.weight[table.padding_idx] = 0
