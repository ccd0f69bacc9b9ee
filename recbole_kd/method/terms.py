"""The terms that a method is made of."""

from recbole_kd.config.configurator import Config
from recbole_kd.data.split import Split
from recbole_kd.term import get_term


def method_terms(config: Config) -> tuple[str, ...]:
    """The names of the terms of a Config's method, in their order."""
    return tuple(config["terms"] or (config["kd_method"],))


def max_list_length(config: Config, split: Split) -> int:
    """The largest number of items that the method's terms read of a teacher's lists; 0 where they read none."""
    n_items = split.dataset.item_num
    return max((get_term(name).list_length(config, n_items) for name in method_terms(config)), default=0)
