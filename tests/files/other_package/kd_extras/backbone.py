"""How a term reads a TinyMF."""

from contextlib import contextmanager

from kd_extras.models import TinyMF
from recbole_kd.backbone import Backbone, View


class TinyMFBackbone(Backbone):
    """Two tables of other names than RecBole's."""

    @classmethod
    def matches(cls, model):
        return isinstance(model, TinyMF)

    @contextmanager
    def view(self):
        yield View(self.model.persons.weight, self.model.things.weight)
