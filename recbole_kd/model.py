"""Distiller, a RecBole model around a student, and the methods that are made of it."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.trainer import Trainer
from recbole.utils import InputType, ModelType, get_model, get_trainer
from torch import nn

from recbole_kd.backbone import backbone_of
from recbole_kd.backbone.base import OFFERS
from recbole_kd.config import Config, KDError, plain_config, read_layers
from recbole_kd.config.layers import is_recbole_model
from recbole_kd.teacher import parts
from recbole_kd.teacher.checkpoint import read_checkpoint
from recbole_kd.teacher.guard import check_measures, check_trainings, offers_of, untrained
from recbole_kd.teacher.initial import new_model
from recbole_kd.teacher.prepare import get_knowledge, get_teachers
from recbole_kd.teacher.reduction import summed
from recbole_kd.teacher.resume import kept_randomness, own_randomness
from recbole_kd.term import Batch, Term, get_term
from recbole_kd.term.idle import note_idle


class Distiller(GeneralRecommender):
    """A student with the terms of a method: their losses join its own; everything else is the student's.

    Constructed like any RecBole model. Its state_dict is the student's: what is stored is what ships.

    Args:
        config: a Config of ours, or RecBole's own with ``model`` the method's name; then the student's defaults are
            filled in and the split is made again to find or train the teacher.
        dataset: the training part of the split.
        knowledge: what is read out of the teacher; found or trained where None.

    Attributes:
        student: the RecBole model that ships.
        terms: the terms, in the method's order.
        losses: the last step's losses, detached: ``base`` and one a term.

    Raises:
        KDError: a student or a teacher that the method's terms cannot work with.
    """

    type = ModelType.GENERAL
    input_type = InputType.PAIRWISE
    terms: Sequence[Term]

    def __init__(self, config, dataset, knowledge=None):
        if not isinstance(config, Config):
            config = _from_recbole(config, type(self).__name__)
        super().__init__(config, dataset)
        self.config = config
        self.student = new_model(config, dataset)
        with kept_randomness():
            self.backbone = backbone_of(self.student)
        if self.backbone is None or self.backbone.offers != "factors":
            raise KDError(_no_student(config["model"], "has no user and item factors that make its scores"))
        if knowledge is None:
            with kept_randomness():
                knowledge = _knowledge_for(config, dataset)
        check_offers(config, knowledge.offers, "this one offers")
        with kept_randomness(), self.backbone.still() as view:
            width = view.width
        with own_randomness(config["seed"]):
            terms = self.build_terms([get_term(name) for name in term_names_of(config)], config, knowledge, width)
        self.terms = nn.ModuleList(terms).to(config["device"])  # type: ignore[assignment]
        self.losses = {}

    @classmethod
    def build_terms(cls, kinds, config, knowledge, width):
        """The terms of the method. A composed method whose terms share a part says so here."""
        return [kind(config, knowledge, width) for kind in kinds]

    @property
    def last_phase(self):
        """The first epoch after the last scheduled phase of any term."""
        return max((term.last_phase for term in self.terms), default=0)

    def start_epoch(self, epoch):
        """Let each term refresh what lasts for an epoch. RecBole's generators are not touched."""
        with kept_randomness(), torch.no_grad():
            for term in self.terms:
                term.start_epoch(epoch, self.backbone)

    def progress(self):
        """What can be said of how far the terms have come, numbers by name."""
        return {name: value for term in self.terms for name, value in term.progress().items()}

    def calculate_loss(self, interaction):
        """The student's own loss and one weighted loss a term, as RecBole sums and logs a tuple."""
        user, pos, neg = (interaction[name] for name in (self.USER_ID, self.ITEM_ID, self.NEG_ITEM_ID))
        with self.backbone.step() as view:
            base = self.student.calculate_loss(interaction)
            base = sum(base) if isinstance(base, tuple) else base
            if self.config["kd_reduction"] == "sum":
                base = summed(base, len(user), self.config)
            batch = Batch(user, pos, neg, view, interaction)
            weight = math.prod(term.base_weight for term in self.terms)
            losses = {"base": self.config["kd_base_weight"] * weight * base}
            for term in self.terms:
                losses |= term.weighted(batch)
        self.losses = {name: loss.detach() for name, loss in losses.items()}
        return tuple(losses.values())

    def predict(self, interaction):
        return self.student.predict(interaction)

    def full_sort_predict(self, interaction):
        return self.student.full_sort_predict(interaction)

    def state_dict(self, *args, **kwargs):
        return self.student.state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict, *args, **kwargs):
        return self.student.load_state_dict(state_dict, *args, **kwargs)

    def other_parameter(self):
        return self.student.other_parameter()

    def load_other_parameter(self, para):
        self.student.load_other_parameter(para)


class MKD(Distiller):
    """NKD at the input, CPD at the projectors, SLD at the output: Zhu & Zhang, arXiv 2311.04549 v1.

    The parts are sure, how they are put together is a reconstruction: ``shared`` lets CPD regularise NKD's projectors
    on unmixed vectors, ``separate`` gives CPD its own, with an alignment loss.
    """

    @classmethod
    def build_terms(cls, kinds, config, knowledge, width):
        terms = super().build_terms(kinds, config, knowledge, width)
        if config["mkd_assembly"] == "shared":
            terms[1].share(terms[0])  # CPD, NKD's projectors
        return terms


class PCKD(Distiller):
    """DE, whose projectors CPD regularises: Zhu & Zhang, arXiv 2311.04549 v2 (TKDE 2025)."""

    @classmethod
    def build_terms(cls, kinds, config, knowledge, width):
        de, cpd = super().build_terms(kinds, config, knowledge, width)
        cpd.share(de)
        return [de, cpd]


def term_names_of(config):
    """The names of the terms that a Config's method is made of."""
    return tuple(config["terms"] or (config["kd_method"],))


def longest_list(config, data):
    """How many items the terms of a Config read of a teacher's lists at most; 0 where they read none."""
    m = data.dataset.item_num
    return max((get_term(name).list_length(config, m) for name in term_names_of(config)), default=0)


def config_of(layers):
    """The Config of what the user asked for, checked as far as it can be without the data. Raises KDError."""
    found = [_config_in(entry) for entry in layers.teachers]
    for entry, theirs in zip(layers.teachers, found, strict=True):
        check_kinds(layers.student_model, (theirs or {}).get("model") or entry.model or layers.student_model)
    try:
        config = Config(layers, found)
    except KDError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, RuntimeError) as error:  # RecBole's
        raise KDError(f"RecBole refuses the settings: {' '.join(str(error).split())}") from error
    for side in (config, *(plan.config for plan in config.teachers if plan.config is not None)):
        check_sum(side)
    check_student(config)
    for name in term_names_of(config):
        get_term(name).check(config)
    note_idle(config, term_names_of(config), layers)
    return config


def _config_in(entry):
    """The config in the checkpoint of an entry, where there is one."""
    if entry.path is None:
        return None
    found = read_checkpoint(entry.path)["config"]
    if not is_recbole_model(found["model"]):
        raise KDError(f"'{entry.path}' holds the model {found['model']!r}, which RecBole does not bring")
    if entry.model not in (None, found["model"]):
        raise KDError(f"teacher_model={entry.model}, but '{entry.path}' holds a {found['model']}: leave one out")
    return found


def check_sum(config):
    """Refuse to sum the loss of a model that is not trained by RecBole's Trainer, the only one that asks us for it.
    Raises KDError.
    """
    if config["kd_reduction"] == "sum" and get_trainer(config["MODEL_TYPE"], config["model"]) is not Trainer:
        raise KDError(f"kd_reduction=sum cannot reach {config['model']}, which has a trainer of its own: leave it out")


def check_kinds(student, teacher):
    """Refuse kinds of models that cannot be here yet, before RecBole's own checks speak. Raises KDError."""
    kind = _kind(student)
    if kind != ModelType.GENERAL:
        raise KDError(_no_student(student, f"is a {kind.name.lower()} model"))
    kind = _kind(teacher)
    if kind not in (ModelType.GENERAL, ModelType.TRADITIONAL):
        raise KDError(
            f"teacher_model={teacher} cannot teach yet, because it is a {kind.name.lower()} model: "
            "a general model such as BPR or LightGCN would work"
        )


def _kind(name):
    try:
        return get_model(name).type
    except ImportError:  # LightGBM and XGBoost import packages of these names
        return ModelType.DECISIONTREE


def check_factors(config, dataset):
    """Refuse, before anything is trained, a student without factors, found out on an untrained one. Raises KDError."""
    backbone = untrained(plain_config(config), dataset)
    if backbone is None or backbone.offers != "factors":
        raise KDError(_no_student(config["model"], "has no user and item factors that make its scores"))


def check_student(config):
    """Refuse a student that cannot be distilled yet. Raises KDError."""
    kind, name = config.model_class, config["model"]
    if get_trainer(config["MODEL_TYPE"], name) is not Trainer:
        raise KDError(_no_student(name, "has a trainer of its own"))
    if getattr(kind, "input_type", None) != InputType.PAIRWISE:
        raise KDError(_no_student(name, "does not train on pairs of a positive and a negative item"))
    if (config["train_neg_sample_args"] or {}).get("distribution", "none") == "none":
        raise KDError(
            f"train_neg_sample_args={config['train_neg_sample_args']!r} draws no negative items, which {name} trains "
            "on: leave it out, or write {distribution: uniform}"
        )


def check_teachers(config, dataset):
    """Refuse, before one is trained, teachers that offer less than a term needs. Raises KDError."""
    offers = ["ranks" if plan.config is None else offers_of(plan.config, dataset) for plan in config.teachers]
    least = min(range(len(offers)), key=lambda place: OFFERS.index(offers[place]))
    who = f"{config.teachers[least].label} offers"
    if config["neighbour_weight"] and offers[least] != "factors":
        raise KDError(
            f"neighbour_weight needs teachers that offer factors, and {who} {offers[least]} only: leave it out"
        )
    if len(offers) > 1:
        together = {"rank": "ranks", "score": "scores"}[config["ensemble"]]
        if OFFERS.index(offers[least]) < OFFERS.index(together):
            raise KDError(f"ensemble=score needs teachers that offer scores, and {who} {offers[least]} only")
        offers, least, who = [together], 0, f"ensemble={config['ensemble']} offers"
    check_offers(config, offers[least], who)


def check_run(config, data):
    """Refuse, before anything is trained, all that can be told from a Config and its Split. Raises KDError."""
    check_measures(config)
    check_factors(config, data.train._dataset)
    check_teachers(config, data.train._dataset)
    check_trainings(config, data)


def check_offers(config, offers, who):
    """Refuse a teacher whose ``offers`` are less than a term needs; ``who`` begins the sentence. Raises KDError."""
    for name in term_names_of(config):
        needs = get_term(name).needs
        if OFFERS.index(needs) > OFFERS.index(offers):
            would = "BPR or LightGCN" if needs == "factors" else "BPR, LightGCN, EASE or MultiVAE"
            if len(config.teachers) > 1:
                would = "one teacher alone" if needs == "factors" else "ensemble=score"
            raise KDError(f"{name} needs a teacher that offers {needs}, and {who} {offers} only: {would} would work")


def _no_student(name, why):
    return (
        f"student_model={name} cannot be distilled yet, because it {why}: "
        "BPR, LightGCN, NGCF or SimpleX as the student would work"
    )


def _from_recbole(config, method):
    """Our Config from one that RecBole made with the method's name as its model. Raises KDError."""
    if not config["single_spec"]:
        raise KDError(f"RecBole's own run() cannot train {method} in several processes: run_kd with nproc=2, say, can")
    asked = {key: value for key, value in config.external_config_dict.items() if key not in ("model", "dataset")}
    own = config_of(read_layers(method, config["dataset"], config_dict=asked))
    own.name_idle()
    return own


def _knowledge_for(config, dataset):
    data = parts.split(plain_config(config))
    if not np.array_equal(data.pairs["train"], parts.pairs_of(dataset)):
        raise KDError(
            "the training part handed to the method is not the one that its config makes: "
            "use run_kd, or hand the method its knowledge"
        )
    check_run(config, data)
    return get_knowledge(config, data, get_teachers(config, data))
