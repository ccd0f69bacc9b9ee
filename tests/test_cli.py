"""The command line: what it refuses before anything is trained or written, and the exit codes."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import filelock
import pytest
import torch
from recbole.config import Config as RecBoleConfig

import recbole_kd
from recbole_kd.cli import main
from recbole_kd.compare.plan import KEYS as PLAN_KEYS
from recbole_kd.errors import KDError
from recbole_kd.tune.options import NAMES as TUNE_OPTIONS

REPO = Path(__file__).resolve().parent.parent
NAMES = {"-m": "model", "-d": "dataset"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A current directory with a small dataset, a regular file and an empty folder in it."""
    monkeypatch.chdir(tmp_path)
    lines = [f"u{user}\ti{(user * 7 + n * n) % 23}" for user in range(20) for n in range(8)]
    (tmp_path / "data" / "toy").mkdir(parents=True)
    (tmp_path / "data" / "toy" / "toy.inter").write_text("\n".join(["user_id:token\titem_id:token", *lines]) + "\n")
    (tmp_path / "a_file").write_text("not a folder")
    (tmp_path / "a_folder").mkdir()
    return tmp_path


def command(*argv):
    """A run of MKD on the toy data, as short as can be, with these keys in place of its own."""
    base = {"model": "MKD", "dataset": "toy", "data_path": "data", "epochs": 1, "show_progress": False}
    base["state"] = "ERROR"
    given = {NAMES.get(word.partition("=")[0], word.partition("=")[0].lstrip("-")) for word in argv}
    return [f"--{key}={value}" for key, value in base.items() if key not in given] + list(argv)


def written():
    return {str(file) for file in Path(".").rglob("*") if file.suffix in (".pth", ".json")}


def refused(capsys, *argv):
    """Run the command line; check that it ends as a refusal has to; return its sentence."""
    before = written()
    code = main(command(*argv))
    out, err = capsys.readouterr()
    assert code == 2, err
    assert err.startswith("recbole_kd: ") and err.endswith("\n") and err.count("\n") == 1, err
    assert "Traceback" not in out
    assert written() == before
    return err


# Names


@pytest.mark.parametrize(
    "argv, words",
    [
        (["-m", "MDK"], ["'MDK'", "'MKD'"]),
        (["--model=SDL"], ["'SDL'", "'SLD'"]),
        (["--model=mkd"], ["'mkd'", "'MKD'"]),
        (["--model=BPR"], ["'BPR'", "RecBole model", "--student_model=BPR"]),
        (["--student_model=LightGCM"], ["'LightGCM'", "'LightGCN'"]),
        (["--teacher_model=BRP"], ["'BRP'", "'BPR'"]),
        (["--student_model=NKD"], ["'NKD'", "not a RecBole model"]),
        (["--student_model=5"], ["student_model=5"]),
        (["--sld_wieght=1"], ["'sld_wieght'", "'sld_weight'"]),
        (["--epoch=5"], ["'epoch'", "'epochs'"]),
        (["--teacher.learning_rat=1"], ["'teacher.learning_rat'", "'learning_rate'"]),
        (["--model"], ["--model"]),
        (["stray"], ["'stray'"]),
        (["--resume"], ["--resume=True"]),
        (["--lst"], ["'--list'"]),
        (["--teacher_model=BPR,EASE"], ["['BPR', 'EASE']"]),
        (["--sld_wieght=1", "--explain"], ["'sld_weight'"]),
        (["--epochs=1", "--epochs=2"], ["--epochs"]),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(argv, words, capsys):
    sentence = refused(capsys, *argv)
    assert all(word in sentence for word in words), sentence


def test_without_method_or_dataset_it_says_what_to_write(capsys):
    for argv, word in ((["--dataset=toy"], "--model="), (["--model=MKD"], "--dataset=")):
        assert main(argv) == 2
        err = capsys.readouterr().err
        assert err.startswith("recbole_kd: ") and err.count("\n") == 1 and word in err


# Kinds of students and teachers

KINDS = ["EASE", "FM", "DIN", "NCEPLRec", "DiffRec", "LightGBM"]


@pytest.mark.parametrize("model", KINDS)
def test_a_kind_of_student_that_is_not_supported_is_refused(model, capsys):
    sentence = refused(capsys, f"--student_model={model}")
    parts = (f"student_model={model} cannot be distilled", "because", "BPR")
    assert all(part in sentence for part in parts), sentence


@pytest.mark.parametrize("model", ["EASE", "NeuMF", "ConvNCF", "MultiVAE", "Pop"])
def test_a_teacher_that_offers_less_than_a_term_needs_is_refused_before_it_is_trained(model, capsys):
    assert model in refused(capsys, f"--teacher_model={model}")


@pytest.mark.parametrize("model", ["FM", "DIN", "LightGBM"])
def test_a_kind_of_teacher_that_is_not_supported_is_refused(model, capsys):
    sentence = refused(capsys, f"--teacher_model={model}")
    assert f"teacher_model={model}" in sentence and "BPR" in sentence, sentence


# Data


def test_a_dataset_that_is_not_there_is_refused_with_the_folder_to_put_it(capsys):
    sentence = refused(capsys, "--dataset=nowhere")
    assert "nowhere" in sentence and str(Path("data", "nowhere")) in sentence


def test_a_dataset_without_a_row_left_is_refused(capsys):
    assert "toy" in refused(capsys, "--user_inter_num_interval=[1000,inf)")


# The teacher's file


def teacher_file(model="BPR", **keys):
    config = object.__new__(RecBoleConfig)  # RecBole's constructor would read pytest's command line
    config.__dict__.update(final_config_dict={"model": model, "dataset": "toy", "embedding_size": 8, **keys})
    content = {"config": config, "state_dict": {"user_embedding.weight": torch.zeros(20, 8)}, "other_parameter": None}
    torch.save(content, "given.pth", pickle_protocol=4)
    return Path("given.pth")


def test_a_teacher_file_that_is_missing_is_refused(capsys):
    for path in ("missing.pth", "a_folder", "a_file/teacher.pth", "os.pth"):
        assert path in refused(capsys, f"--teacher_path={path}")


@pytest.mark.parametrize("length", [0, 1, 100, 0.5, -1])
def test_a_teacher_file_that_was_cut_short_is_refused(length, capsys):
    file = teacher_file()
    whole = file.read_bytes()
    file.write_bytes(whole[: int(length * len(whole)) if isinstance(length, float) else length])
    assert "given.pth" in refused(capsys, f"--teacher_path={file}")


def test_a_teacher_file_that_is_no_checkpoint_is_refused(capsys):
    assert "a_file" in refused(capsys, "--teacher_path=a_file")
    torch.save({"weight": torch.zeros(3)}, "given.pth")
    assert "not a RecBole checkpoint" in refused(capsys, "--teacher_path=given.pth")
    torch.save([1, 2], "given.pth")
    assert "not a RecBole checkpoint" in refused(capsys, "--teacher_path=given.pth")


@pytest.mark.parametrize("model", ["MyOwnNet", "os", "../x", "MKD"])
def test_a_teacher_file_of_a_model_that_recbole_does_not_bring_is_refused(model, capsys):
    assert "given.pth" in refused(capsys, f"--teacher_path={teacher_file(model)}")


def test_a_teacher_file_with_a_width_that_is_none_is_refused(capsys):
    for width in (0, "8", True, float("nan")):
        assert "embedding_size" in refused(capsys, f"--teacher_path={teacher_file(embedding_size=width)}")


@pytest.mark.parametrize("path", ["5", "[x].pth", "[a.pth,b.pth]", "", "~"])
def test_a_teacher_path_that_is_no_file_is_refused(path, capsys):
    refused(capsys, f"--teacher_path={path}")


# Values


@pytest.mark.parametrize(
    "argv",
    [
        "--embedding_size=0",
        "--embedding_size=-4",
        "--embedding_size=2.5",
        "--embedding_size=nan",
        "--embedding_size=None",
        "--teacher.embedding_size=0",
        "--teacher.embedding_size=True",
        "--nkd_k=0",
        "--nkd_k=-1",
        "--nkd_k=True",
        "--nkd_k=five",
        "--cpd_k=0",
        "--sld_k=1.5",
        "--sld_max_k=0",
        "--sld_temperature=0.0",
        "--cpd_temperature=-1",
        "--cpd_tau=0",
        "--sld_tau=nan",
        "--nkd_weight=-0.1",
        "--nkd_weight=nan",
        "--sld_weight=float('nan')",
        "--sld_weight=1e999",
        "--cpd_pair_weight=-0.1",
        "--kd_base_weight=nan",
        "--nkd_alpha=1.5",
        "--nkd_hidden_ratio=0",
        "--cpd_dropout=1",
        "--sld_mode=best",
        "--mkd_assembly=both",
        "--teacher_check=off",
        "--kd_reduction=None",
        "--resume_interval=-1",
        "--eval_batch_size=0",
        "--student.eval_batch_size=0",
        "--teacher.eval_batch_size=0",
        "--baseline=maybe",
        "--baseline=1",
        "--learning_rate=inf",
        "--learning_rate=-1",
        "--learner=adma",
        "--teacher.learner=5",
        "--clip_grad_norm=5",
        "--user_inter_num_interval=[5-inf)",
        "--item_inter_num_interval=5",
        "--val_interval={'rating': '[3,'}",
        "--train_neg_sample_args={'distribution': 'uniform', 'sample_num': 0}",
        "--metrics=[]",
    ],
)
def test_a_value_out_of_range_is_refused(argv, capsys):
    key = argv.partition("=")[0]
    assert key.rpartition(".")[2].lstrip("-") in refused(capsys, argv)


@pytest.mark.parametrize(
    "argv, word",
    [
        ("--topk=0", "topk"),
        ("--topk=[10,-1]", "topk"),
        ("--topk=ten", "topk"),
        ("--topk=['a']", "RecBole"),
        ("--metrics=['Beauty']", "Beauty"),
        ("--metrics=['Recall','RMSE']", "metrics"),
        ("--metrics=[5]", "RecBole"),
        ("--valid_metric=Beauty@10", "valid_metric"),
        ("--valid_metric=NDCG@20", "valid_metric"),
        ("--valid_metric=5", "valid_metric=5"),
        ("--eval_args={'mode': 5}", "RecBole"),
        ("--eval_args={'mode': 'uni'}", "uni100"),
        ("--eval_args=5", "eval_args"),
        ("--eval_args={'mode': 'most'}", "eval_args"),
        ("--eval_args={'order': 'XX'}", "XX"),
        ("--eval_args={'split': {'XX': [8, 1, 1]}}", "XX"),
        ("--eval_args={'split': {'RS': [8, 2]}}", "three parts"),
        ("--eval_args={'split': {'RS': ['a', 1, 1]}}", "RS"),
        ("--eval_args={'split': {'RS': [0, 0, 0]}}", "RS"),
        ("--train_neg_sample_args=5", "train_neg_sample_args"),
        ("--load_col=5", "load_col"),
    ],
)
def test_what_recbole_itself_refuses_ends_in_one_sentence_too(argv, word, capsys):
    assert word in refused(capsys, argv)


# Files and folders


@pytest.mark.parametrize("where", ["a_file", "a_file/below", "/proc/recbole_kd/saved", ""])
def test_a_checkpoint_dir_that_cannot_be_written_is_refused(where, capsys):
    assert "checkpoint_dir" in refused(capsys, f"--checkpoint_dir={where}")


@pytest.mark.parametrize("where", ["a_file/r.json", "/proc/recbole_kd/r.json", "a_folder", "a_folder/"])
def test_a_result_file_that_cannot_be_written_is_refused(where, capsys):
    assert "result_file" in refused(capsys, f"--result_file={where}")


def test_a_working_directory_that_cannot_be_written_is_refused(capsys):
    Path("log").write_text("RecBole wants a folder of this name")
    assert "log" in refused(capsys)


def test_looking_whether_a_folder_can_be_written_leaves_nothing_behind(capsys):
    Path("saved").mkdir()
    refused(capsys, "--checkpoint_dir=saved/deep/er", "--result_file=results/r.json", "--dataset=nowhere")
    assert not Path("results").exists() and not Path("log").exists()
    assert not list(Path("saved").iterdir())  # no lock either


UNUSABLE = [b"epochs: [1\n", b"- 1\n", b"\xff\xfe\x00e", b"sld_wieght: 1\n", b"teacher: 5\n", b"student: {nobody: 1}\n"]


@pytest.mark.parametrize("content", UNUSABLE)
def test_a_config_file_that_cannot_be_used_is_refused(content, capsys):
    Path("user.yaml").write_bytes(content)
    assert "user.yaml" in refused(capsys, "--config_files=user.yaml")


def test_a_config_file_that_is_missing_is_refused(capsys):
    assert "missing.yaml" in refused(capsys, "--config_files", "missing.yaml")


def test_a_second_run_in_one_checkpoint_dir_is_refused(capsys):
    Path("saved").mkdir()
    with filelock.FileLock("saved/.recbole_kd.lock"):
        assert "another run" in refused(capsys, "--checkpoint_dir=saved")
        assert "nowhere" in refused(capsys, "--checkpoint_dir=other", "--dataset=nowhere")
    assert "nowhere" in refused(capsys, "--checkpoint_dir=saved", "--dataset=nowhere")
    with filelock.FileLock("saved/.recbole_kd.lock", timeout=0):  # a refused run lets go of it
        pass


# Pages


@pytest.mark.parametrize("name", ["tune", "compare"])
def test_each_command_has_a_page_of_its_own_that_names_all_it_takes(name, capsys):
    assert main([name, "--help"]) == 0
    page = capsys.readouterr().out
    takes = TUNE_OPTIONS if name == "tune" else PLAN_KEYS
    assert page.startswith(f"usage: run_kd.py {name}") and all(f"{key}" in page for key in takes)


def test_an_option_of_tune_that_nobody_knows_is_refused_with_the_nearest(capsys):
    assert main(["tune", "--model=SLD", "--dataset=toy", "--trails=3"]) == 2
    assert "'trails'" in (said := capsys.readouterr().err) and "'trials'" in said


def test_a_reader_that_has_read_enough_is_no_error():
    words = [sys.executable, "-m", "recbole_kd", "--model=MKD", "--explain"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPO) as run:
        run.stdout.close()  # before anything is written
        assert run.stderr.read() == b"" and run.wait(60) == 0


# Exit codes


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_is_no_error(word, capsys):
    assert main([word]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: ") and "--model" in out and not err


def test_without_arguments_it_shows_the_usage_and_fails(capsys):
    assert main([]) == 2
    assert "usage: " in "".join(capsys.readouterr())


def test_without_an_argument_main_reads_the_command_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["run_kd.py", "--help"])
    assert main() == 0
    assert "usage: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "error, code, word",
    [
        (KDError("two\nlines"), 2, "two lines"),
        (recbole_kd.NonFiniteLoss("NKD is nan"), 1, "NKD is nan"),
        (OSError(28, "No space left on device"), 1, "No space left"),
        (KeyboardInterrupt(), 130, "--resume=True"),
    ],
)
def test_each_end_has_its_exit_code_and_one_line(error, code, word, monkeypatch, capsys):
    def ends(argv):
        raise error

    monkeypatch.setattr("recbole_kd.cli.run_kd", ends)
    assert main(command()) == code
    out, err = capsys.readouterr()
    assert err.startswith("recbole_kd: ") and err.count("\n") == 1 and word in err
    assert not out


# What is said before the training


def before_training(monkeypatch, caplog, *argv):
    """What a run has logged by the time that it would look for its teacher."""

    def stop(*_):
        raise KDError("far enough")

    monkeypatch.setattr("recbole_kd.experiment.provide_teachers", stop)
    with caplog.at_level(logging.INFO):
        assert main(command("--state=INFO", *argv)) == 2
    return caplog.records


def test_both_widths_are_logged(monkeypatch, caplog):
    records = before_training(monkeypatch, caplog, "--teacher.embedding_size=70")
    said = " ".join(record.getMessage() for record in records)
    assert "BPR, embedding_size 70" in said and "BPR, embedding_size 7" in said.replace("embedding_size 70", "")


@pytest.mark.parametrize("student, warnings", [(8, 0), (9, 1)])
def test_a_student_wider_than_its_teacher_is_warned_of(student, warnings, monkeypatch, caplog):
    records = before_training(monkeypatch, caplog, f"--embedding_size={student}", "--teacher.embedding_size=8")
    assert len([record for record in records if record.levelno == logging.WARNING]) == warnings


# Real processes


def run(*words):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=120)


def test_run_kd_refuses_in_one_line_and_nothing_else():
    ended = run(str(REPO / "run_kd.py"), "--model=MDK", "--dataset=toy")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("recbole_kd: ") and ended.stderr.count("\n") == 1


def test_the_module_ends_its_log_with_the_sentence(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPO))
    ended = run("-m", "recbole_kd", "-d", "nowhere", "--model", "MKD", "--data_path=data")
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    assert [line for line in lines if line.startswith("recbole_kd: ")] == lines[-1:]
    assert "Traceback" not in ended.stderr + ended.stdout
    assert not written()


def test_list_names_every_method_and_the_documentation_holds_it(capsys):
    assert main(["--list"]) == 0
    printed = capsys.readouterr().out
    page = (Path(__file__).resolve().parent.parent / "docs/choose-a-method.md").read_text()
    for name in recbole_kd.method_names():
        row = next(line for line in printed.splitlines() if line.startswith(f"| {name} "))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert all(cells), "a method says what it does, its paper and how sure its form is"
        assert "| " + " | ".join(cells) + " |" in page


def test_explain_prints_every_key_with_its_default(capsys):
    assert main(["--model=MKD", "--explain"]) == 0
    printed = capsys.readouterr().out
    for key in ("sld_tau", "nkd_k", "cpd_pair", "mkd_assembly", "teacher_path"):
        assert f"| {key} " in printed
    assert main(["--model=MDK", "--explain"]) == 2


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("--student_model=LightGCN --n_layers=abc", "n_layers='abc' is not a number, and LightGCN's n_layers is one"),
        ("--teacher_model=LightGCN --teacher.reg_weight=[1]", "reg_weight=[1] is not a number, and LightGCN's"),
        ("--student_model=NGCF --hidden_size_list=abc", "NGCF cannot be made with these settings"),
        ("--teacher_model=DiffRec --teacher.reweight=no", "reweight='no' is out of range: it takes True or False"),
    ],
)
def test_a_models_key_of_the_wrong_kind_is_refused(keys, said, capsys):
    assert said in refused(capsys, "--model=RRD", *keys.split())


# Paths, memory and interruptions: exit codes


@pytest.mark.parametrize(
    ("key", "path", "words"),
    [
        ("checkpoint_dir", "n" * 300, "too long"),
        ("checkpoint_dir", "/".join(["folder"] * 800), "too long"),
        ("checkpoint_dir", "a_file", "not a folder"),
        ("checkpoint_dir", "a_file/below", "not a folder"),
        ("result_file", "n" * 252, "too long"),
        ("result_file", "a_file/r.json", "not a folder"),
        ("result_file", "a_folder", "is a folder"),
        ("result_file", "\udcff.json", "not UTF-8"),
        ("result_file", "a\0.json", "NUL"),
    ],
)
def test_what_cannot_be_written_at_the_end_is_refused_at_the_start(key, path, words, capsys):
    sentence = refused(capsys, f"--{key}={path}")
    assert key in sentence and words in sentence


@pytest.mark.parametrize("name", ["alone", "teacher", "knowledge"])
def test_a_file_where_a_folder_of_ours_should_be_is_refused_at_the_start(name, folder, capsys):
    (folder / "saved").mkdir()
    (folder / "saved" / name).write_text("")
    assert name in refused(capsys)


@pytest.mark.parametrize("name", ["log", "log_tensorboard"])
def test_a_file_where_recboles_log_should_be_is_refused_at_the_start(name, folder, capsys):
    (folder / name).write_text("")
    assert "log" in refused(capsys)


@pytest.mark.parametrize("word", ["out", "n" * 248])
def test_a_plan_or_a_search_that_cannot_be_written_is_refused_at_the_start(word, folder, capsys):
    (folder / "out.json").mkdir()
    (folder / "out" / "summary.csv").mkdir(parents=True)
    assert main(["tune", *command(f"--output={word}.yaml", "--trials=1")]) == 2
    plan = f"datasets: [toy]\nseeds: [1]\nmethods: [MKD]\nfolder: {word}\nkeys: {{data_path: data, epochs: 1}}\n"
    (folder / "plan.yaml").write_text(plan)
    assert main(["compare", "plan.yaml"]) == 2
    assert capsys.readouterr().err.count("\n") == 2
    assert not list(folder.rglob("*.pth"))


@pytest.mark.parametrize("error", [MemoryError("Unable to allocate 3 GiB"), RuntimeError("can't allocate memory")])
def test_too_little_memory_while_preparing_is_a_failed_run(error, capsys, monkeypatch):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("recbole_kd.data.built_dataset.create_dataset", fail)
    assert main(command()) == 1
    assert "too little memory" in capsys.readouterr().err


def test_a_path_as_the_dataset_is_refused_with_the_two_keys(capsys):
    assert "--data_path=data --dataset=toy" in refused(capsys, "--dataset=data/toy")
    assert "--data_path=/some/where --dataset=toy" in refused(capsys, "--dataset=/some/where/toy/")


def test_config_files_may_have_spaces_in_their_names(folder, capsys):
    (folder / "my recipe.yaml").write_text("epochs: 0\n")
    (folder / "other.yaml").write_text("seed: 1\n")
    for value in ("my recipe.yaml", "my recipe.yaml other.yaml", "other.yaml my recipe.yaml", "['my recipe.yaml']"):
        argv = [word for word in command(f"--config_files={value}") if not word.startswith("--epochs")]
        assert main(argv) == 2
        assert "epochs=0 is out of range" in capsys.readouterr().err
    assert "'--config_files=my recipe.yaml'" in refused(capsys, "--config_files=my", "recipe.yaml")


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("words", [[str(REPO / "run_kd.py")], ["-m", "recbole_kd"]])
def test_ctrl_c_while_importing_leaves_no_traceback(words):
    command_line = [sys.executable, *words, "--list"]
    # a shell's background job ignores the signal, and so would its children
    process = subprocess.Popen(
        command_line, stderr=subprocess.PIPE, cwd=REPO, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.6)
    process.send_signal(signal.SIGINT)
    assert process.communicate()[1] == "recbole_kd: interrupted\n"
    assert process.returncode in (130, -signal.SIGINT)


@pytest.mark.parametrize(
    ("words", "code", "first"),
    [
        (["--help"], 0, "usage: run_kd.py --model"),
        ([], 2, "usage"),
        (["tune", "-h"], 0, "usage: run_kd.py tune"),
        (["export", "--help"], 0, "usage: run_kd.py export"),
    ],
)
def test_a_help_page_needs_neither_torch_nor_recbole(words, code, first):
    program = (
        f"import runpy, sys; sys.argv = ['-m', *{words}]; sys.orig_argv = ['python', '-m', 'recbole_kd']\n"
        "try:\n    runpy.run_module('recbole_kd', run_name='__main__')\n"
        "finally:\n    assert not {'torch', 'recbole', 'numpy', 'yaml'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=REPO)
    assert (done.returncode, done.stderr) == (code, "") and done.stdout.startswith(first)


def test_another_program_of_the_same_name_has_recbole_mended(tmp_path):
    (tmp_path / "run_kd.py").write_text("import recbole_kd, sys; assert 'recbole.quick_start' in sys.modules")
    done = subprocess.run(
        [sys.executable, "run_kd.py", "--help"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
