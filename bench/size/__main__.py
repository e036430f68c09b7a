"""How many rows can be prepared, how fast, and in how much memory? The real stage on made rows.

Makes the rows (the same for the same seed), then runs, each as its own process: a plain loop of
the same tokenizer, which is the lower bound; ``python -m trainer prepare``; the search for planted
near copies; and from S3 also the download alone, on a real server. Prints Markdown and, with
--json, the same for machines; exits with 1 when a promise is not kept.
Usage: PYTHONPATH=.:tests python -m bench.size [--rows N]... [--source file|s3] [--seed S]
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from tempfile import TemporaryDirectory

from builders.requests import a_request, a_spec
from cluster.s3server import s3_server

from bench.scale.table import Line, table
from bench.size.rows import write_rows
from bench.size.watched import MB, Cost, watched
from trainer.contract import request as contract
from trainer.contract.request import request_environment

ROWS = 1_000_000
PROMISED_S, PROMISED_MB, PROMISED_SHARE, PROMISED_MB_PER_S = 600, 1000, 0.95, 100
BUCKET, KEY = "data", "train.jsonl"


def main() -> int:
    """Measure and print; 1 when a promise is not kept."""
    told = arguments()
    lines: list[Line] = []
    for rows in told.rows or [ROWS]:
        with TemporaryDirectory(prefix="bench-size-", dir=told.work) as root:
            lines += measure(Path(root), rows, told)
    sys.stdout.write(table(lines))
    if told.json:
        told.json.write_text(json.dumps([line.as_json() for line in lines], indent=1) + "\n")
    return 0 if all(line.is_kept for line in lines) else 1


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="bench.size", description=__doc__)
    parser.add_argument("--rows", type=int, action="append", help=f"may be repeated; none: {ROWS}")
    parser.add_argument("--source", choices=("file", "s3"), default="file")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--base", type=Path, default=Path("examples/quickstart/build/base"))
    parser.add_argument("--work", type=Path, help="scratch space, where rows are kept")
    parser.add_argument("--skip", nargs="*", default=[], choices=("plain", "near"))
    parser.add_argument("--json", type=Path, help="a file")
    return parser.parse_args()


def measure(root: Path, rows: int, told: argparse.Namespace) -> Iterator[Line]:
    """Every figure of one size."""
    base = told.base.resolve()
    (root / "base").symlink_to(base)
    path, planted = made_rows(told.work or root, rows, base, told.seed)
    say(f"{rows} rows, {path.stat().st_size / MB:.0f} MB")
    bound = None if "plain" in told.skip else run("bench.size.plain", str(path), str(base))
    if bound is not None:
        yield from cost_lines(rows, "plain loop of the tokenizer", bound)
    if "near" not in told.skip:
        yield from near_lines(root, rows, path, planted)
    if told.source == "s3":
        yield from from_s3(root, rows, path)
    else:
        yield from prepared(root, rows, f"file://{path}", {})


def made_rows(folder: Path, rows: int, base: Path, seed: int) -> tuple[Path, Path]:
    """The rows and what was planted; those that an earlier bench left there are taken."""
    path, planted = (folder / f"rows-{rows}-{seed}.{end}" for end in ("jsonl", "planted.json"))
    if not planted.exists():
        copies = write_rows(path, rows, tokenizer=base / "tokenizer.json", seed=seed)
        planted.write_text(json.dumps([astuple(copy) for copy in copies]))
    return path, planted


def prepared(root: Path, rows: int, uri: str, env: dict[str, str]) -> Iterator[Line]:
    """The real stage."""
    spec = a_spec(root, dataset={"train": {"uri": uri}})
    environ = {
        **request_environment(a_request(root, spec=spec)),
        contract.WORK_ENV: str(root / "work"),
        contract.CACHE_ENV: str(root / "cache"),
        contract.FILE_ROOT_ENV: "/",
        contract.OUTCOME_ENV: str(root / "outcome"),
        contract.LISTEN_ENV: "127.0.0.1:0",
        **env,
    }
    cost = run("trainer", "prepare", env=environ)
    said = json.loads((root / "outcome").read_text().splitlines()[1])["data"]
    per_row = said["tokens"] / said["trainRows"]
    note = f"{per_row:.0f} tokens a row, {said.get('nearDuplicateRows', 0)} near duplicates"
    promise = PROMISED_S * rows / ROWS if rows >= ROWS else None
    yield from cost_lines(rows, f"prepare from {uri.partition(':')[0]}", cost, promise, note)
    shutil.rmtree(root / "work", ignore_errors=True)


def cost_lines(
    rows: int, what: str, cost: Cost, promise_s: float | None = None, note: str = ""
) -> Iterator[Line]:
    """Wall, CPU and memory of one program."""
    is_ours = what.startswith("prepare")
    yield Line(f"{rows}: {what}, wall", promise_s, cost.wall_s, "s", f"load {cost.load:.1f}")
    yield Line(f"{rows}: {what}, CPU", None, cost.cpu_s, "s", note)
    limit = PROMISED_MB if is_ours else None
    own = f"{cost.own_mb:.0f} MB without pages of files"
    yield Line(f"{rows}: {what}, peak memory", limit, cost.peak_mb, "MB", own)


def near_lines(root: Path, rows: int, path: Path, planted: Path) -> Iterator[Line]:
    """Recall and precision of the search for near copies."""
    result = root / "near.json"
    cost = run("bench.size.near", str(path), str(planted), str(result))
    found = json.loads(result.read_bytes())
    note = ", ".join(f"{name} {found[name]:.3f}" for name in found if name.startswith("found at"))
    for name in ("recall", "precision"):
        missed = 100 * (1 - found[name])
        what = f"{rows}: near copies, {name} below 100 %"
        yield Line(what, 100 * (1 - PROMISED_SHARE), missed, "points", note)
        note = f"{found['found']} found, {found['planted']} planted at 0.8 or more"
    yield from cost_lines(rows, "reading and search for near copies", cost)


def from_s3(root: Path, rows: int, path: Path) -> Iterator[Line]:
    """The download alone, then the stage, from a server on this machine."""
    with s3_server(root / "s3") as server:
        ada = server.user("ada")
        server.bucket(BUCKET, ada)
        env = {**ada.environ(), "AWS_ENDPOINT_URL": server.url}
        yield from transfer_lines(root, rows, path, env)
        yield from prepared(root, rows, f"s3://{BUCKET}/{KEY}", env)


def transfer_lines(root: Path, rows: int, path: Path, env: dict[str, str]) -> Iterator[Line]:
    """How fast the trainer's store writes and reads; beside it one stream of botocore's own."""
    size_mb = path.stat().st_size / MB
    with set_in_environment(env):
        from trainer.contract.source import Storage  # noqa: PLC0415 - the bench's own process
        from trainer.store.open import open_store  # noqa: PLC0415

        store = open_store(f"s3://{BUCKET}", Storage(), file_root=root, role="dataset")
        put_s = seconds(lambda: store.upload(path, KEY))
        stream_s = seconds(lambda: sum(map(len, store.stream(KEY))))
        get_s = seconds(lambda: store.download(KEY, root / "downloaded"))
    (root / "downloaded").unlink()
    what, load = f"{rows}: {size_mb:.0f} MB", f"load {os.getloadavg()[0]:.1f}"
    yield Line(f"{what} to S3", None, put_s, "s", f"{size_mb / put_s:.0f} MB/s")
    yield Line(
        f"{what} from S3 in one stream", None, stream_s, "s", f"{size_mb / stream_s:.0f} MB/s"
    )
    note = f"{size_mb / get_s:.0f} MB/s; the server has the same two cores, {load}"
    yield Line(f"{what} from S3 to disk", size_mb / PROMISED_MB_PER_S, get_s, "s", note)


def seconds(work: Callable[[], object]) -> float:
    """How long it took."""
    started_s = time.monotonic()
    work()
    return time.monotonic() - started_s


@contextmanager
def set_in_environment(values: dict[str, str]) -> Iterator[None]:
    """Variables of this process, while the block runs."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def run(module: str, *words: str, env: dict[str, str] | None = None) -> Cost:
    """A module as a program."""
    cost = watched([sys.executable, "-m", module, *words], env or {})
    say(f"{module}: {cost.wall_s:.1f} s, {cost.cpu_s:.1f} CPU s, {cost.peak_mb:.0f} MB")
    return cost


def say(text: str) -> None:
    """Tell the person who waits."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
