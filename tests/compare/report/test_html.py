"""The HTML report of a comparison."""

import base64
import json
import re
from html import unescape

from recbole_kd.compare.report.formats import format_number, format_p_value, format_percent, format_signed, mean_sd


def shown(page):
    """The cells of a page's tables as text."""
    return {unescape(cell) for cell in re.findall(r"<td>(.*?)</td>", page)}


def test_the_report_holds_every_number_of_the_summary(done):
    plan, summary = done
    page = (plan.folder / "report.html").read_text()
    cells = shown(page)
    for name, row in summary["datasets"]["toy"]["rows"].items():
        wanted = {name, f"{row['parameters']:,}", f"{row['bytes']:,}", format_number(row["ms_per_user"])}
        wanted |= {
            format_number(row["epochs"], 1),
            format_number(row["seconds"], 1),
            *(mean_sd(one) for one in row["popularity"]),
        }
        for entry in row["metrics"].values():
            wanted |= {mean_sd(entry), *(format_number(value) for value in entry["values"].values())}
            for test in (entry[key] for key in ("against_alone", "against_rival") if key in entry):
                wanted |= {
                    format_signed(test["difference"]),
                    format_number(test["t"], 2),
                    format_p_value(test["p"]),
                    format_p_value(test["p_holm"]),
                }
                wanted |= {
                    f"[{format_signed(test[low])}, {format_signed(test[high])}]"
                    for low, high in (("low", "high"), ("t_low", "t_high"))
                }
        wanted.add(format_percent(row["metrics"]["ndcg@10"].get("share")))
        assert wanted <= cells, wanted - cells
    carried = re.search(r'download="summary.json" href="data:text/plain;base64,([^"]+)"', page)[1]
    assert json.loads(base64.b64decode(carried)) == summary


def test_the_report_needs_nothing_else(done):
    page = (done[0].folder / "report.html").read_text()
    assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(?!data:)', page)
    assert page.count('class="plotly-graph-div"') == 4 and "Plotly.newPlot" in page
    assert page.isascii() or '<meta charset="utf-8">' in page
