"""The FastAPI example under load on loopback: requests a second, p50, p99 and errors.

    pip install fastapi uvicorn
    python -m benchmarks.serving.load_test --bundle=bundle --result_file=benchmarks/serving/results/load-test.json

Beside the bundle there are synthetic ones of 10,000 users and 2,000, 20,000 and 100,000 items of width 20. One uvicorn
process with one thread answers GET /recommend/USER?k=10. The client, in a process of its own, keeps --connections
connections open and sends the next request on each when the last one is answered, for random users. Both share the
machine's cores.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import numpy as np

from benchmarks.command import command_line, environment
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.serving import reader

ROOT = Path(__file__).resolve().parents[2]
SIZES, USERS, WIDTH, SEEN = (2_000, 20_000, 100_000), 10_000, 20, 30


def write_synthetic(folder: Path, items: int) -> Path:
    """A bundle of random vectors."""
    draw = np.random.default_rng(0)
    folder.mkdir()
    sides = {"user": USERS, "item": items}
    vectors = {f"{side}_vectors": draw.normal(size=(n, WIDTH)).astype(np.float32) for side, n in sides.items()}
    np.savez(folder / "vectors.npz", **vectors)
    seen = draw.integers(items, size=USERS * SEEN).astype(np.int32)
    np.savez(folder / "seen.npz", seen_starts=np.arange(USERS + 1) * SEEN, seen_items=seen)
    for side, n in sides.items():
        (folder / f"{side}s.txt").write_text("".join(f"{side[0]}{row}\n" for row in range(n)))
    (folder / "model.json").write_text(json.dumps({"model": "random", "dataset": f"{items} items"}))
    (folder / "reader.py").write_bytes(Path(reader.__file__).read_bytes())
    return folder


def start_server(bundle: Path, port: int) -> subprocess.Popen:
    """The example over a bundle, answering."""
    command = [sys.executable, "-m", "uvicorn", "serve_fastapi:app", "--app-dir", str(ROOT / "examples")]
    command += ["--port", str(port), "--log-level", "error", "--no-access-log"]
    server = subprocess.Popen(command, env=os.environ | {"BUNDLE": str(bundle), "OMP_NUM_THREADS": "1"})
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server
        if server.poll() is not None:
            break
        time.sleep(0.1)
    server.kill()
    raise SystemExit("the server did not start: pip install fastapi uvicorn")


async def ask(port: int, users: list[str], until: float, times: list[float]) -> int:
    """One connection: requests one after the other; returns how many were not answered with 200."""
    stream, writer = await asyncio.open_connection("127.0.0.1", port)
    errors = 0
    while time.perf_counter() < until:
        path = f"/recommend/{quote(random.choice(users), safe='')}?k=10"
        began = time.perf_counter()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = await stream.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await stream.readexactly(int(length.split(b":")[1]))
        times.append(time.perf_counter() - began)
        errors += not (head.startswith(b"HTTP/1.1 200") and len(json.loads(body)) == 10)
    writer.close()
    return errors


async def load(port: int, users: list[str], connections: int, seconds: float) -> dict:
    """Some connections at once, after a second that is not counted."""
    await asyncio.gather(*(ask(port, users, time.perf_counter() + 1, []) for _ in range(connections)))
    times: list[float] = []
    began = time.perf_counter()
    errors = await asyncio.gather(*(ask(port, users, began + seconds, times) for _ in range(connections)))
    took = time.perf_counter() - began
    return {
        "requests": len(times),
        "requests_per_second": round(len(times) / took, 1),
        **{f"p{level}_ms": round(1000 * float(np.percentile(times, level)), 2) for level in (50, 99)},
        "errors": sum(errors),
    }


def measure(bundle: Path, connections: list[int], seconds: float) -> list[tuple[int, dict]]:
    """The figures of a bundle at each number of connections."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    users = (bundle / "users.txt").read_text(encoding="utf-8").split("\n")[:-1]
    server = start_server(bundle, port)
    try:
        return [(number, asyncio.run(load(port, users, number, seconds))) for number in connections]
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", help="an exported folder")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--result_file", required=True)
    options = parser.parse_args()
    records = []
    with tempfile.TemporaryDirectory() as folder:
        given = [Path(options.bundle).absolute()] if options.bundle else []
        synthetic = [write_synthetic(Path(folder) / str(items), items) for items in SIZES]
        for bundle in [*given, *synthetic]:
            about = json.loads((bundle / "model.json").read_text(encoding="utf-8"))
            for number, values in measure(bundle, options.connections, options.seconds):
                name = f"{about['model']} on {about['dataset']}"
                print(name, number, values, flush=True)
                records.append(make_record(name, None, values, {"connections": number}))
    command = command_line(
        "benchmarks.serving.load_test",
        [*(["--bundle=bundle"] if options.bundle else []), f"--seconds={options.seconds:g}"],
    )
    settings = {"connections": options.connections, "seconds": options.seconds, "width": WIDTH, "users": USERS}
    write_result(options.result_file, make_result("load_test", [command], settings, records, environment()))


if __name__ == "__main__":
    main()
