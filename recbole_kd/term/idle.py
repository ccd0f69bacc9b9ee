"""Keys about teachers that every method has, and that change nothing with these terms or with one teacher."""

from recbole_kd.config.reach import check_idle
from recbole_kd.term import get_term


def note_idle(config, names, layers):
    """Add them to the ``idle`` keys of a method's Config.

    Args:
        config: the Config, whose ``idle`` is added to.
        names: the names of the method's terms.
        layers: what the user asked for.

    Raises:
        KDError: one of them stands on the command line.
    """
    terms, idle = [get_term(name) for name in names], {}
    if config["neighbour_weight"] and not any(term.scored for term in terms):
        idle["neighbour_weight"] = f"changes what a teacher scores, and {config.method} reads its factors alone"
    if config["teacher_states"] > 1 and not any(term.along for term in terms):
        idle["teacher_states"] = f"is for HetComp, and {config.method} learns from a trained teacher alone"
    if len(config.teachers) == 1:
        idle["ensemble"] = "is for several teachers, and there is one"
    config.idle |= {key: f"{key} {why}: leave it out" for key, why in idle.items() if key in layers.plain}
    check_idle(config.idle, layers.said)
