"""Reads without gradients in a step, as of a student's own lists, leave the gradients of later reads alone."""

import pytest
import torch
from recbole.utils import ModelType

from tests.backbone.models import SEQUENCES, student


def gradients(model, loss):
    """The gradient of each parameter that has one."""
    weights = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    found = torch.autograd.grad(loss, [weight for _, weight in weights], allow_unused=True)
    return {name: grad for (name, _), grad in zip(weights, found, strict=True) if grad is not None}


@pytest.mark.parametrize(
    "name", ["SASRec", "GRU4Rec", "BERT4Rec", "CORE", "NPE", "FPMC", "RepeatNet", "MultiVAE", "CDAE", "DMF", "LightGCN"]
)
def test_a_read_without_gradients_takes_none_from_later_reads(name, settings):
    sequential = name in ("SASRec", "GRU4Rec", "BERT4Rec", "CORE", "NPE", "FPMC", "RepeatNet")
    model, backbone, _, batch = made = student(name, settings, **(SEQUENCES if sequential else {}))
    assert (model.type == ModelType.SEQUENTIAL) is sequential
    found = []
    for reads_first in (False, True):
        torch.manual_seed(0)
        with backbone.view(made.step) as view:
            own = model.calculate_loss(batch)
            queries = made.step.ids[made.step.ids > 0].unique()[:5]
            if reads_first:
                with torch.no_grad():
                    view.score_all(queries)
                    view.score(queries, torch.ones(len(queries), 1, dtype=torch.int64))
            items = torch.arange(1, 4).expand(len(queries), -1)
            scores = torch.cat([view.score(queries, items), view.score_all(queries)[:, 1:]], 1)
            found.append(gradients(model, scores.log_softmax(1)[:, 0].sum()))
        assert torch.isfinite(sum(own) if isinstance(own, tuple) else own)
    assert found[0].keys() == found[1].keys() and found[0]
    for key, grad in found[0].items():
        torch.testing.assert_close(found[1][key], grad, rtol=1e-5, atol=1e-8)
