"""Pull: the student's scores of the teacher's best items are pulled to the teacher's."""

from recbole_kd import Term
from recbole_kd.backbone.capabilities import Capability


class Pull(Term):
    """The squared difference of both models' scores on the teacher's list."""

    layer = "output"
    teacher_needs = Capability.SCORES

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        self.top = knowledge.top_items(self.key("k"))

    def loss(self, batch):
        users = self.subsample(batch.queries)
        ids, scores = self.top.ids[users], self.top.scores[users]
        difference = batch.student.score(users, ids) - scores.masked_fill(ids == 0, 0.0)
        return self.reduce((difference * (ids > 0)).square().sum(1), len(batch.queries), self.key("k"))
