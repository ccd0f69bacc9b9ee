"""Sequence teachers of another MAX_ITEM_LIST_LENGTH than the student's, one alone and in an ensemble."""

import pytest
import torch
from recbole.trainer import Trainer

from recbole_kd.data.split import prepare_split
from recbole_kd.evaluation.metrics import evaluate, evaluate_validation, unrounded
from recbole_kd.evaluation.teacher_recommenders import list_recommender, teacher_recommender
from recbole_kd.experiment import Experiment, make_config

STUDENT_LENGTH, SHORTER, LONGER = 6, 3, 9
WIDTHS = {"hidden_size": 8, "epochs": 1}


@pytest.fixture(scope="module")
def experiment(small, tmp_path_factory):
    """A run of a sequence student under teachers of shorter and of longer sequences."""
    settings = small(tmp_path_factory.mktemp("lengths"))
    settings = {key: value for key, value in settings.items() if key not in ("embedding_size", "teacher")}
    teachers = [
        {"model": "SASRec", "MAX_ITEM_LIST_LENGTH": SHORTER, "inner_size": 8, **WIDTHS},
        {"model": "GRU4Rec", "MAX_ITEM_LIST_LENGTH": LONGER, "embedding_size": 8, **WIDTHS},
    ]
    keys = {"dataset": "toy_seq", "student_model": "GRU4Rec", "student": {"hidden_size": 8, "embedding_size": 6}}
    keys |= {"MAX_ITEM_LIST_LENGTH": STUDENT_LENGTH, "ensemble": "score", "valid_metric": "ndcg@10"}
    return Experiment(make_config("KD", config_dict={**settings, **keys, "teachers": teachers}))


@pytest.mark.parametrize("index", [0, 1])
def test_a_teacher_is_measured_on_sequences_of_its_own_length(index, experiment):
    teacher = experiment.teachers[index]
    config = unrounded(teacher.config)
    model = teacher_recommender(
        teacher, experiment.knowledge.members[index], experiment.student_config, experiment.split
    )
    own = prepare_split(config)  # as RecBole's own run of this teacher
    trainer = Trainer(config, teacher.model)
    trainer.eval_collector.data_collect(own.train)
    expected = [trainer.evaluate(loader, load_best_model=False) for loader in (own.valid, own.test)]
    assert list(evaluate(config, model, experiment.split)) == [dict(metrics) for metrics in expected]
    assert evaluate_validation(config, model, experiment.split) == dict(expected[0])


def test_the_members_of_an_ensemble_read_the_last_items_of_longer_sequences(experiment):
    ensemble = list_recommender(experiment.knowledge, experiment.student_config, experiment.split)
    rows = experiment.split.test._dataset.inter_feat[:4]
    assert rows["item_length"].min() > SHORTER  # they are cut
    scores = ensemble.full_sort_predict(rows)
    cut = torch.stack(
        [
            items[length - SHORTER : length]
            for items, length in zip(rows["item_id_list"], rows["item_length"], strict=True)
        ]
    )
    with torch.no_grad():
        first = experiment.teachers[0].model
        first = first.forward(cut, torch.full((4,), SHORTER)) @ first.item_embedding.weight.T
        second = experiment.teachers[1].model
        second = second.forward(rows["item_id_list"], rows["item_length"]) @ second.item_embedding.weight.T
    shares = [(part - part[:, 1:].mean(1, True)) / part[:, 1:].std(1, keepdim=True) for part in (first, second)]
    torch.testing.assert_close(scores[:, 1:], (sum(shares) / 2)[:, 1:], rtol=1e-4, atol=1e-5)
    assert all(len(metrics) for metrics in evaluate(unrounded(experiment.student_config), ensemble, experiment.split))
