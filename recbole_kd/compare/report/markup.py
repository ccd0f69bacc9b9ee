"""The HTML elements that a report is made of. Text is escaped here."""

from collections.abc import Container, Iterable, Sequence
from html import escape

import plotly.graph_objects as go

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1c1c1c; background: #fff; margin: 0 auto; max-width: 70rem;
  padding: 1rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; } h2 { margin-top: 2.5rem; border-top: 2px solid #1c1c1c; padding-top: 1rem; }
h3 { margin: 2rem 0 .4rem; } p, li { max-width: 46rem; } .quiet { color: #555; font-size: .9rem; }
.wide { overflow-x: auto; margin: .5rem 0 1rem; } table { border-collapse: collapse; font-size: .88rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #ddd; }
thead th { border-bottom: 2px solid #888; vertical-align: bottom; } th:first-child, td:first-child { text-align: left;
  position: sticky; left: 0; background: #fff; }
.words th, .words td { text-align: left; }
tr.best td { font-weight: 600; } details { margin: .4rem 0; } summary { cursor: pointer; padding: .2rem 0; }
.failed { border-left: 4px solid #D55E00; padding: .2rem 1rem; background: #fdf3ec; } code { font-size: .9em; }
@media (max-width: 30rem) { body { padding: .5rem .75rem 3rem; } th, td { padding: .25rem .5rem; } }
"""


def table(
    header: Iterable[str], lines: Iterable[Sequence[object]], best: Container[object] = (), kind: str = "wide"
) -> str:
    """A table.

    Args:
        header: the cells of the header.
        lines: the cells of each line, the name first.
        best: the names whose lines are in bold.
        kind: the CSS classes of the element around it.
    """
    head = "".join(f"<th>{escape(text)}</th>" for text in header)
    body = "".join(
        f"<tr{' class=best' if line[0] in best else ''}>"
        f"{''.join(f'<td>{escape(str(cell))}</td>' for cell in line)}</tr>"
        for line in lines
    )
    return f'<div class="{kind}"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def bullets(sentences: Iterable[str]) -> str:
    """A list of sentences."""
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"


def warning_box(title: str, sentences: Iterable[str]) -> str:
    """A highlighted list of sentences."""
    return f'<div class="failed"><p>{title}</p>{bullets(sentences)}</div>'


def details(title: str, content: str, is_open: bool = False) -> str:
    """Content that is shown on a click on its title."""
    return f"<details{' open' if is_open else ''}><summary>{escape(title)}</summary>{content}</details>"


def chart(figure: go.Figure) -> str:
    """A plotly figure, without the library."""
    return figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        default_width="100%",
        config={"responsive": True, "displaylogo": False, "displayModeBar": False},
    )
