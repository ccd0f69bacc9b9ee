"""Keys, their layers, and RecBole's Config for the student and the teacher."""

from recbole_kd.config.configurator import Config, plain_config, silent, width_of
from recbole_kd.config.keys import KDError, about, explain, method_names, sentence, term_names
from recbole_kd.config.layers import Layers, read_layers

__all__ = [
    "Config",
    "KDError",
    "Layers",
    "about",
    "explain",
    "method_names",
    "plain_config",
    "read_layers",
    "sentence",
    "silent",
    "term_names",
    "width_of",
]
