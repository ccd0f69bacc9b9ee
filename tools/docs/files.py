"""Files that are made as a whole: docs/keys.md and the figures."""

from benchmarks.result import result
from tools.docs import keys, methods_figure, scale_figure, sizes_figure
from tools.docs.comparison_figures import FIGURES

COMPARISONS = ("compare-citeulike", "compare-ml-100k")  # result files that docs/compare.md shows


def figures() -> dict[str, str]:
    """Each figure's content, by its path from the root."""
    contents = {"docs/images/methods.svg": methods_figure.figure(), "docs/images/scale.svg": scale_figure.figure()}
    contents |= {f"docs/images/sizes-{theme}.svg": sizes_figure.figure(theme) for theme in sizes_figure.THEMES}
    for name in COMPARISONS:
        source = result(name)
        contents |= {f"docs/images/{name}-{kind}.svg": make(source) for kind, make in FIGURES.items()}
    return contents


def generated_files(only_figures: bool = False) -> dict[str, str]:
    """Each file's content, by its path from the root."""
    return figures() | ({} if only_figures else {"docs/keys.md": keys.page()})
