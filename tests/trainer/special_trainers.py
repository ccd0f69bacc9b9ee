"""Students with a trainer of their own: their settings, and a Distiller that any of them can be the student of."""

import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.trainer import KGATTrainer, KGTrainer, MKRTrainer, NCLTrainer, RecVAETrainer, Trainer
from recbole.utils import init_seed
from torch import nn

from recbole_kd.config.configurator import ModelConfig, plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.method.distiller import Distiller
from recbole_kd.trainer.kd_trainer import KDTrainer
from recbole_kd.trainer.model_builder import build_model
from recbole_kd.trainer.options import TrainingFiles
from recbole_kd.trainer.recbole_trainer import over_recbole_trainer

WIDTHS = {"embedding_size": 4, "kg_embedding_size": 4}
VAE = {"hidden_dimension": 8, "latent_dimension": 4, "train_batch_size": 8}
MODELS = {
    "BPR": {"embedding_size": 4},
    "CKE": WIDTHS,
    "KTUP": {"embedding_size": 4, "train_rec_step": 1, "train_kg_step": 1},
    "MKR": {**WIDTHS, "kge_interval": 2},
    "KGAT": {**WIDTHS, "layers": [4]},
    "RecVAE": {**VAE, "n_enc_epochs": 2, "n_dec_epochs": 2},
    "NCL": {"embedding_size": 4, "num_clusters": 3, "m_step": 2, "warm_up_step": 1, "proto_reg": 0.1},
}
OWN = {"CKE": KGTrainer, "KTUP": KGTrainer, "MKR": MKRTrainer, "KGAT": KGATTrainer, "NCL": NCLTrainer}
OWN |= {"RecVAE": RecVAETrainer, "BPR": Trainer}


class Pull(nn.Module):
    """A term with a parameter of its own, which its loss pulls to 0, and the student's first weight along with it."""

    last_phase = 0

    def __init__(self, weight):
        super().__init__()
        self.weight, self.started = weight, []
        self.value = nn.Parameter(torch.ones(3))

    def start_epoch(self, epoch, backbone):
        self.started.append(epoch)

    def progress(self):
        return {}


class StubDistiller(Distiller):
    """A Distiller without a teacher: any model can be its student."""

    def __init__(self, config, dataset, weight):
        GeneralRecommender.__init__(self, config, dataset)
        self.config, self.student, self.backbone = config, build_model(config, dataset), None
        self.terms, self.losses = nn.ModuleList([Pull(weight)]), {}

    def calculate_loss(self, interaction, **kwargs):
        (term,) = self.terms
        pull = term.value.square().sum() + next(self.student.parameters()).square().sum()
        losses = {"base": self.student_loss(interaction, **kwargs), "Pull": term.weight * pull}
        self.losses = {name: loss.detach() for name, loss in losses.items()}
        return tuple(losses.values())


def config_of(name, settings, **keys):
    return plain_config(ModelConfig(name, "kg", {}, {**settings, **MODELS.get(name, {}), **keys}))


def trainer_of(kind, config, file, weight=0.0, resume_point=None):
    """A trainer, of a StubDistiller for a KDTrainer, and the data for it."""
    data = prepare_split(config)
    init_seed(config["seed"], config["reproducibility"])
    dataset = data.train._dataset
    is_kd = issubclass(kind, KDTrainer)
    model = StubDistiller(config, dataset, weight) if is_kd else build_model(config, dataset)
    files = TrainingFiles(file, resume_point, resume_interval=0)
    return (kind if is_kd else over_recbole_trainer(kind, config))(config, model, files), data


def interrupted(kind):
    class Interrupted(kind):
        """Stops in the second epoch after its second step."""

        def _check_nan(self, loss):
            if self.epoch == 1 and self.step == 2:
                raise InterruptedError
            super()._check_nan(loss)

    return Interrupted
