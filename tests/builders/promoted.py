"""Outputs with promoted adapters, as the train and judge stages leave them."""

import hashlib
import json

from builders.finished import a_base

from trainer.contract.outcome import Promoted
from trainer.contract.verdict import OverfittingResult
from trainer.judge import pointer
from trainer.store import layout
from trainer.store.base import Store
from trainer.store.checked import digest_names
from trainer.store.manifest import BaseBinding, RunManifest, TrainingSummary

OLD_BASE, NEW_BASE = (a_base("sha256:" + digit * 64) for digit in "12")
"""Two revisions of one base model."""


def run_id(number: int) -> str:
    """Sixteen digits."""
    return f"{number:016x}"


def train(store: Store, number: int, *, base: BaseBinding = OLD_BASE, rank: int = 8) -> RunManifest:
    """A trained run: an adapter whose files tell its number, and the manifest."""
    adapter = {
        "adapter_config.json": json.dumps({"r": rank, "peft_type": "LORA"}).encode(),
        "adapter_model.safetensors": f"weights of run {number} ".encode() * 1000,
        "base.json": base.model_dump_json().encode(),
    }
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in adapter.items()}
    for name, data in adapter.items():
        store.write(layout.epoch(run_id(number), 1, f"adapter/{name}"), data)
    manifest = RunManifest(
        run_id=run_id(number),
        epoch=1,
        base=base,
        adapter_digest=digest_names(digests),
        files={f"e1/adapter/{name}": digest for name, digest in digests.items()},
        training=A_TRAINING,
    )
    store.write(layout.manifest(run_id(number)), manifest.model_dump_json().encode())
    return manifest


A_TRAINING = TrainingSummary(
    overfitting=OverfittingResult(best_validation_loss=0.5, steps=2, best_step=2),
    tokens_per_second=200,
    wall_seconds=1,
    gpu_seconds=1,
    trained_tokens=1000,
    trainable_parameters=10,
    precision="FP32",
    peak_memory_bytes=1,
)


def promote(store: Store, manifest: RunManifest) -> str:
    """Move the pointer to the run, as the judge does; returns its adapter's digest."""
    folder = layout.epoch(manifest.run_id, manifest.epoch, "adapter")
    candidate = Promoted(
        run_id=manifest.run_id,
        adapter_uri=f"{store.uri}/{folder}",
        adapter_digest=manifest.adapter_digest,
        base_revision=manifest.base.revision,
        base_digest=manifest.base.content_digest,
        time="2026-11-24T12:00:00Z",
    )
    pointer.move(store, candidate, pointer.read(store))
    return manifest.adapter_digest.removeprefix("sha256:")
