"""Fields of the API that this release refuses by name: a later one makes them work.

One table. A refused field has a value that asks for something; its default is never refused.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from controller.api.finetunejob import FineTuneJobSpec
from controller.api.identity import written
from controller.api.memo import of_newest

Asks = Callable[[Any], bool]

NOT_YET = "is not supported in this release"


@dataclass(frozen=True)
class Refusal:
    """One row."""

    path: str
    asks: Asks
    remedy: str
    values: str = ""
    """Which values are refused, for the docs; empty: any."""


def _as(path: str, words: str, remedy: str) -> Refusal:
    return Refusal(path, lambda value: value in words.split(), remedy, ", ".join(words.split()))


def _several(path: str, remedy: str) -> Refusal:
    return Refusal(path, lambda value: isinstance(value, int) and value > 1, remedy, "more than 1")


REFUSALS: tuple[Refusal, ...] = (
    _as("method", "DPO", "use SFT"),
    _as("dataset.format", "Preference Text", "use Chat or PromptCompletion"),
    _as("quantization", "NF4", "use None"),
    _as("retrain.warmStart", "Adapter", "use None"),
    _several("compute.nodes", "use 1"),
)
"""Of a FineTuneJob, by path below ``spec``, in the order of the spec."""


@of_newest
def unsupported(spec: FineTuneJobSpec) -> list[str]:
    """What this release refuses of a spec: one sentence each, with its field."""
    return [f"spec.{path}: {message}" for path, message in refused(written(spec))]


def refused(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Path and message of every refused field of a spec as it is written."""
    for row in REFUSALS:
        value = _at(spec, row.path)
        if row.asks(value):
            yield row.path, f"{_shown(value)}{NOT_YET}; {row.remedy}"


def _at(spec: Any, path: str) -> Any:  # noqa: ANN401 - any JSON value
    for name in path.split("."):
        spec = spec.get(name) if isinstance(spec, Mapping) else None
    return spec


def _shown(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Scalars only; a section says nothing that its name does not."""
    return f"{value} " if isinstance(value, str | int) else ""
