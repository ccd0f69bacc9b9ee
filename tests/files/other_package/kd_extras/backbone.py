"""How a term reads a TinyMF."""

from contextlib import contextmanager

from kd_extras.models import TinyMF
from recbole_kd.backbone import Backbone, FactorView


class TinyMFBackbone(Backbone):
    """Two tables of other names than RecBole's."""

    @classmethod
    def matches(cls, model):
        return isinstance(model, TinyMF)

    @contextmanager
    def view(self, step=None):
        yield FactorView(self.model.persons.weight, self.model.things.weight)
