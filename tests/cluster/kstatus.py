"""What kstatus's own Go library makes of objects; Flux and many others decide by it."""

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.assets import binary

TIMEOUT_S = 30


@dataclass(frozen=True)
class Seen:
    """One answer."""

    status: str
    """InProgress, Failed, Current, Terminating, NotFound or Unknown."""
    message: str


def kstatus(objects: Iterable[Mapping[str, Any]]) -> list[Seen]:
    """The answer for each object, in their order.

    Raises:
        AssertionError: the library could not read one of them.
    """
    lines = "".join(json.dumps(each) + "\n" for each in objects)
    ended = subprocess.run(  # noqa: S603 - our own program
        [binary("kstatus")],
        input=lines,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return [Seen(**json.loads(line)) for line in ended.stdout.splitlines()]
