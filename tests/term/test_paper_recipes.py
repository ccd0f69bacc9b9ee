"""The recipes of ``paper/`` against the authors' configurations, and what their code does."""

import pytest
import torch
import yaml

from recbole_kd.config.schema import PROPERTIES
from recbole_kd.term.htd import HTD
from recbole_kd.testing import ConformanceRun

PAPER = PROPERTIES / "recipe" / "paper"
WIDTHS = {"embedding_size": 20, "teacher": {"embedding_size": 400}}


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("HTD", {"htd_anneal": 100, "htd_weight": 0.001, "weight_decay": 0.001}),
        ("FitNet", {"fitnet_projector": "linear", "fitnet_unit": True, "fitnet_weight": 0.05, "weight_decay": 1e-7}),
        ("FreqD", {**WIDTHS, "freqd_dropout": 0.0, "freqd_alpha": 0.2, "freqd_unit": True, "weight_decay": 1e-8}),
        ("NKD", {**WIDTHS, "nkd_dropout": 0.0, "nkd_experts": 5, "weight_decay": 0.001}),
        ("UnKD", {"unkd_weight": 0.5, "unkd_k": 30}),
    ],
)
def test_a_recipe_has_the_values_of_the_authors(method, expected):
    recipe = yaml.safe_load((PAPER / f"{method}.yaml").read_text())
    assert {key: recipe[key] for key in expected} == expected
    for ratio in (key for key in recipe if key.endswith("hidden_ratio")):
        assert round(recipe[ratio] * 400) == (20 + 400) // 2


@pytest.mark.parametrize(("method", "hidden"), [("HTD", 12), ("DE", 6)])
def test_equal_widths_halve_the_hidden_width_of_de_alone(method, hidden, settings):
    term = (
        ConformanceRun(method, {**settings, "embedding_size": 12, "teacher": {"embedding_size": 12}}).model().terms[0]
    )
    groups = term.key(term.experts_key)
    assert term.projectors.user_projector.inner.out_features == groups * hidden
    assert isinstance(term, HTD) == (method == "HTD")


def test_half_of_the_pairs_of_unkds_sampler_compare_an_item_with_itself():
    generator = torch.Generator().manual_seed(0)
    weights = (-torch.arange(1.0, 101.0) / 20).exp()
    better, worse = (torch.multinomial(weights, 4000, replacement=True, generator=generator) for _ in range(2))
    different = better != worse
    better, worse = better[different], worse[different]
    for index in range(len(better)):  # their exchange of two entries: the first one kept is a view, not a copy
        if better[index] > worse[index]:
            kept = better[index]
            better[index] = worse[index]
            worse[index] = kept
    assert (better == worse).double().mean() == pytest.approx(0.5, abs=0.03)
