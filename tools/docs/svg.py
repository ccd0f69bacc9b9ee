"""SVG elements as text, and axes."""

import math
from collections.abc import Iterable
from html import escape

# Okabe and Ito's colours, which colour-blind readers tell apart
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8B6F00")
BLACK, GREY, LIGHT = "#222222", "#8A8A8A", "#DDDDDD"


def document(
    width: float,
    height: float,
    elements: Iterable[str],
    font_size: int = 12,
    background: str = "#ffffff",
    ink: str = "#000000",
) -> str:
    """A whole SVG file: elements on a background; ``ink`` is the colour of texts that have none."""
    fill = "" if ink == "#000000" else f' fill="{ink}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'font-family="system-ui, sans-serif" font-size="{font_size}"{fill}>'
    )
    ground = f'<rect width="{width:g}" height="{height:g}" fill="{background}"/>'
    return "\n".join([head, ground, *elements, "</svg>"]) + "\n"


def text(x: float, y: float, content: str, **attributes: str | int) -> str:
    """A text; ``font_size=14`` becomes ``font-size="14"``, as for the other elements."""
    return f'<text x="{_number(x)}" y="{_number(y)}"{_attributes(attributes)}>{escape(content)}</text>'


def path(d: str, **attributes: str | int) -> str:
    """A path."""
    return f'<path d="{d}"{_attributes(attributes)}/>'


def line(x1: float, y1: float, x2: float, y2: float, **attributes: str | int) -> str:
    """A straight line."""
    return path(f"M{_number(x1)} {_number(y1)}L{_number(x2)} {_number(y2)}", **attributes)


def circle(x: float, y: float, r: float, **attributes: str | int) -> str:
    """A circle."""
    return f'<circle cx="{_number(x)}" cy="{_number(y)}" r="{r:g}"{_attributes(attributes)}/>'


def rectangle(x: float, y: float, width: float, height: float, **attributes: str | int) -> str:
    """A rectangle."""
    size = f'width="{_number(width)}" height="{_number(height)}"'
    return f'<rect x="{_number(x)}" y="{_number(y)}" {size}{_attributes(attributes)}/>'


def _number(value: float) -> str:
    """A coordinate to a tenth of a pixel; a whole number as it stands."""
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _attributes(attributes: dict) -> str:
    return "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())


class Axis:
    """A linear or logarithmic axis from data to pixels.

    Args:
        low, high: the ends of the data.
        start, end: their pixels.
        logarithmic: whether equal ratios are equally far apart.
    """

    def __init__(self, low: float, high: float, start: float, end: float, logarithmic: bool = False):
        self.low, self.high, self.start, self.end, self.logarithmic = low, high, start, end, logarithmic

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (self.end - self.start) * (value - low) / (high - low)

    def ticks(self, count: int = 6) -> list[float]:
        """About so many round numbers on the axis; on a logarithmic one the powers of ten."""
        if self.logarithmic:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            return [10.0**power for power in range(first, last + 1)]
        raw = (self.high - self.low) / count
        magnitude = 10.0 ** math.floor(math.log10(raw))
        step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= raw * (1 - 1e-9))
        first = math.ceil(self.low / step - 1e-9)
        return [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


def decades(values: Iterable[float]) -> tuple[int, int]:
    """The whole powers of ten around some values: the exponents of the first and of the last."""
    values = list(values)
    return math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
