"""Models that are read by their scores: logits, the noise of the loss's own pass, no trace in the model's caches."""

import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_kd.backbone.capabilities import SCORER_MODEL
from tests.backbone.models import student

USERS, ITEMS = torch.tensor([4, 1, 9]), torch.tensor([[1, 7], [2, 2], [90, 3]])


def scatter(model):
    """Draw all weights widely: RecBole's first weights leave DMF's rectified layers at 0."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))


@pytest.mark.parametrize("name", ["MultiVAE", "MultiDAE", "MacridVAE", "RecVAE", "GCMC", "FISM", "NAIS"])
def test_the_views_scores_are_the_models_own(name, settings):
    model, backbone, *_ = student(name, settings)
    assert backbone.capabilities == SCORER_MODEL
    model.eval()
    with torch.no_grad():
        expected = model.full_sort_predict(Interaction({model.USER_ID: USERS})).view(3, -1)
    with backbone.eval_view() as view:
        scores = view.score_all(USERS)
        torch.testing.assert_close(view.score(USERS, ITEMS), scores.gather(1, ITEMS))
    read = scores.sigmoid() if backbone.sigmoid else scores
    torch.testing.assert_close(read, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["NeuMF", "DMF", "NNCF"])
def test_scores_after_a_sigmoid_are_read_as_logits(name, settings):
    model, backbone, *_ = student(name, settings)
    scatter(model)
    assert backbone.sigmoid
    with backbone.eval_view() as view:
        scores = view.score(USERS, ITEMS)
        pairs = Interaction({model.USER_ID: USERS.repeat_interleave(2), model.ITEM_ID: ITEMS.flatten()})
        predicted = model.predict(pairs).view(3, 2)
        torch.testing.assert_close(view.score_all(USERS).gather(1, ITEMS), scores, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(scores.sigmoid(), predicted, rtol=1e-4, atol=1e-5)


def test_the_terms_read_the_noise_of_the_autoencoders_loss(settings, monkeypatch):
    model, backbone, _, batch = made = student("MultiVAE", settings)
    results, forward = [], type(model).forward

    def recording(self, ratings):
        results.append(forward(self, ratings))
        return results[-1]

    monkeypatch.setattr(type(model), "forward", recording)
    with backbone.view(made.step) as view:
        model.calculate_loss(batch)
        scores = view.score_all(made.step.ids[[5, 2]])
    assert len(results) == 1
    assert torch.equal(scores, results[0][0][[5, 2]])
    with torch.no_grad():
        assert not torch.equal(scores, model.full_sort_predict(batch)[[5, 2]])  # other noise


@pytest.mark.parametrize("name", ["MultiVAE", "NeuMF", "DMF", "CDAE"])
def test_a_second_read_leaves_no_trace(name, settings):
    """The random state, the counters and the tables that a model keeps are those of its loss alone."""
    model, backbone, _, batch = made = student(name, settings, **({"dropout_prob": 0.3} if name == "NeuMF" else {}))
    torch.manual_seed(3)
    with backbone.view(made.step):
        model.calculate_loss(batch)
    state, attributes = torch.get_rng_state(), dict(vars(model))
    torch.manual_seed(3)
    with backbone.view(made.step) as view:
        model.calculate_loss(batch)
        changed = {key: value for key, value in vars(model).items() if type(value) is int}
        ids = made.step.ids[made.step.ids > 0][:3]
        view.score_all(ids)
        view.score(ids, ITEMS)
    assert torch.equal(torch.get_rng_state(), state)
    assert set(vars(model)) == set(attributes)
    assert {key: value for key, value in vars(model).items() if type(value) is int} == changed
    if name == "DMF":
        assert model.i_embedding is None  # a table of before the step would be stale in the evaluation


@pytest.mark.parametrize("name", ["MultiVAE", "NeuMF", "DMF"])
def test_a_terms_loss_reaches_the_models_weights(name, settings):
    model, backbone, _, batch = made = student(name, settings)
    scatter(model)
    with backbone.view(made.step) as view:
        model.calculate_loss(batch)
        ids = made.step.ids[made.step.ids > 0][:3]
        view.score(ids, ITEMS).square().sum().backward()
    without = [key for key, weight in model.named_parameters() if weight.grad is None or not weight.grad.abs().sum()]
    assert not without


def test_dmf_has_gradients_under_amp(settings):
    """Its scores of all items are a sparse product, which has no gradient in half precision on a CPU."""
    model, backbone, *_ = student("DMF", settings)
    scatter(model)
    with torch.autocast("cpu", dtype=torch.bfloat16), backbone.view() as view:
        scores = view.score_all(USERS)
    scores.square().sum().backward()
    assert scores.dtype == torch.float32
    assert model.item_linear.weight.grad.abs().sum() > 0
