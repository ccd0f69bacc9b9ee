"""Sequence models: the view's scores are the model's own, and the terms read the vectors of the loss's own pass."""

import functools

import pytest
import torch

from recbole_kd.backbone.capabilities import SCORER_MODEL, SEQUENCE_MODEL
from tests.backbone.models import SEQUENCES, student

VECTORS = (
    "SASRec GRU4Rec NARM STAMP NextItNet LightSANs FEARec GCSAN SRGNN HGN Caser SHAN NPE HRM FOSSIL SINE CORE BERT4Rec "
    "FPMC"
).split()
FEATURES = ["FDSA", "SASRecF", "GRU4RecF"]
SCORES = ["TransRec"]
PROBABILITIES = ["RepeatNet", "GRU4RecCPR", "SASRecCPR"]
LOADED = {"inter": ["user_id", "item_id", "timestamp"]}
SMALL_PARTITIONS = {"reranker_CAN_NUM": 5}  # of 30 items
ROWS = torch.tensor([5, 1, 9, 599])


@pytest.mark.parametrize("name", [*VECTORS, *FEATURES, *SCORES, *PROBABILITIES])
def test_the_views_scores_are_the_models_own(name, settings):
    features = {"selected_features": ["class"], "load_col": {**LOADED, "item": ["item_id", "class"]}}
    keys = features if name in FEATURES else SMALL_PARTITIONS if name.endswith("CPR") else {}
    model, backbone, dataset, _ = student(name, settings, **SEQUENCES, **keys)
    assert backbone.capabilities == (SEQUENCE_MODEL if name in VECTORS + FEATURES else SCORER_MODEL)
    model.eval()
    with torch.no_grad():
        rows = dataset.inter_feat[ROWS - 1]
        expected = model.full_sort_predict(rows).view(len(ROWS), -1)
    with backbone.eval_view() as view:
        scores = view.score_all(ROWS)
        chosen = view.score(ROWS, torch.tensor([[1, 7]]).expand(4, 2))
    if name in PROBABILITIES:
        expected = expected.log()
    torch.testing.assert_close(scores[:, 1:], expected[:, 1:], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(chosen, expected[:, [1, 7]], rtol=1e-3, atol=1e-4)


@pytest.fixture
def recorded(monkeypatch):
    """A function that records what a model's own ``forward`` returns."""

    def record(model):
        results, forward = [], type(model).forward

        @functools.wraps(forward)
        def recording(*arguments, **keywords):
            results.append(forward(*arguments, **keywords))
            return results[-1]

        monkeypatch.setattr(type(model), "forward", recording)
        return results

    return record


@pytest.mark.parametrize("name", ["SASRec", "GRU4Rec", "NARM"])
def test_the_terms_read_the_pass_of_the_models_loss(name, settings, recorded):
    model, backbone, _, batch = made = student(name, settings, **SEQUENCES)
    results = recorded(model)
    rows = torch.tensor([3, 0, 77])
    with backbone.view(made.step) as view:
        model.calculate_loss(batch)
        vectors = view.query_vectors(made.step.ids[rows])
    assert len(results) == 1  # with another pass there would be another dropout mask
    assert torch.equal(vectors, results[0][rows])
    assert not torch.equal(vectors, backbone.vectors(batch)[rows])  # which dropout shows


@pytest.mark.parametrize("name", ["SASRec", "BERT4Rec", "FPMC"])
def test_a_terms_loss_reaches_the_models_weights(name, settings):
    model, backbone, _, batch = made = student(name, settings, **SEQUENCES)
    with backbone.view(made.step) as view:
        model.calculate_loss(batch)
        view.score(made.step.ids[:4], torch.tensor([[1, 7]]).expand(4, 2)).square().sum().backward()
    moved = {key for key, weight in model.named_parameters() if weight.grad is not None and weight.grad.abs().sum() > 0}
    expected = {
        "SASRec": {"item_embedding.weight", "position_embedding.weight", "LayerNorm.bias"},
        "BERT4Rec": {"item_embedding.weight", "position_embedding.weight", "output_bias"},
        "FPMC": {"UI_emb.weight", "LI_emb.weight", "IU_emb.weight", "IL_emb.weight"},
    }
    assert moved >= expected[name]


@pytest.mark.parametrize("name", ["SASRec", "BERT4Rec", "GRU4RecCPR"])
def test_reading_draws_no_random_number_of_the_models(name, settings):
    keys = SMALL_PARTITIONS if name.endswith("CPR") else {}
    model, backbone, _, batch = made = student(name, settings, **SEQUENCES, **keys)
    torch.manual_seed(3)
    with backbone.view(made.step):
        loss = model.calculate_loss(batch)
    after = torch.get_rng_state()
    torch.manual_seed(3)
    with backbone.view(made.step) as view:
        assert torch.equal(model.calculate_loss(batch), loss)
        view.score_all(made.step.ids[:4])
    assert torch.equal(torch.get_rng_state(), after)


def test_a_row_that_is_read_alone_has_the_scores_that_it_has_among_others(settings):
    model, backbone, _, batch = made = student("BERT4Rec", settings, **SEQUENCES)
    ids = made.step.ids
    for module in model.modules():
        module.training = False  # without dropout, but inside a step
    with backbone.view(made.step) as view:
        together = view.score_all(ids[:6])
        torch.testing.assert_close(view.score_all(ids[[4]]), together[[4]])
        expected = model.full_sort_predict(batch[:6]).view(6, -1)
    torch.testing.assert_close(together, expected, rtol=1e-4, atol=1e-5)
