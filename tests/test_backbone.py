"""Reading RecBole's models: the view's scores are the model's own, and a step propagates once."""

import pytest
import torch
from conformance import Bench

from recbole_kd.backbone import backbone_of
from recbole_kd.quick_start import make_config
from recbole_kd.teacher import fit


def model_of(name, settings, **keys):
    config = make_config("SLD", config_dict={**settings, "student_model": "BPR", "teacher_model": name, **keys}).teacher
    data = fit.split(config)
    return fit.build(config, data.train._dataset), data


@pytest.mark.parametrize("name", ["BPR", "LightGCN", "NGCF", "SimpleX", "DGCF", "SpectralCF"])
def test_factors_give_the_models_own_scores(name, settings):
    model, _ = model_of(name, settings)
    backbone = backbone_of(model)
    assert backbone.offers == "factors"
    users = torch.tensor([1, 5, 9])
    with backbone.still() as view:
        assert torch.allclose(view.score_all(users), backbone.score_block(users), rtol=1e-3, atol=1e-4)
        items = torch.tensor([[1, 2], [3, 4], [5, 6]])
        assert torch.allclose(view.score(users, items), view.score_all(users).gather(1, items), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["EASE", "ItemKNN", "MultiVAE", "ENMF", "SLIMElastic"])
def test_other_models_offer_scores(name, settings):
    keys = {"teacher.train_neg_sample_args": None} if name in ("MultiVAE", "ENMF") else {}
    model, _ = model_of(name, settings, **keys)
    assert backbone_of(model).offers == "scores"


def test_pairwise_scorers_cannot_be_read_yet(settings):
    model, _ = model_of("NeuMF", settings)
    assert backbone_of(model) is None


def test_a_model_whose_scores_are_not_its_factors_inner_products_is_not_taken_for_one(settings):
    model, _ = model_of("BPR", settings)
    stock = model.full_sort_predict
    model.full_sort_predict = lambda interaction: stock(interaction) ** 3
    assert backbone_of(model).offers == "scores"


def test_a_step_propagates_a_graph_once_and_with_gradient(settings):
    bench = Bench("MKD", settings, student_model="LightGCN")
    model, calls = bench.model(), []
    propagate = type(model.student).forward
    model.student.forward = lambda: calls.append(1) or propagate(model.student)
    losses = model.calculate_loss(bench.batch())
    assert len(calls) == 1
    sum(losses[1:]).backward()
    assert model.student.item_embedding.weight.grad.abs().sum() > 0


def test_an_evaluation_before_the_step_does_not_cut_the_gradient(settings):
    bench = Bench("SLD", settings, student_model="LightGCN")
    model = bench.model()
    with torch.no_grad():
        model.full_sort_predict({model.USER_ID: torch.tensor([1])})  # fills RecBole's cache of detached tables
    sum(model.calculate_loss(bench.batch())[1:]).backward()
    assert model.student.item_embedding.weight.grad.abs().sum() > 0


def test_reading_leaves_mode_and_caches_alone(settings):
    model, _ = model_of("LightGCN", settings)
    model.train()
    backbone_of(model)
    assert model.training and model.restore_user_e is None
    assert "forward" not in vars(model)
