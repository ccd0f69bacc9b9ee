"""The size and the latency of models."""

from recbole_kd.backbone import backbone_of
from recbole_kd.evaluation.cost import latencies, model_size
from recbole_kd.evaluation.metrics import evaluate
from recbole_kd.testing import ConformanceRun


def test_a_solved_matrix_counts_and_a_propagated_table_does_not(settings):
    bench = ConformanceRun("RRD", settings, teacher_model=["LightGCN", "EASE"])
    graph, solved = (teacher.model for teacher in bench.teachers)
    evaluate(bench.teachers[0].config, graph, bench.data)  # stores propagated tables in the model
    assert model_size(graph) == (
        sum(weight.numel() for weight in graph.parameters()),
        4 * (61 + 91) * 12,
    )
    numbers, nbytes = model_size(solved)
    assert numbers >= 91 * 91 and nbytes >= 4 * 91 * 91


def test_latency_is_a_median_in_milliseconds_per_user(settings, monkeypatch):
    bench = ConformanceRun("RRD", settings, teacher_model=["BPR", "EASE"])
    clock = iter(range(10**6))  # each measurement takes one second
    monkeypatch.setattr("recbole_kd.evaluation.cost.time.perf_counter", lambda: next(clock))
    backbones = {teacher.label: backbone_of(teacher.model) for teacher in bench.teachers}
    assert latencies(backbones, 10, rounds=3) == {"BPR": 1000 / 60, "EASE": 1000 / 60}  # 60 users
