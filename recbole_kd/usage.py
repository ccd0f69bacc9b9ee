"""The help pages of the command line. This file imports nothing heavy, so that ``--help`` answers at once."""

from collections.abc import Sequence

USAGE = """usage: run_kd.py --model=MKD --dataset=ml-100k [--key=value ...]
       run_kd.py tune --model=MKD --dataset=ml-100k [--trials=20] [--minutes=30] [--key=value ...]

  --model, -m       the distillation method
  --dataset, -d     a dataset of RecBole's, or a folder of atomic files under --data_path
  --student_model   the RecBole model that is distilled and shipped (BPR)
  --teacher_model   the RecBole model of the teacher (the student's), or several: "['BPR', 'LightGCN']"
  --teacher_path    a RecBole checkpoint to take as the teacher, or several
  --recipe          settings that come with the package, such as citeulike/MKD-neighbours; several with commas
  --config_files    YAML files, separated by spaces, or a list: "['my a.yaml', 'b.yaml']"
  --nproc           processes that train the student together (1; docs/processes.md)
  --terms           with --model=Distiller: a free mix, such as "['NKD', 'SLD']"
  --list            the methods
  --list-recipes    the recipes
  --model=X --explain   the keys of one method
  compare plan.yaml     methods x seeds x datasets, summarised in tables and a report (compare --help)
  tune              a search for good settings, on validation (tune --help)
  recommend FILE    recommendations of a trained model (recommend --help)
  export FILE       a trained model for numpy, onnxruntime or faiss (export --help)
  doctor            checks the environment: versions, RecBole, torch, the GPU, and what to do
  and every other key of RecBole's and ours; --teacher.key=value and --student.key=value reach one side.
"""
TUNE = """usage: run_kd.py tune --model=MKD --dataset=ml-100k [--key=value ...]

Tries settings of a method, of the student alone or of the teacher, and compares their scores on validation; the test
part is not read. It writes a recipe, which run_kd.py takes with --config_files=, and a JSON file of all trials, from
which the same command continues (docs/tune.md).

  --trials=20         the number of trials; the first has the default settings
  --minutes=30        no trial begins once the trials have taken this long together
  --side=method       what is tuned: method, alone (the student alone) or teacher
  --space=a.yaml      the values to try; the method's own space by default
  --searcher=random   or optuna, where that is installed
  --pruning=True      whether a trial below the median of the others is stopped early
  --output=tuned.yaml the recipe
  and every key of a run.
"""
COMPARE = """usage: run_kd.py compare plan.yaml

Trains methods x seeds x datasets, each seed with its own teacher and student alone, and summarises: means, standard
deviations, paired tests, intervals, recovered shares, sizes, milliseconds, as JSON, CSV, LaTeX and an HTML report. The
same command continues where it was interrupted (docs/compare.md).

  datasets: [ml-100k]       names, or {dataset: ml-100k, name: ..., key: value}
  seeds: [1, 2, 3, 4, 5]
  methods: [MKD, RRD]       names, or {model: MKD, name: ..., key: value}
  keys: {key: value}        for every run
  alone: {key: value}       for the student alone
  folder: compare/plan      where everything goes
  processes: 1              runs at a time
  metric: ndcg@10           the one that is shown first
  part: test                or validation, to choose settings: the test part is then never evaluated
"""
RECOMMEND_USAGE = """usage: run_kd.py recommend saved/BPR-….pth --users=196,186 [--k=10] [--output=top.parquet]
       run_kd.py recommend saved/BPR-….pth --all --output=top.csv
       run_kd.py recommend saved/BPR-….pth --items=50,181
       run_kd.py recommend saved/BPR-….pth --history=50,181,172

Recommends items to users, as a table of tokens and scores, from any RecBole checkpoint (docs/recommend.md).

  --users=196,186   user tokens, or a file with a token on each line
  --all             all users
  --items=50,181    items, for which similar items are listed
  --history=50,181  the items of a new user, in the order of time
  --k=10            items in each list
  --exclude=seen    a user's items that are left out: seen (training and validation), all (test as well), none
  --allow=ITEMS     the only items that may be listed: tokens, or a file
  --deny=ITEMS      items that may not be listed
  --output=FILE     a file with the suffix .csv, .tsv or .parquet instead of the screen
  --overwrite       replace the file if it exists
  --skip-unknown    leave out unknown tokens
  --allow-short     shorter lists where fewer than k items are left
  --data_path=DIR   the folder that holds the dataset's folder, where it is no longer where it was
"""
EXPORT_USAGE = """usage: run_kd.py export saved/BPR-….pth --output=bundle/ [--format=bundle] [--precision=fp32]

Writes a trained model to a folder that needs neither RecBole nor recbole_kd, and checks the folder against the model
(docs/export.md).

  --output=DIR      the folder
  --format=bundle   bundle (numpy), safetensors, onnx or faiss
  --precision=fp32  fp32, fp16, int8 or pq (product quantisation)
  --pq_bytes=10     of pq: the bytes of a vector; half of its width by default
  --compare         measure bytes, milliseconds and ndcg@10 at every precision
  --index=flat      of faiss: flat (exact) or hnsw (approximate)
  --k=10            items in the lists that are compared; of the ONNX graph of a model without vectors also its k
  --metrics=FILE    a JSON file of metrics for the model card, such as {"ndcg@10": 0.26}, or the result_file of a run:
                    its models are rows of the table then
  --licence=TEXT    the licence of the model
  --data_licence=TEXT   the licence of the data
  --overwrite       replace an earlier export
  --data_path=DIR   the folder that holds the dataset's folder, where it is no longer where it was
"""
PAGES = {"tune": TUNE, "compare": COMPARE, "recommend": RECOMMEND_USAGE, "export": EXPORT_USAGE}


def asks_for_help(argv: Sequence[str]) -> bool:
    """Whether a command line is answered by a help page: it is empty, or holds ``-h`` or ``--help``."""
    return not argv or "-h" in argv or "--help" in argv


def print_help(argv: Sequence[str]) -> int | None:
    """Print the help page that a command line asks for.

    Args:
        argv: the command line without the program.

    Returns:
        The exit code: 0, or 2 for an empty command line. None where no page is asked for, and none was printed.
    """
    if not asks_for_help(argv):
        return None
    print(PAGES.get(argv[0], USAGE) if argv else USAGE, end="")
    return 0 if argv else 2
