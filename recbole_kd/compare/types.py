"""The types of what a comparison writes to ``summary.json``."""

from typing import Any, TypedDict

from recbole_kd.evaluation.statistics import PairedComparison


class Comparison(PairedComparison):
    """A method against an opponent on one metric, by the paired differences method - opponent over the seeds.

    Attributes:
        n: number of seeds that both have.
        difference: the mean difference; None without common seeds.
        t: statistic of the two-sided paired t-test; None for fewer than two seeds, and where all differences are equal.
        p: its p-value; None for fewer than two seeds.
        t_low: lower end of the 95% interval of the t-test; None for fewer than two seeds.
        t_high: upper end of it.
        low: lower end of the 95% bootstrap interval; None for fewer than two seeds.
        high: upper end of it.
        p_holm: ``p`` after Holm's correction for all methods of the dataset against the same opponent on this metric.
    """

    p_holm: float | None


class RivalComparison(Comparison):
    """A method against the best of the other methods.

    Attributes:
        rival: the other method with the best mean, among those with the most seeds; None without one.
    """

    rival: str | None


class _Sample(TypedDict):
    values: dict[str, float]
    n: int
    mean: float
    sd: float | None


class MetricSummary(_Sample, total=False):
    """One metric of one model. The rows of the teacher and of the student alone have only the first four fields.

    Attributes:
        values: the unrounded value of each seed, by the seed as text.
        n: number of seeds.
        mean: mean over the seeds.
        sd: standard deviation of the sample; None for one seed.
        share: the recovered share, (method - alone) / (teacher - alone) of the means over common seeds; None where the
            teacher is not better than the student alone.
        against_alone: the method against the student alone.
        against_teacher: the method against the teacher.
        against_rival: the method against the best of the other methods.
    """

    share: float | None
    against_alone: Comparison
    against_teacher: Comparison
    against_rival: RivalComparison


class PopularitySummary(TypedDict):
    """The recall of the items in one popularity bin.

    Attributes:
        n: number of seeds with held-out pairs in the bin.
        mean: mean recall over these seeds; None without them.
        sd: standard deviation of the sample; None for fewer than two seeds.
        items: mean number of items in the bin.
        pairs: mean number of held-out pairs in the bin.
        least: the smallest number of training pairs of an item in it, over all seeds; None for an empty bin.
        most: the largest one.
    """

    n: int
    mean: float | None
    sd: float | None
    items: float | None
    pairs: float | None
    least: int | None
    most: int | None


class ModelSummary(TypedDict):
    """One model of a dataset over its seeds.

    Attributes:
        method: the method; None for the teacher and the student alone.
        keys: the keys that apply to this entry of the plan only.
        parameters: how many numbers the model holds.
        bytes: how many bytes these take.
        seeds: the seeds with a result.
        ms_per_user: milliseconds for ranking the whole catalogue for one user; None where not measured.
        epochs: mean number of epochs; None for a model that is not trained in epochs.
        seconds: mean seconds of training; None where not measured.
        popularity: recall by the popularity of the items, least popular first; None where not measured.
        metrics: metric to its summary.
    """

    method: str | None
    keys: dict[str, Any]
    parameters: int
    bytes: int
    seeds: list[int]
    ms_per_user: float | None
    epochs: float | None
    seconds: float | None
    popularity: list[PopularitySummary] | None
    metrics: dict[str, MetricSummary]


class DatasetSummary(TypedDict):
    """One dataset of a comparison.

    Attributes:
        dataset: the dataset's RecBole name.
        keys: the keys that apply to this dataset only.
        users: number of users.
        items: number of items.
        valid_metric: the metric of early stopping.
        k: the longest ``topk``.
        interactions: number of distinct pairs in all parts.
        rows: name to its model: the teacher and the student alone, then the methods in the order of the plan.
    """

    dataset: str
    keys: dict[str, Any]
    users: int
    items: int
    valid_metric: str
    k: int
    interactions: int
    rows: dict[str, ModelSummary]


class Failure(TypedDict):
    """A run without a result.

    Attributes:
        dataset: the dataset's name in the plan.
        seed: the seed.
        name: the run's name; "milliseconds" for the latencies of a dataset.
        reason: the message.
        diverged: whether the run would fail in every repeat, so that it is not tried again.
    """

    dataset: str
    seed: int
    name: str
    reason: str
    diverged: bool


class Summary(TypedDict):
    """The content of ``summary.json``.

    Attributes:
        schema_version: 1; a file without it is of version 1, too.
        part: the evaluated part, ``test`` or ``validation``; ``test`` in a file without it.
        metric: the metric that is shown first.
        seeds: the seeds of the plan.
        keys: the keys of every run.
        alone: the keys of the student alone.
        datasets: name to the summary of a dataset; without datasets that have no result.
        failed: the runs without a result.
        warnings: teachers that were accepted although they may have seen held-out pairs, and datasets whose parts
            share pairs, as sentences.
        versions: the versions of the packages, by name.
    """

    schema_version: int
    part: str
    metric: str
    seeds: list[int]
    keys: dict[str, Any]
    alone: dict[str, Any]
    datasets: dict[str, DatasetSummary]
    failed: list[Failure]
    warnings: list[str]
    versions: dict[str, str]
