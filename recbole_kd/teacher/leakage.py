"""The leak guard: a teacher that has seen a held-out pair of this run is refused."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from recbole.config import Config as RecBoleConfig
from recbole.data.dataset import Dataset, KnowledgeBasedDataset, SequentialDataset

from recbole_kd.config.configurator import Config, plain_config
from recbole_kd.config.model_names import model_reference
from recbole_kd.config.recbole_schema import model_keys
from recbole_kd.config.teacher_specs import TeacherSpec
from recbole_kd.data.fingerprint import Fingerprint
from recbole_kd.data.rows import has_times, interaction_rows
from recbole_kd.data.shared_pairs import describe_repeated_pairs
from recbole_kd.data.split import Split, prepare_split
from recbole_kd.data.split_settings import FILTER_KEYS, PARTS, SPLIT_KEYS, differing_keys
from recbole_kd.errors import KDError, error_sentence
from recbole_kd.teacher.leak_warnings import read_warnings

# what the dataset and the loaders of a family read beside SPLIT_KEYS
_FAMILY_KEYS = {
    *("model", "MODEL_TYPE", "MODEL_INPUT_TYPE", "train_neg_sample_args", "repeatable", "transform"),
    *("kg_reverse_r", "entity_kg_num_interval", "relation_kg_num_interval"),
}


def check_teacher(
    content: dict[str, Any], config: Config, data: Split, file: str, earlier: Sequence[dict[str, Any]] = ()
) -> str | None:
    """Refuse a teacher that is not comparable with this run, or warn under ``teacher_check: warn``.

    Args:
        content: the teacher's checkpoint as read_checkpoint gives it.
        config: this run's Config.
        data: this run's Split.
        file: the checkpoint's name, for the message.
        earlier: the checkpoints of earlier moments, likewise.

    Returns:
        The warning, which goes into the result as well; None if the teacher is comparable.

    Raises:
        KDError: with the number of held-out pairs that the teacher was trained on, and the key that differs.
    """
    fault, fits = find_incompatibility(content, config, data)
    faults = [fault] if fault else []
    if inherited := read_warnings(content, *earlier):
        faults.append(f"was distilled from a teacher that was accepted with a warning: {'; '.join(inherited)}")
    if not faults:
        return None
    fault = ", and it ".join(faults)
    if fits and config["teacher_check"] == "warn":
        return f"the teacher '{file}' is taken although it {fault}"
    remedy = "; teacher_check=warn accepts it anyway" if fits else ""
    raise KDError(f"the teacher '{file}' {fault}{remedy}")


def check_score_file(config: Config, file: str) -> str:
    """Refuse a file of scores, whose training data are unknown, unless ``teacher_check: warn`` is set.

    Returns:
        The warning, which goes into the result as well.

    Raises:
        KDError: ``teacher_check: warn`` is not set.
    """
    text = f"'{file}' does not say what it was trained on, and may have seen the test part"
    if config["teacher_check"] != "warn":
        raise KDError(f"the teacher {text}; teacher_check=warn accepts it anyway")
    return f"the teacher {text}"


def check_same_split(config: Config, spec: TeacherSpec, teacher_split: Split, data: Split) -> None:
    """Refuse a teacher that would be trained on another split than the student's.

    Args:
        config: this run's Config.
        spec: the teacher.
        teacher_split: the split under the teacher's config.
        data: the student's split.

    Raises:
        KDError: the fingerprints differ.
    """
    if teacher_split.fingerprint == data.fingerprint:
        return
    if _is_plain(teacher_split) and _is_plain(data):
        raise KDError(
            f"the teacher {spec.label} would be trained on another split than the student {config['model']}: "
            "leave seed, eval_args and filters out of the blocks 'teacher' and 'student'"
        )
    # another family has another training part: sequences lack each user's first item
    if not _same_vocabulary(data, teacher_split):
        raise KDError(
            f"the teacher {spec.label} would have another vocabulary than the student {config['model']}: "
            f"{_vocabulary_difference(data, teacher_split)}{_vocabulary_remedy(teacher_split, data)}"
        )
    if fault := _find_leak(teacher_split, data):
        raise KDError(
            f"the teacher {spec.label} cannot teach the student {config['model']}, since it would be one that {fault}: "
            "write eval_args and filters once, outside the blocks, and user_inter_num_interval: '[4,inf)' where users "
            "with fewer interactions are divided differently"
        )


def _is_plain(split: Split) -> bool:
    """Whether a split is of general or traditional models, which share their parts."""
    return type(split.train._dataset) is Dataset


def find_incompatibility(content: dict[str, Any], config: Config, data: Split) -> tuple[str | None, bool]:
    """What makes a teacher incomparable with this run.

    Args:
        content: the teacher's checkpoint as read_checkpoint gives it.
        config: this run's Config.
        data: this run's Split.

    Returns:
        (fault, fits): the fault as the end of a sentence, or None; and whether the teacher's tables have the right
        shapes, so that it could teach in spite of the fault.
    """
    teacher = content["config"]
    if teacher.get("dataset") != config["dataset"]:
        return f"was trained on the dataset '{teacher.get('dataset')}', here it is '{config['dataset']}'", False
    if _fingerprint_matches(content.get("fingerprint"), data.fingerprint):
        return None, True
    try:
        teacher_split = _rebuild_split(teacher, config)
    except Exception as error:  # its settings are the user's: RecBole may fail over them in any way
        return f"cannot be checked, because its split cannot be made again ({error_sentence(error)})", True
    written = content.get("fingerprint")
    rebuilt = vars(teacher_split.fingerprint)
    if isinstance(written, Mapping) and any(written.get(part) != rebuilt[part] for part in ("train", "valid")):
        return "cannot be checked, because the dataset's files are not those that it was trained on", True
    return _compare_splits(teacher_split, data, teacher, config)


def _compare_splits(
    teacher_split: Split, data: Split, teacher: Mapping[str, Any], config: Config
) -> tuple[str | None, bool]:
    """As ``find_incompatibility``, from the split that the teacher was trained on."""
    different = _split_differences(teacher, config)
    keys = _describe_keys(different, teacher, config)
    if not _same_vocabulary(data, teacher_split):
        vocabularies = zip(data.tokens, teacher_split.tokens, strict=True)
        fits = all(len(run_tokens) == len(tokens) for run_tokens, tokens in vocabularies)
        difference = _vocabulary_difference(data, teacher_split)
        return f"has another vocabulary: {difference}" + (f" ({keys})" if keys else ""), fits
    fault = _find_leak(teacher_split, data)
    if fault:
        reasons = [reason for reason in (keys, describe_repeated_pairs(config, data)) if reason]
        return fault + (f": {'; '.join(reasons)}" if reasons else ""), True
    if any(key in FILTER_KEYS for key in different):
        return f"was trained under another filter: {keys}", True
    return None, True


def _same_vocabulary(data: Split, teacher_split: Split) -> bool:
    vocabularies = zip(data.tokens, teacher_split.tokens, strict=True)
    return all(np.array_equal(run_tokens, tokens) for run_tokens, tokens in vocabularies)


def _vocabulary_remedy(*splits: Split) -> str:
    if not any(isinstance(split.train._dataset, KnowledgeBasedDataset) for split in splits):
        return ""
    return (
        "; a knowledge-aware model reads only the items in the .link file: keep these items alone in the .inter file, "
        "or take models of one kind"
    )


def _find_leak(teacher_split: Split, data: Split) -> str | None:
    """Which held-out pairs of this run the teacher was trained on, or chosen by.

    Where one of the two is of sequences, rows are compared instead of pairs: (user, item, time). A row that this run's
    own training part holds as well, because the data repeat it, is no leak; neither is a test row that its validation
    part holds.
    """
    parts, teacher_parts = _comparable_parts(data, teacher_split)
    for name, kind in (("test", "test"), ("valid", "validation")):
        count = int(np.isin(parts[name], teacher_parts["train"]).sum())
        if count:
            return f"was trained on {count:,} of this run's {len(data.pairs[name]):,} {kind} pairs"
    count = int(np.isin(parts["test"], teacher_parts["valid"]).sum())
    if count:
        total = len(data.pairs["test"])
        return f"was chosen, by early stopping, on {count:,} of this run's {total:,} test pairs"
    return None


def _comparable_parts(data: Split, teacher_split: Split) -> tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
    """The pairs, or the rows, of this run's parts and of the teacher's."""
    if not any(isinstance(split.train._dataset, SequentialDataset) for split in (data, teacher_split)):
        return data.pairs, teacher_split.pairs
    loaders = [(split.train, split.valid, split.test) for split in (data, teacher_split)]
    datasets = [[loader._dataset for loader in of_split] for of_split in loaders]
    timed = all(has_times(dataset) for of_split in datasets for dataset in of_split) and _same_times(
        data, teacher_split
    )
    run, teacher = (
        {name: interaction_rows(dataset, timed) for name, dataset in zip(PARTS, of_split, strict=True)}
        for of_split in datasets
    )
    run["valid"] = np.setdiff1d(run["valid"], run["train"])
    run["test"] = np.setdiff1d(run["test"], np.union1d(run["train"], run["valid"]))
    return run, teacher


def _same_times(data: Split, teacher_split: Split) -> bool:
    """Whether both splits hold the times in the same form."""
    keys = ("TIME_FIELD", "normalize_field", "normalize_all")
    return not differing_keys(keys, data.dataset.config, teacher_split.dataset.config)


def _split_differences(teacher: Mapping[str, Any], config: Config) -> list[str]:
    """The keys by which the teacher's split differs from this run's."""
    if config["benchmark_filename"] and teacher.get("benchmark_filename") == config["benchmark_filename"]:
        return []  # RecBole neither filters nor draws then
    return differing_keys(SPLIT_KEYS, teacher, config)


def _describe_keys(keys: Sequence[str], teacher: Mapping[str, Any], config: Config) -> str:
    return ", ".join(f"{key} {_short(teacher.get(key))}, here {_short(config[key])}" for key in keys)


def _fingerprint_matches(written: Any, fingerprint: Fingerprint) -> bool:
    """Whether a checkpoint holds the fingerprint of this very split, as those that this package trains do."""
    if not isinstance(written, Mapping) or set(written) != set(vars(fingerprint)):
        return False
    return Fingerprint(**written) == fingerprint


def _rebuild_split(teacher: Mapping[str, Any], config: Config) -> Split:
    """The split that the teacher was trained on, made from the config in its checkpoint and this run's files."""
    rebuilt: RecBoleConfig = plain_config(config)
    settings = {**rebuilt.final_config_dict}
    family = (
        model_keys(model_reference(teacher)) | _FAMILY_KEYS
    )  # what the teacher's dataset and loaders read beside them
    for key in (*SPLIT_KEYS, *sorted(family)):
        if key in teacher:
            settings[key] = teacher[key]
    if isinstance(teacher.get("eval_args"), Mapping):  # the mode of its evaluation is no part of the split
        settings["eval_args"] = {**teacher["eval_args"], "mode": config["eval_args"]["mode"]}
    # a mask is no part of the split either, and a teacher may be evaluated in a mode that has none
    for key in ("dataset_save_path", "dataloaders_save_path", "save_dataset", "save_dataloaders", "eval_mask"):
        settings[key] = None
    rebuilt.final_config_dict = settings
    return prepare_split(rebuilt)


def _short(value: Any) -> str:
    return "unset" if value is None else str(value)


def _vocabulary_difference(data: Split, teacher_split: Split) -> str:
    sizes = [(len(split.tokens[0]) - 1, len(split.tokens[1]) - 1) for split in (teacher_split, data)]
    if sizes[0] == sizes[1]:
        return "the same size, other tokens or another order"
    return f"{sizes[0][0]:,} users and {sizes[0][1]:,} items, here {sizes[1][0]:,} and {sizes[1][1]:,}"
