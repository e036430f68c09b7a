"""What the names of a run's files show of the attempt that writes them, looked at from outside."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CHECKPOINT = re.compile(r"^e(\d+)/checkpoints/step-(\d+)/(.+)$")


@dataclass(frozen=True)
class Sight:
    """One look; ``own`` is of the attempt under way, whose epoch is known."""

    whole: int = 0
    """Furthest step that is safe, whichever attempt did it."""
    own_whole: int = 0
    own_torn: int = 0
    """The step of a checkpoint that is being written; 0: none is."""
    own_adapter: bool = False
    own_answers: bool = False
    checkpoints: int = 0
    manifest: bool = False
    generation: bool = False

    @property
    def is_trained(self) -> bool:
        """Whether the adapter is published, or being so."""
        return self.manifest or self.own_adapter


def look(folder: Path, epoch: int) -> Sight:
    """At the folder of a run; ``epoch`` is that of the attempt under way."""
    walk = os.walk(folder)  # which does not mind that a server removes folders meanwhile
    paths = (Path(at, name) for at, _, names in walk for name in names)
    return seen([path.relative_to(folder).as_posix() for path in paths], epoch)


def seen(names: Iterable[str], epoch: int) -> Sight:
    """The same from names."""
    names = list(names)
    parts = [(int(m[1]), int(m[2]), m[3]) for m in map(CHECKPOINT.match, names) if m]
    whole = {(at, step) for at, step, name in parts if name == "manifest.json"}
    own = f"e{epoch}/"
    done = max((step for at, step in whole if at == epoch), default=0)
    begun = max((step for at, step, _ in parts if at == epoch), default=0)
    return Sight(
        whole=max((step for _, step in whole), default=0),
        own_whole=done,
        own_torn=begun if begun > done else 0,
        own_adapter=any(name.startswith(f"{own}adapter/") for name in names),
        own_answers=any(
            name.startswith(f"{own}answers/") and name.endswith("/answers.jsonl") for name in names
        ),
        checkpoints=len(parts),
        manifest="manifest.json" in names,
        generation=any(name.startswith("generations/") for name in names),
    )
