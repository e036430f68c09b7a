"""Checkpoints in the output store: whole or not there, checked before they are trusted.

A checkpoint is its files and then manifest.json, written last, with the sha256 of each.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

import msgspec
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from trainer.store import layout
from trainer.store.base import MissingError, Store
from trainer.train.state import TrainState

KEPT = 2
ADAPTER, BEST, OPTIMIZER = "adapter.safetensors", "best.safetensors", "optimizer.safetensors"
STATE, METRICS, MANIFEST = "state.json", "metrics.jsonl", "manifest.json"
FILES = (ADAPTER, BEST, OPTIMIZER, STATE, METRICS)
_PLACE = re.compile(r"/e(\d+)/checkpoints/step-(\d+)/manifest\.json$")


@dataclass(frozen=True)
class Checkpoint:
    """A training, frozen between two optimizer steps."""

    state: TrainState
    adapter: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    best: Mapping[str, Tensor] = field(default_factory=dict)
    metrics: bytes = b""


@dataclass(frozen=True, order=True)
class _Place:
    """Ordered by progress: a later step is more work done, whichever attempt did it."""

    step: int
    epoch: int

    def key(self, run_id: str, name: str) -> str:
        return layout.epoch(run_id, self.epoch, f"checkpoints/step-{self.step:08d}/{name}")


def write_checkpoint(store: Store, run_id: str, epoch: int, checkpoint: Checkpoint) -> None:
    """Store a checkpoint, then remove all but ``KEPT``: the furthest of the newest attempt first.

    What an earlier attempt left may be further and damaged: this attempt passed it over.
    """
    place = _Place(checkpoint.state.step, epoch)
    files = _encode(checkpoint)
    for name, data in files.items():
        store.write(place.key(run_id, name), data)
    digests = {name: sha256(data).hexdigest() for name, data in files.items()}
    store.write(place.key(run_id, MANIFEST), msgspec.json.encode(digests))
    newest_first = sorted(_places(store, run_id), key=lambda at: (at.epoch, at.step), reverse=True)
    for old in newest_first[KEPT:]:
        _remove(store, run_id, old)


def newest_checkpoint(
    store: Store, run_id: str, *, fingerprint: str
) -> tuple[Checkpoint | None, list[str]]:
    """The furthest checkpoint of any attempt that is whole and of this training, and notes.

    The notes name each checkpoint that was passed over, and why.
    """
    notes: list[str] = []
    for place in _places(store, run_id):
        checkpoint, problem = _read(store, run_id, place)
        if checkpoint is not None and checkpoint.state.fingerprint == fingerprint:
            return checkpoint, notes
        problem = problem or "belongs to other settings or data"
        notes.append(f"The checkpoint of step {place.step} {problem}; it was not used.")
    return None, notes


def has_checkpoint(store: Store, run_id: str) -> bool:
    """Whether an attempt has left one, be it usable or not."""
    return bool(_places(store, run_id))


def keep_until(store: Store, run_id: str, step: int, *, fingerprint: str) -> int:
    """Remove this training's checkpoints after a step; returns the step of the newest left, or 0.

    Those of other settings or data are none of its business.
    """
    for place in _places(store, run_id):
        checkpoint, _ = _read(store, run_id, place) if place.step > step else (None, "")
        if checkpoint is not None and checkpoint.state.fingerprint == fingerprint:
            _remove(store, run_id, place)
    left, _ = newest_checkpoint(store, run_id, fingerprint=fingerprint)
    return left.state.step if left is not None else 0


def remove_checkpoints(store: Store, run_id: str) -> None:
    """Remove every checkpoint of a run, of all attempts; for when its result is published."""
    keys = [entry.key for entry in store.list(layout.run(run_id, "e"))]
    store.delete_all(key for key in keys if "/checkpoints/" in key)


def _places(store: Store, run_id: str) -> list[_Place]:
    """Furthest first."""
    found = (_PLACE.search(entry.key) for entry in store.list(layout.run(run_id, "e")))
    return sorted((_Place(int(m[2]), int(m[1])) for m in found if m), reverse=True)


def _remove(store: Store, run_id: str, place: _Place) -> None:
    """The manifest goes first, so that half a checkpoint never looks whole."""
    store.delete(place.key(run_id, MANIFEST))
    for entry in list(store.list(place.key(run_id, ""))):
        store.delete(entry.key)


def _read(store: Store, run_id: str, place: _Place) -> tuple[Checkpoint | None, str]:
    try:
        manifest = msgspec.json.decode(store.read(place.key(run_id, MANIFEST)), type=dict[str, str])
        files = dict(_read_files(store, run_id, place, manifest))
        return _decode(files), ""
    except MissingError:
        return None, "is not complete"
    except (msgspec.MsgspecError, ValidationError, SafetensorError, KeyError):
        return None, "cannot be read"
    except _ChangedError:
        return None, "is not what was written"


class _ChangedError(Exception):
    """A file's digest is not the manifest's."""


def _read_files(
    store: Store, run_id: str, place: _Place, manifest: Mapping[str, str]
) -> Iterator[tuple[str, bytes]]:
    for name in FILES:
        data = store.read(place.key(run_id, name))
        if sha256(data).hexdigest() != manifest[name]:
            raise _ChangedError
        yield name, data


def _encode(checkpoint: Checkpoint) -> dict[str, bytes]:
    return {
        ADAPTER: save(dict(checkpoint.adapter)),
        BEST: save(dict(checkpoint.best)),
        OPTIMIZER: save(dict(checkpoint.optimizer)),
        STATE: checkpoint.state.model_dump_json().encode(),
        METRICS: checkpoint.metrics,
    }


def _decode(files: Mapping[str, bytes]) -> Checkpoint:
    return Checkpoint(
        state=TrainState.model_validate_json(files[STATE]),
        adapter=load(files[ADAPTER]),
        optimizer=load(files[OPTIMIZER]),
        best=load(files[BEST]),
        metrics=files[METRICS],
    )


def rng_state() -> tuple[str, str]:
    """State of torch's generators, CPU and GPU, as hexadecimal text."""
    on_gpu = torch.cuda.get_rng_state() if torch.cuda.is_available() else torch.empty(0)
    states = torch.get_rng_state(), on_gpu.to(torch.uint8)
    return states[0].numpy().tobytes().hex(), states[1].numpy().tobytes().hex()


def restore_rng(state: TrainState) -> None:
    """Set torch's generators to where the checkpoint was taken."""
    torch.set_rng_state(torch.frombuffer(bytearray.fromhex(state.rng), dtype=torch.uint8))
    if state.device_rng and torch.cuda.is_available():
        gpu = torch.frombuffer(bytearray.fromhex(state.device_rng), dtype=torch.uint8)
        torch.cuda.set_rng_state(gpu)
