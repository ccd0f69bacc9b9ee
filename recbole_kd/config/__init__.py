"""Keys, their layers, and RecBole's Config for the student and the teacher."""

from recbole_kd.config.configurator import Config, plain_config, without_wandb
from recbole_kd.config.layering import Layers, read_layers
from recbole_kd.config.schema import describe_method, explain_keys, method_names, term_names
from recbole_kd.config.widths import model_width, width_entry
from recbole_kd.errors import KDError

__all__ = [
    "Config",
    "KDError",
    "Layers",
    "describe_method",
    "explain_keys",
    "method_names",
    "model_width",
    "plain_config",
    "read_layers",
    "term_names",
    "width_entry",
    "without_wandb",
]
