"""Tables of compare's summaries, protocol A beside the published figures among them."""

from benchmarks.accuracy.analysis import ALONE
from benchmarks.result import result
from tools.docs.accuracy import METRIC, TEST, epochs, recovered, scores
from tools.docs.text import difference, markdown, mean_sd

AT_10_AND_20 = ("recall@10", METRIC, "recall@20", "ndcg@20")
PRINTED = {  # of arXiv 2509.20989, Table 1, CiteULike, MF to MF, in the order of AT_10_AND_20
    "teacher": (0.0283, 0.0155, 0.0442, 0.0198),
    ALONE: (0.0177, 0.0098, 0.0284, 0.0128),
    "RCEKD": (0.0278, 0.0152, 0.0431, 0.0194),
    "RRD": (0.0251, 0.0135, 0.0362, 0.0169),
    "DCD": (0.0254, 0.0136, 0.0375, 0.0173),
    "DCD-relaxed": (0.0254, 0.0136, 0.0375, 0.0173),  # DCD's: which of the two forms was printed is not known
    "HetComp": (0.0255, 0.0135, 0.0391, 0.0177),
}


def compared(name: str, metrics: str = ",".join(AT_10_AND_20)) -> str:
    """A line a row, some metrics of the test part, and the comparison with the teacher.

    Args:
        name: the result file of a comparison.
        metrics: separated by commas.
    """
    source, columns = result(name), metrics.split(",")
    rows = []
    for row in source.names():
        line = [row, *(mean_sd(scores(source, row, f"test_{metric}")) for metric in columns)]
        line.append(recovered(source, row) if row != "with its neighbours" else "")
        over = "" if row == "teacher" else difference(scores(source, row), scores(source, "teacher"))
        rows.append([*line, over, epochs(source, row)])
    headers = [f"recovered ({METRIC})", f"over the teacher ({METRIC}, paired 95%)", "epochs"]
    return markdown([f"test, seeds {', '.join(map(str, source.seeds()))}", *columns, *headers], rows)


def printed(name: str) -> str:
    """A comparison beside the published table, PRINTED, and what each recovers of the gap in ndcg@10."""
    source, rows = result(name), []
    teacher, alone = PRINTED["teacher"][1], PRINTED[ALONE][1]
    for row, published in PRINTED.items():
        pairs = zip(published, AT_10_AND_20, strict=True)
        line = [row, *(f"{value:.4f} / {source.mean(row, f'test_{metric}'):.4f}" for value, metric in pairs)]
        measured = recovered(source, row, TEST)
        rows.append([*line, f"{(published[1] - alone) / (teacher - alone):.0%} / {measured}" if measured else ""])
    return markdown(["printed / here", *AT_10_AND_20, f"recovered ({METRIC})"], rows)
