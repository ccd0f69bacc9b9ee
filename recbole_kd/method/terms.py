"""The terms that a method is made of."""

from recbole_kd.term import get_term


def method_terms(config):
    """The names of the terms that a Config's method is made of."""
    return tuple(config["terms"] or (config["kd_method"],))


def max_list_length(config, data):
    """How many items the terms of a Config read of a teacher's lists at most; 0 where they read none."""
    m = data.dataset.item_num
    return max((get_term(name).list_length(config, m) for name in method_terms(config)), default=0)
