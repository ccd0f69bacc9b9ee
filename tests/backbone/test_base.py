"""Reading RecBole's models: the view's scores are the model's own, and a step propagates once."""

import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_kd.backbone import backbone_of
from recbole_kd.backbone.capabilities import FACTOR_MODEL, SCORER_MODEL
from recbole_kd.data.split import prepare_split
from recbole_kd.experiment import make_config
from recbole_kd.testing import ConformanceRun
from recbole_kd.trainer.model_builder import build_seeded_model


def model_of(name, settings, **keys):
    config = make_config("SLD", config_dict={**settings, "student_model": "BPR", "teacher_model": name, **keys}).teacher
    data = prepare_split(config)
    return build_seeded_model(config, data.train._dataset), data


@pytest.mark.parametrize("name", ["BPR", "LightGCN", "NGCF", "SimpleX", "DGCF", "SpectralCF"])
def test_factors_give_the_models_own_scores(name, settings):
    model, _ = model_of(name, settings)
    backbone = backbone_of(model)
    assert backbone.capabilities == FACTOR_MODEL
    users = torch.tensor([1, 5, 9])
    with backbone.eval_view() as view:
        assert torch.allclose(view.score_all(users), backbone.score_all(users), rtol=1e-3, atol=1e-4)
        items = torch.tensor([[1, 2], [3, 4], [5, 6]])
        assert torch.allclose(view.score(users, items), view.score_all(users).gather(1, items), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["BPR", "LightGCN", "SimpleX"])
def test_an_items_scores_with_users_are_the_users_with_the_item(name, settings):
    model, _ = model_of(name, settings)
    items, users = torch.tensor([4, 7]), torch.tensor([[9, 1, 9], [2, 0, 5]], dtype=torch.int32)  # with a double
    pairs = users.reshape(-1).long(), items.repeat_interleave(3)[:, None]

    def gradients(score):
        with backbone_of(model).view() as view:
            scores = score(view)
            weights = [weight for weight in model.parameters() if weight.dim() == 2]
            weight = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, 4.0]])  # nothing comes from the padding user
            return scores, torch.autograd.grad((weight * scores).sum(), weights, allow_unused=True)

    scores, grads = gradients(lambda view: view.score_items(items, users))
    expected, wanted = gradients(lambda view: view.score(*pairs).view(2, 3))
    torch.testing.assert_close(scores, expected)
    assert any(grad is not None and grad.any() for grad in grads)
    for grad, other in zip(grads, wanted, strict=True):
        assert (grad is None) == (other is None)
        if grad is not None:
            torch.testing.assert_close(grad, other)


@pytest.mark.parametrize("name", ["BPR", "LightGCN", "SimpleX"])
def test_tables_hold_what_the_model_scores_by_at_that_moment(name, settings):
    model, _ = model_of(name, settings)
    backbone, users = backbone_of(model), torch.tensor([1, 5, 9])
    view, scores = backbone.snapshot(), backbone.score_all(users).detach()
    model.restore_user_e = model.restore_item_e = None  # a graph's cache
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(-3.0).add_(0.1)
    assert not view.query_table.requires_grad and not view.item_table.requires_grad
    torch.testing.assert_close(view.score_all(users), scores)
    assert not torch.allclose(backbone.score_all(users), scores)


@pytest.mark.parametrize("name", ["EASE", "ItemKNN", "MultiVAE", "SLIMElastic"])
def test_other_models_offer_scores(name, settings):
    keys = {"teacher.train_neg_sample_args": None} if name == "MultiVAE" else {}
    model, _ = model_of(name, settings, **keys)
    assert backbone_of(model).capabilities == SCORER_MODEL


def test_enmf_offers_factors(settings):
    model, _ = model_of("ENMF", settings, **{"teacher.train_neg_sample_args": None})
    assert backbone_of(model).capabilities == FACTOR_MODEL


@pytest.mark.parametrize("name", ["NeuMF", "NNCF"])
def test_models_that_score_pair_by_pair_offer_scores(name, settings, monkeypatch):
    model, _ = model_of(name, settings)
    backbone = backbone_of(model)
    assert backbone.capabilities == SCORER_MODEL and type(backbone).__name__ == "PairBackbone"
    monkeypatch.setattr("recbole_kd.backbone.scorer.PAIRS_AT_ONCE", 2 * model.n_items)  # in two blocks
    users = torch.tensor([4, 1, 7])
    model.eval()
    scores = backbone.score_all(users)
    for row, user in enumerate(users):
        for item in (1, 5, model.n_items - 1):
            pair = Interaction({"user_id": user[None], "item_id": torch.tensor([item])})
            own = model.predict(pair).item()
            assert scores[row, item].sigmoid().item() == pytest.approx(own, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", ["NeuMF", "EASE"])
def test_scores_of_chosen_items_are_those_among_all(name, settings):
    model, _ = model_of(name, settings)
    backbone = backbone_of(model.eval())
    users, items = torch.tensor([4, 1]), torch.tensor([[2, 7, 2], [5, 1, 9]])
    wanted = backbone.score_all(users).gather(1, items)
    torch.testing.assert_close(backbone.score_pairs(users, items), wanted)


def test_a_model_that_cannot_score_is_not_read(settings):
    model, _ = model_of("ConvNCF", settings)  # its kernels do not fit this width
    assert backbone_of(model) is None


@pytest.mark.parametrize("name", ["DMF", "NAIS", "CDAE"])
def test_scores_that_end_in_a_sigmoid_are_read_before_it(name, settings):
    model, _ = model_of(name, settings)
    backbone, users = backbone_of(model), torch.tensor([1, 2])
    assert backbone.capabilities == SCORER_MODEL
    own = model.eval().full_sort_predict(Interaction({"user_id": users})).reshape(2, -1)
    assert own.min() >= 0 and own.max() <= 1
    torch.testing.assert_close(backbone.score_all(users).sigmoid(), own, rtol=1e-4, atol=1e-6)
    assert not own.equal(backbone.score_all(users))


def test_scores_that_do_not_are_read_as_they_are(settings):
    model, _ = model_of("FISM", settings)  # its predict() ends in a sigmoid, its full_sort_predict() does not
    users = torch.tensor([1, 2])
    own = model.eval().full_sort_predict(Interaction({"user_id": users})).reshape(2, -1)
    assert torch.equal(backbone_of(model).score_all(users), own)


def test_a_model_whose_scores_are_not_its_factors_inner_products_is_not_taken_for_one(settings):
    model, _ = model_of("BPR", settings)
    stock = model.full_sort_predict
    model.full_sort_predict = lambda interaction: stock(interaction) ** 3
    assert backbone_of(model).capabilities == SCORER_MODEL


def test_scores_of_all_items_are_of_single_precision_under_autocast(settings):
    bench = ConformanceRun("KD", settings)
    users, items = torch.tensor([1, 5, 2]), torch.tensor([3, 9])
    with bench.model().backbone.eval_view() as view:
        wanted = view.score_all(users), view.score_cross(users, items)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = view.score_all(users), view.score_cross(users, items)
    assert torch.equal(found[0], wanted[0]) and torch.equal(found[1], wanted[1])
    torch.testing.assert_close(wanted[1], wanted[0][:, items])


def test_asking_a_teacher_moves_no_random_numbers_and_takes_no_half_precision(settings):
    bench = ConformanceRun("KD", settings, teacher_model="NeuMF")
    knowledge, users = bench.knowledge, torch.tensor([1, 5, 2])
    wanted = knowledge.score_all(users)
    stock = knowledge.backbone.score_all
    knowledge.backbone.score_all = lambda asked: stock(asked) + 0.0 * torch.rand(1)  # ADMMSLIM draws some
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = knowledge.score_all(users)
    assert torch.equal(torch.rand(1), expected) and torch.equal(found, wanted)


def test_a_step_propagates_a_graph_once_and_with_gradient(settings):
    bench = ConformanceRun("MKD", settings, student_model="LightGCN")
    model, calls = bench.model(), []
    propagate = type(model.student).forward
    model.student.forward = lambda: calls.append(1) or propagate(model.student)
    losses = model.calculate_loss(bench.batch())
    assert len(calls) == 1
    sum(losses[1:]).backward()
    assert model.student.item_embedding.weight.grad.abs().sum() > 0


def test_an_evaluation_before_the_step_does_not_cut_the_gradient(settings):
    bench = ConformanceRun("SLD", settings, student_model="LightGCN")
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
