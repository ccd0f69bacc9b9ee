"""The functions that make the blocks of pages, by the name in a page's marker."""

from collections.abc import Callable

from tools.docs import accuracy, comparisons, cost, families, goals, inspection

BLOCKS: dict[str, Callable[..., str]] = {
    # docs/choose-a-method.md
    "method_list": families.method_list,
    # test and validation metrics: docs/results.md, docs/methods.md
    "headline": accuracy.headline,
    "larger": accuracy.larger,
    "methods": accuracy.methods,
    "seeds": accuracy.seeds,
    "teachers": accuracy.teachers,
    "tuned": accuracy.tuned,
    "widths": accuracy.widths,
    # inside a method: docs/methods.md
    "neighbours": inspection.neighbours,
    "preferences": inspection.preferences,
    "trajectories": inspection.trajectories,
    # comparisons: docs/compare.md, docs/protocol-a.md
    "compared": comparisons.compared,
    "printed": comparisons.printed,
    # docs/goals.md
    "goals": goals.goals,
    "holm": goals.holm_paragraph,
    "protocol": goals.protocol_paragraph,
    "commands": goals.commands,
    # docs/families.md
    "census": families.census,
    "census_counts": families.census_counts,
    "method_families": families.method_families,
    # docs/cost.md
    "epoch_costs": cost.epoch_costs,
    "epoch_ratios": cost.epoch_ratios,
    "equal_time": cost.equal_time,
    "missed_aims": cost.missed_aims,
    "payback": cost.payback,
    "payback_by_rate": cost.payback_by_rate,
    "same_on_both": cost.same_on_both,
    "scale": cost.scale,
    "serving": cost.serving,
    "step_profile": cost.step_profile,
    "waits": cost.waits,
}
