"""The latencies of a comparison's models, and the file that they are written to."""

from collections.abc import Sequence
from pathlib import Path

from recbole_kd.compare.plan import make_run_config
from recbole_kd.compare.run import Run, load_trained, silence_logging, write_row
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.evaluation.cost import latencies
from recbole_kd.knowledge.frozen_teacher import readable_backbone
from recbole_kd.knowledge.loader import queries_for


def speed_file(file: Path | str) -> str:
    """The file with the latencies of a dataset's models.

    Args:
        file: the file of any run of the dataset.
    """
    return str(Path(file).parent.parent / "speed.json")


def time_models(runs: Sequence[Run], file: str, key: str) -> str | None:
    """Measure the milliseconds per user of the models of one dataset and seed, in turns, and write them to a file.

    Args:
        runs: the runs of the models.
        file: the file to write.
        key: the key of its content.

    Returns:
        None, or why there is no file, in one line.
    """
    silence_logging()
    try:
        configs = {run.name: make_run_config(run.keys) for run in runs}
        data = prepare_split(plain_config(configs[runs[0].name]))
        members = {run.name: load_trained(configs[run.name], run.name, data).members for run in runs}
        backbones = {
            (name, index): readable_backbone(config, model.eval(), queries_for(data, config))
            for name, group in members.items()
            for index, (config, model) in enumerate(group)
        }
        times = latencies(backbones, max(configs[runs[0].name]["topk"]))
        totals = {name: sum(ms for (owner, _), ms in times.items() if owner == name) for name in members}
        write_row(file, {"key": key, "ms_per_user": totals})
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return None
