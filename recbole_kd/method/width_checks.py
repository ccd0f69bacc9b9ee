"""Checks of ``kd_widths``: one training whose student's first coordinates are students too."""

from recbole_kd.config.configurator import Config
from recbole_kd.config.widths import model_width
from recbole_kd.errors import KDError
from recbole_kd.method.terms import method_terms
from recbole_kd.term import get_term
from recbole_kd.term.base import Term


def check_widths(config: Config) -> None:
    """Refuse ``kd_widths`` that are no widths of the student, and terms that change its tables.

    Raises:
        KDError: with what works.
    """
    widths = config["kd_widths"]
    if widths is None:
        return
    width = model_width(config)
    are_integers = all(isinstance(number, int) and not isinstance(number, bool) and number > 0 for number in widths)
    if not are_integers or not widths or list(widths) != sorted(set(widths)) or widths[-1] != width:
        raise KDError(
            f"kd_widths={list(widths)!r} is no list of widths: it takes ints above 0 in ascending order, the width of "
            f"the student last, such as {_example_widths(width)}"
        )
    for name in method_terms(config):
        if get_term(name).attach is not Term.attach:
            raise KDError(
                f"kd_widths needs the student's tables as they are, and {name} changes them for its training: leave it "
                "out, or take another method"
            )


def _example_widths(width: int | None) -> list[int]:
    width = width or 20
    return sorted({max(1, width // 4), max(1, width // 2), width})
