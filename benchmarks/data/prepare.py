"""The datasets of the benchmarks as RecBole's atomic files, made from the public files, with their checksums.

    python -m benchmarks.data.prepare --citeulike=users.dat --ml-1m=ratings.dat --output=data

``users.dat`` is CiteULike-t's, one user a line: a count, then so many item ids. ``ratings.dat`` is MovieLens-1M's, one
rating a line: user::item::rating::timestamp. Either may be left out. The exit code is 1 where a checksum is another one
than that of the data that the benchmarks ran on. docs/data.md says more.
"""

import argparse
import hashlib
import itertools
import sys
from collections import defaultdict
from pathlib import Path

from recbole_kd.errors import KDError
from recbole_kd.io import atomic_write

LEAST_ITEMS, LEAST_RATING = 5, 3
HEAD = "user_id:token\titem_id:token\n"
SUMS = {  # sha256 of the files that the benchmarks ran on; of ml-1m, of which rows stand in them (``sum_of_pairs``)
    "citeulike.inter": "da1f77a4cabbce86e561313c828a55c0d713435f2143899baf4394327444f0c4",
    "citeulike-fileorder.train.inter": "04bfe42f556639fcad50e2970edbe947c9bf2ce9325209da61abea9425bc9340",
    "citeulike-fileorder.valid.inter": "9b547e5113d202537a0c822984c6d0504650bc465f2141046569437be9da60e8",
    "citeulike-fileorder.test.inter": "770890a4e2df98fbb56702d3742b4c76e69a68c7f4467b700a2eb3dadd3cf7ce",
    "ml-1m.inter": "3ef9aa55a401c3d62c13378f928ba3c0eaf178e03bc58626ddae5b4cc2e065cc",
}


def read_users(file: str | Path) -> list[list[int]]:
    """The items of each user of a users.dat, in the file's order. Raises KDError: another kind of line."""
    libraries = []
    for number, line in enumerate(_lines(file), 1):
        words = line.split()
        if not words or not all(word.isdecimal() for word in words) or int(words[0]) != len(words) - 1:
            raise KDError(
                f"line {number} of '{file}' is not a count and so many item ids: is it CiteULike's users.dat?"
            )
        libraries.append([int(word) for word in words[1:]])
    return libraries


def read_ratings(file: str | Path) -> list[tuple[int, int, int]]:
    """(user, item, rating) of each line of a ratings.dat. Raises KDError: another kind of line."""
    ratings = []
    for number, line in enumerate(_lines(file), 1):
        words = line.split("::")
        if len(words) != 4 or not all(word.isdecimal() for word in words):
            raise KDError(
                f"line {number} of '{file}' is not user::item::rating::timestamp: is it MovieLens-1M's ratings.dat?"
            )
        ratings.append((int(words[0]), int(words[1]), int(words[2])))
    return ratings


def _lines(file):
    try:
        lines = Path(file).read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise KDError(f"'{file}' cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise KDError(f"'{file}' is no text: unpack it first") from error
    if not lines:
        raise KDError(f"'{file}' is empty")
    return lines


def number_items(libraries: list, least: int = LEAST_ITEMS) -> list:
    """Users with enough items, numbered from 0 in the file's order; their items from 0 in the order of their ids."""
    large = [items for items in libraries if len(items) >= least]
    place = {item: number for number, item in enumerate(sorted({item for items in large for item in items}))}
    return [[place[item] for item in items] for items in large]


def file_order_parts(libraries: list[list[int]]) -> tuple[list, list, list]:
    """Each user's items in the file's order: the first eight tenths (one at least) train, the next tenth valid, the
    rest test. Returns three lists of pairs.
    """
    parts = [], [], []
    for user, items in enumerate(libraries):
        train = max(1, 8 * len(items) // 10)
        ends = [0, train, max(train, 9 * len(items) // 10), len(items)]
        for part, (first, last) in zip(parts, itertools.pairwise(ends), strict=True):
            part += [(user, item) for item in items[first:last]]
    return parts


def liked(ratings: list, least: int = LEAST_RATING) -> list[tuple[int, int]]:
    """The pairs that are rated well enough, in the file's order, under their own ids."""
    return [(user, item) for user, item, rating in ratings if rating >= least]


def sum_of_pairs(pairs: list[tuple[int, int]]) -> str:
    """A checksum of which users have which items in common, whatever the items are called and the rows' order.

    Users count by the order of their numbers; an item is the list of its users.
    """
    place = {user: number for number, user in enumerate(sorted({user for user, _ in pairs}))}
    users = defaultdict(list)
    for user, item in pairs:
        users[item].append(place[user])
    items = sorted(" ".join(map(str, sorted(pair_users))) for pair_users in users.values())
    return hashlib.sha256("\n".join(items).encode()).hexdigest()


def citeulike(file: str | Path) -> dict[str, tuple[bytes, str]]:
    """The files of both CiteULike datasets: name to (content, checksum)."""
    parts = file_order_parts(number_items(read_users(file)))
    # part after part, not user after user: RecBole's random split depends on the order of the rows
    files = {"citeulike.inter": [pair for part in parts for pair in part]}
    for name, part in zip(("train", "valid", "test"), parts, strict=True):
        files[f"citeulike-fileorder.{name}.inter"] = part
    contents = {name: _content(pairs) for name, pairs in files.items()}
    return {name: (content, hashlib.sha256(content).hexdigest()) for name, content in contents.items()}


def movielens(file: str | Path) -> dict[str, tuple[bytes, str]]:
    """The file of ml-1m: name to (content, checksum)."""
    pairs = liked(read_ratings(file))
    return {"ml-1m.inter": (_content(pairs), sum_of_pairs(pairs))}


def _content(pairs):
    return (HEAD + "".join(f"{user}\t{item}\n" for user, item in pairs)).encode()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--citeulike", help="CiteULike-t's users.dat")
    parser.add_argument("--ml-1m", help="MovieLens-1M's ratings.dat")
    parser.add_argument("--output", default="data", help="the folder for the datasets' folders")
    options = parser.parse_args(argv)
    if not (options.citeulike or options.ml_1m):
        parser.error("name a file: --citeulike=users.dat or --ml-1m=ratings.dat")
    try:
        files = {
            **(citeulike(options.citeulike) if options.citeulike else {}),
            **(movielens(options.ml_1m) if options.ml_1m else {}),
        }
    except KDError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    equal = True
    for name, (content, checksum) in files.items():
        target = Path(options.output) / name.partition(".")[0] / name
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(target, content)
        same = checksum == SUMS[name]
        equal &= same
        print(
            f"{target}: {content.count(10) - 1:,} rows, {'equal' if same else 'NOT equal'} to the benchmarks' "
            f"({checksum})"
        )
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
