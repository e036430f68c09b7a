"""Our side: the product's own loop, with the steps that TRL's batches make.

python -m bench.trainer.ours WORK.json
"""

import sys
import time

import numpy as np

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
from trainer.model.adapter import base_of, trainable
from trainer.model.heap import map_large_blocks
from trainer.train.corpus import Corpus, corpus_for
from trainer.train.documents import Document
from trainer.train.loop import Training
from trainer.train.optimizer import adamw
from trainer.train.plan import Step
from trainer.train.settings import TrainSettings, micro_tokens
from trainer.train.state import TrainState

SETTINGS = TrainSettings(
    epochs=1,
    max_steps=None,
    batch_tokens=1,
    learning_rate=LEARNING_RATE,
    scheduler="Constant",
    warmup_percent=0,
    weight_decay=0.0,
    max_grad_norm=MAX_GRAD_NORM,
    seed=SEED,
    patience=0,
    min_delta=0.0,
    checkpoint_period_s=3600,
    dropout=0.0,
)


def begun(work: Work, start: Start) -> Training:
    """The training at step 0."""
    model = model_of(work)
    start.ends("load")
    documents = [Document(np.asarray(ids), np.asarray(at)) for ids, at in work.rows]
    train = corpus_for(base_of(model), documents, dropout=0.0)
    return Training(
        model=model,
        settings=SETTINGS,
        train=train,
        validation=Corpus([]),
        steps=[Step(tuple(rows), 1.0) for rows in work.plan],
        optimizer=adamw(trainable(model), weight_decay=0.0),
        state=TrainState(
            fingerprint="",
            precision="FP32",
            device="cpu",
            threads=work.threads,
            micro_tokens=micro_tokens("cpu", train.prefix),
            max_steps=len(work.plan),
        ),
        clock=time.perf_counter,
    )


def main(path: str) -> None:
    """Step when told to."""
    pulpit, work, start = Pulpit(), Work.read(path), Start()
    start.ends("imports")
    map_large_blocks()  # as the train stage does
    training = begun(work, start)
    start.ends("plan")
    pulpit.say(loaded_bytes=resident_bytes(), start=start.parts)
    for _ in work.plan:
        pulpit.wait()
        turn = Turn()
        training.step()
        pulpit.say(loss=training.train_loss, **turn.seconds())
    pulpit.say(peak_bytes=peak_bytes())


if __name__ == "__main__":
    main(sys.argv[1])
