"""The second pass: rows become tokens under the real tokenizer and template, and are written."""

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.ahead import ahead
from trainer.data.chat import Piece, RenderedRow, Renderer, TemplateRefusal, TrainOn, shorten
from trainer.data.duplicates import Mask
from trainer.data.message import Message, offered, tools_of
from trainer.data.prepared import SPLITS, PreparedRow, RowWriter
from trainer.data.problems import Fault, Problems
from trainer.data.split import TRAIN, Codes
from trainer.data.spool import Keys, Spool, SpooledRow, members
from trainer.data.template import RENDER_LIMIT_S, time_limit

BATCH_ROWS = 256
NOT_SHOWN = "which the chat template of the base model leaves out"


@dataclass(frozen=True)
class Rendering:
    """How rows become tokens."""

    renderer: Renderer
    instruction: str
    labels: Sequence[str]
    train_on: TrainOn
    max_tokens: int

    def prompt(self, messages: Sequence[Message]) -> list[Message]:
        """The prompt as every arm sees it: instruction, the row's own system text, the labels."""
        own = [turn["content"] for turn in messages[:1] if turn["role"] == "system"]
        text = "\n\n".join(part for part in (self.instruction, *own) if part)
        if self.labels and not all(label in text for label in self.labels):
            text = "\n\n".join(part for part in (text, label_text(self.labels)) if part)
        system = [Message(role="system", content=text)] if text else []
        return offered([*system, *messages[len(own) :]], tools_of(messages))

    def reference(self, prompt: Sequence[Message], answer: Message) -> str:
        """The answer to meet, as text: what a model would have to generate."""
        if "tool_calls" not in answer:
            return answer["content"]
        return self.renderer.answer_text([*prompt, answer])

    def pieces(self, messages: Sequence[Message]) -> list[Piece] | Fault:
        """A conversation as text, or why it cannot be learnt from."""
        unfit = self._unfit(messages)
        if unfit is not None:
            return unfit
        try:
            with time_limit(RENDER_LIMIT_S):
                return self.renderer.pieces(messages, self.train_on)
        except TemplateRefusal as error:
            return Fault("", f"{error}; change the row's roles or order, or remove it"[:300])

    def row(self, pieces: Sequence[Piece], ids: Sequence[Sequence[int]]) -> RenderedRow | Fault:
        """Its tokens put together, or why it cannot be learnt from."""
        row = shorten(self.renderer.joined(pieces, ids, self.train_on), self.max_tokens)
        return row if supervised_count(row) else self._unsupervised(row)

    def _unfit(self, messages: Sequence[Message]) -> Fault | None:
        """What the template would leave out without a word."""
        template = self.renderer.template
        if tools_of(messages) and not (template and template.takes_tools):
            return Fault("tools", f"has tools, {NOT_SHOWN}; remove the column")
        has_calls = any("tool_calls" in each for each in messages)
        if has_calls and not (template and template.takes_calls):
            return Fault("", f"has tool calls, {NOT_SHOWN}; write them as content")
        return None

    def _unsupervised(self, row: RenderedRow) -> Fault:
        if row.truncated:
            message = (
                f"has its answer beyond {self.max_tokens} tokens, nothing of it is left; raise "
                f"training.maxSequenceTokens, or shorten the prompt"
            )
            return Fault("", message)
        return Fault(
            "", "has no answer to learn: every weight is 0; set one to 1, or remove the row"
        )


def label_text(labels: Sequence[str]) -> str:
    """The closed set of answers, as every arm is told."""
    listed = "\n".join(f"- {label}" for label in labels)
    return f"Answer with exactly one of these, and nothing else:\n{listed}"


def supervised_count(row: RenderedRow) -> int:
    """Tokens that carry loss; the first of a row never does, nothing predicts it."""
    return sum(end - max(start, 1) for start, end in row.spans if end > max(start, 1))


@dataclass
class TokenCounts:
    """What the pass measured, mostly of the training split."""

    train_tokens: int = 0
    longest_row: int = 0
    longest_prompt: int = 0
    supervised: int = 0
    truncated: int = 0
    answers: "array[int]" = field(default_factory=lambda: array("I"))
    rows: dict[str, int] = field(default_factory=dict)

    def add(self, row: RenderedRow, *, is_train: bool) -> None:
        """Count one row."""
        self.truncated += row.truncated
        if not is_train:
            return
        self.train_tokens += len(row.input_ids)
        self.longest_row = max(self.longest_row, len(row.input_ids))
        self.supervised += supervised_count(row)
        self.answers.append(row.answer_tokens)


def tokenise(
    spool: Spool,
    *,
    codes: Codes,
    keep: Mask,
    rendering: Rendering,
    directory: Path,
    problems: Problems,
    on_rows: Callable[[int], None],
) -> TokenCounts:
    """Write train.arrow, validation.arrow and test.arrow; rows that fail are noted.

    ``on_rows`` hears of every batch and may raise to stop.
    """
    counts = TokenCounts()
    writers = {name: RowWriter(directory / f"{name}.arrow") for name in SPLITS}
    names = RowNames.of(spool)
    encoded = partial(encode, rendering.renderer)
    for batch in ahead(encoded, batches(spool, keep, rendering, problems)):
        for each, ids in batch:
            row, found = each.row, rendering.row(each.pieces, ids)
            if isinstance(found, Fault):
                problems.add(row.place, found)
                continue
            code = int(codes[row.index])
            counts.add(found, is_train=code == TRAIN)
            group = f"{spool.groups[row.index]:016x}"
            writers[SPLITS[code]].append(
                as_prepared(
                    each.prompt,
                    found,
                    name=row.id or names.of_row(row.index),
                    group=group,
                    reference=rendering.reference(each.prompt, row.answer),
                )
            )
        on_rows(len(batch))
    for name, writer in writers.items():
        writer.close()
        counts.rows[name] = writer.count
    return counts


@dataclass(frozen=True, slots=True)
class TextRow:
    """A row as text, cut where its answers begin and end."""

    row: SpooledRow
    prompt: Sequence[Message]
    pieces: Sequence[Piece]


def batches(
    spool: Spool, keep: Mask, rendering: Rendering, problems: Problems
) -> Iterator[list[TextRow]]:
    """The kept rows as text, some at a time; those that the template refuses are noted."""
    rows = (spool.row(index) for index in members(keep))
    while batch := list(islice(rows, BATCH_ROWS)):
        texts = []
        for row in batch:
            prompt = rendering.prompt(row.prompt)
            pieces = rendering.pieces([*prompt, row.answer])
            if isinstance(pieces, Fault):
                problems.add(row.place, pieces)
            else:
                texts.append(TextRow(row, prompt, pieces))
        yield texts


def encode(
    renderer: Renderer, batch: Sequence[TextRow]
) -> list[tuple[TextRow, Sequence[Sequence[int]]]]:
    """A batch with the tokens of its pieces; the tokenizer lets go of the interpreter's lock."""
    return list(zip(batch, renderer.encoded([each.pieces for each in batch]), strict=True))


@dataclass(frozen=True)
class RowNames:
    """Names for rows without ids: from what they say, so that new rows rename none."""

    keys: Keys
    numbers: NDArray[np.int32]
    """How many rows have said the same by then."""

    @classmethod
    def of(cls, spool: Spool) -> "RowNames":
        """Names for all rows."""
        keys = spool.digest_table()[:, :8].copy().view(">u8").reshape(-1).astype(np.uint64)
        order, at = np.argsort(keys, kind="stable"), np.arange(len(keys))
        is_first = np.concatenate([[True], np.diff(keys[order]) != 0])
        numbers = np.empty(len(keys), np.int32)
        numbers[order] = at - np.maximum.accumulate(np.where(is_first, at, 0)) + 1
        return cls(keys, numbers)

    def of_row(self, row: int) -> str:
        """The name of one row."""
        number = self.numbers[row]
        return f"{self.keys[row]:016x}" + (f"-{number}" if number > 1 else "")


def as_prepared(
    prompt: Sequence[Message], rendered: RenderedRow, *, name: str, group: str, reference: str
) -> PreparedRow:
    """A row as train and judge read it."""
    return PreparedRow(
        id=name,
        group=group,
        prompt=prompt,
        reference=reference,
        input_ids=np.asarray(rendered.input_ids, np.int32),
        spans=rendered.spans,
    )
