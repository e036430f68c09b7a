"""TRL's side: SFTTrainer with the same rows, adapter, optimizer and losses.

    python -m bench.trainer.peer WORK.json

It runs in the environment that `make bench-trainer` makes for it.
"""

import os
import sys
import tempfile

from datasets import Dataset, disable_progress_bars
from transformers import AutoTokenizer, TrainerCallback
from transformers.utils import logging
from trl import SFTConfig, SFTTrainer

from bench.trainer.side import (
    LEARNING_RATE,
    MAX_GRAD_NORM,
    SEED,
    Pulpit,
    Start,
    Turn,
    Work,
    model_of,
    peak_bytes,
    resident_bytes,
)

PACK_TOKENS = 512


class Turns(TrainerCallback):
    """Steps when told to; the loss of a step comes with its log line, after its time is taken."""

    def __init__(self, pulpit: Pulpit) -> None:
        self.pulpit = pulpit
        self.taken: dict[str, float] = {}

    def on_step_begin(self, *_: object, **__: object) -> None:
        """Wait for the turn."""
        self.pulpit.wait()
        self.turn = Turn()

    def on_step_end(self, *_: object, **__: object) -> None:
        """The optimizer has stepped."""
        self.taken = self.turn.seconds()

    def on_log(self, *_: object, logs: dict[str, float], **__: object) -> None:
        """Pass the step's loss on."""
        if "loss" in logs:
            self.pulpit.say(loss=float(logs["loss"]), **self.taken)


def settings(work: Work, folder: str) -> SFTConfig:
    """As fast as SFTTrainer goes on a CPU; its own progress bar and reports are off."""
    return SFTConfig(
        output_dir=folder,
        max_steps=work.steps,
        per_device_train_batch_size=work.batch,
        gradient_accumulation_steps=work.accumulation,
        gradient_checkpointing=work.checkpointing,
        packing=work.packing,
        packing_strategy="bfd",
        max_length=PACK_TOKENS,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        warmup_steps=0,
        weight_decay=0.0,
        max_grad_norm=MAX_GRAD_NORM,
        optim="adamw_torch_fused",
        bf16=False,
        use_cpu=True,
        seed=SEED,
        train_sampling_strategy="sequential",
        completion_only_loss=True,
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        dataloader_num_workers=0,
    )


def dataset(work: Work) -> Dataset:
    """Token ids, and which of them carry loss."""
    masks = []
    for ids, at in work.rows:
        wanted = set(at)
        masks.append([int(place in wanted) for place in range(len(ids))])
    return Dataset.from_dict({"input_ids": [ids for ids, _ in work.rows], "completion_mask": masks})


def plan(work: Work, trained: Dataset) -> list[list[int]]:
    """Which rows make up each step."""
    known = {tuple(ids): number for number, (ids, _) in enumerate(work.rows)}
    members = []
    for each in trained:
        ids, start, rows = each["input_ids"], 0, []
        for length in each.get("seq_lengths") or [len(ids)]:
            rows.append(known[tuple(ids[start : start + length])])
            start += length
        members.append(rows)
    size = work.batch * work.accumulation
    parts = [members[at * size : (at + 1) * size] for at in range(work.steps)]
    return [[row for rows in part for row in rows] for part in parts]


def main(path: str) -> None:
    """Train, a step at each turn."""
    pulpit, work, start = Pulpit(), Work.read(path), Start()
    start.ends("imports")
    logging.set_verbosity_error()
    disable_progress_bars()
    model = model_of(work)
    start.ends("load")
    loaded = resident_bytes()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        trainer = SFTTrainer(
            model=model,
            args=settings(work, folder),
            train_dataset=dataset(work),
            processing_class=AutoTokenizer.from_pretrained(work.base),
            callbacks=[Turns(pulpit)],
        )
        start.ends("plan")
        steps = plan(work, trainer.train_dataset)
        pulpit.say(loaded_bytes=loaded, plan=steps, start=start.parts)
        trainer.train()
    pulpit.say(peak_bytes=peak_bytes())


if __name__ == "__main__":
    main(sys.argv[1])
