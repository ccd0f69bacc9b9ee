"""RecBole's metrics of models and of lists."""

from recbole_kd.evaluation.list_recommender import ListRecommender
from recbole_kd.evaluation.metrics import evaluate, evaluate_validation, unrounded
from recbole_kd.testing import ConformanceRun


def test_lists_score_as_the_model_that_they_are_read_from(settings):
    bench = ConformanceRun("RRD", settings)
    model = ListRecommender(bench.knowledge, bench.student_config, bench.data.train._dataset)
    assert evaluate(bench.student_config, model, bench.data) == evaluate(
        bench.teacher.config, bench.teacher.model, bench.data
    )


def test_sampled_evaluation_reads_the_same_order(settings):
    eval_args = {"mode": {"valid": "uni20", "test": "uni20"}}
    bench = ConformanceRun("RRD", settings, eval_args=eval_args)
    model = ListRecommender(bench.knowledge, bench.student_config, bench.data.train._dataset)
    of_lists, of_model = (
        evaluate(config, one, bench.data)[1]
        for config, one in ((bench.student_config, model), (bench.teacher.config, bench.teacher.model))
    )
    assert of_lists == of_model  # the lists hold all of the 90 items


def test_unrounded_metrics_round_to_the_rounded_ones_and_validation_alone_is_the_same(settings):
    bench = ConformanceRun("RRD", settings)
    config, model = bench.teacher.config, bench.teacher.model
    rounded, exact = evaluate(config, model, bench.data), evaluate(unrounded(config), model, bench.data)
    for four_digits, all_digits in zip(rounded, exact, strict=True):
        assert four_digits == {name: round(value, 4) for name, value in all_digits.items()}
        assert four_digits != all_digits
    assert evaluate_validation(config, model, bench.data) == rounded[0]
