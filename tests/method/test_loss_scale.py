"""A weight means the same beside a loss that is a mean over pairs and beside one that sums over a user's items."""

import pytest
import torch
from recbole.model.general_recommender import BPR, CDAE, ENMF, MultiVAE, RecVAE

from recbole_kd.data.interactions import Interactions
from recbole_kd.experiment import Experiment, make_config
from recbole_kd.method.loss_scale import LossScale
from recbole_kd.method.registry import method_class

PAIRS = torch.tensor([(1, 1), (1, 2), (1, 5), (2, 3), (2, 4), (4, 5)])  # of users 1, 2 and 4


@pytest.mark.parametrize(
    ("model", "expected"), [(BPR, 1.0), (MultiVAE, 2.0), (RecVAE, 2.0), (CDAE, 2.0 * 7), (ENMF, 2.0 * 7)]
)
def test_the_factor_is_the_number_of_pairs_that_the_loss_sums_over(model, expected):
    student = model.__new__(model)
    assert LossScale(student, Interactions(5, 6, *PAIRS.T)).of_batch(users=7) == expected


def test_the_terms_of_an_autoencoder_are_multiplied_by_it(settings):
    keys = {**settings, "student_model": "MultiVAE", "teacher_model": "EASE", "train_batch_size": 24}
    experiment = Experiment(make_config("KD", config_dict={**keys, "kd_weight": 0.5}))
    model = method_class("KD")(experiment.config, experiment.split.train._dataset, experiment.knowledge)
    batch = next(iter(experiment.split.train))
    losses = []
    for scale in (model.loss_scale.items_of_user, 1.0):
        torch.manual_seed(3)
        model.terms[0].generator.manual_seed(3)
        model.batch_reader.generator.manual_seed(3)
        model.loss_scale.items_of_user = scale
        losses.append([float(loss.detach()) for loss in model.calculate_loss(batch)])
    (base, term), (plain_base, plain_term) = losses
    pairs, users = len(experiment.split.pairs["train"]), len(set(experiment.split.train_pairs[0].tolist()))
    assert base == pytest.approx(plain_base, rel=1e-5) and term == pytest.approx(plain_term * pairs / users, rel=1e-5)
