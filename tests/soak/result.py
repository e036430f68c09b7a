"""What a training leaves, with times taken out; compared byte by byte."""

import json
from collections.abc import Mapping
from pathlib import Path

from builders.ranked import Outpost

TIMES = ("seconds",)
FIGURES = ("overfitting", "trainedTokens", "trainableParameters", "precision")


def result(post: Outpost) -> dict[str, bytes]:
    """The adapter, its metrics and figures, all answers, and how much general text costs."""
    manifest = post.manifest()
    folder = post.folder / f"e{manifest['epoch']}"
    figures = {name: manifest["training"][name] for name in FIGURES}
    return {
        **{f"adapter/{path.name}": path.read_bytes() for path in weights(folder)},
        "metrics.jsonl": without_times(folder / "metrics.jsonl"),
        "figures": json.dumps(figures, sort_keys=True).encode(),
        "answers.jsonl": answers_file(post, "answers.jsonl"),
        "forgetting.json": answers_file(post, "forgetting.json"),
    }


def weights(folder: Path) -> list[Path]:
    """The adapter's files but its card, which tells the time."""
    return sorted(path for path in (folder / "adapter").iterdir() if path.name != "README.md")


def without_times(path: Path) -> bytes:
    """The lines of metrics.jsonl without the seconds."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [{key: line[key] for key in line if key not in TIMES} for line in lines]
    return "\n".join(map(json.dumps, kept)).encode()


def answers_file(post: Outpost, name: str) -> bytes:
    """The one that the answers' manifest vouches for."""
    (path,) = post.folder.glob("generations/*.json")
    manifest = json.loads(path.read_bytes())
    (key,) = (key for key in manifest["files"] if key.endswith(f"/{name}"))
    return (post.folder / key).read_bytes()


def differences(ours: Mapping[str, bytes], theirs: Mapping[str, bytes]) -> list[str]:
    """Names of what is not the same."""
    return sorted(
        name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)
    )


def leftovers(post: Outpost) -> list[str]:
    """Objects of checkpoints that are still there although the adapter is published."""
    found = post.folder.glob("e*/checkpoints/*/[!.]*")
    return sorted(path.relative_to(post.folder).as_posix() for path in found)
