"""The second pass: rows become tokens under the real tokenizer and template, and are written."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from trainer.data.chat import RenderedRow, Renderer, TemplateRefusal, TrainOn
from trainer.data.duplicates import Mask
from trainer.data.message import Message, offered, tools_of
from trainer.data.prepared import SPLITS, PreparedRow, RowWriter
from trainer.data.problems import Fault, Problems
from trainer.data.split import TRAIN, Codes
from trainer.data.spool import Spool, SpooledRow

BATCH_ROWS = 128
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

    def rows(self, conversations: Sequence[Sequence[Message]]) -> list[RenderedRow | Fault]:
        """Each conversation as tokens, or why it cannot be learnt from."""
        unfit = [self._unfit(messages) for messages in conversations]
        pairs = zip(conversations, unfit, strict=True)
        found = iter(self._rendered([messages for messages, fault in pairs if fault is None]))
        return [next(found) if fault is None else fault for fault in unfit]

    def reference(self, prompt: Sequence[Message], answer: Message) -> str:
        """The answer to meet, as text: what a model would have to generate."""
        if "tool_calls" not in answer:
            return answer["content"]
        return self.renderer.answer_text([*prompt, answer])

    def _unfit(self, messages: Sequence[Message]) -> Fault | None:
        """What the template would leave out without a word."""
        template = self.renderer.template
        if tools_of(messages) and not (template and template.takes_tools):
            return Fault("tools", f"has tools, {NOT_SHOWN}; remove the column")
        has_calls = any("tool_calls" in each for each in messages)
        if has_calls and not (template and template.takes_calls):
            return Fault("", f"has tool calls, {NOT_SHOWN}; write them as content")
        return None

    def _rendered(self, conversations: Sequence[Sequence[Message]]) -> list[RenderedRow | Fault]:
        try:
            found = self.renderer.rows(
                conversations, train_on=self.train_on, max_tokens=self.max_tokens
            )
        except TemplateRefusal as error:
            if len(conversations) > 1:
                return [one for each in conversations for one in self._rendered([each])]
            return [Fault("", f"{error}; change the row's roles or order, or remove it"[:300])]
        return [row if supervised_count(row) else self._unsupervised(row) for row in found]

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
    answers: list[int] = field(default_factory=list)
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
    names = row_names(spool)
    for batch in batches(spool, keep):
        prompts = [rendering.prompt(row.prompt) for row in batch]
        found = rendering.rows([[*p, r.answer] for p, r in zip(prompts, batch, strict=True)])
        for row, prompt, rendered in zip(batch, prompts, found, strict=True):
            if isinstance(rendered, Fault):
                problems.add(row.place, rendered)
                continue
            code = int(codes[row.index])
            counts.add(rendered, is_train=code == TRAIN)
            group = f"{spool.groups[row.index]:016x}"
            writers[SPLITS[code]].append(
                as_prepared(
                    prompt,
                    rendered,
                    name=row.id or names[row.index],
                    group=group,
                    reference=rendering.reference(prompt, row.answer),
                )
            )
        on_rows(len(batch))
    for name, writer in writers.items():
        writer.close()
        counts.rows[name] = writer.count
    return counts


def batches(spool: Spool, keep: Mask) -> Iterator[list[SpooledRow]]:
    """The kept rows, some at a time."""
    rows = (spool.row(index) for index in np.flatnonzero(keep).tolist())
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch


def row_names(spool: Spool) -> list[str]:
    """Names for rows without ids: from what they say, so that new rows rename none."""
    seen: dict[bytes, int] = {}
    names = []
    for index in range(len(spool)):
        digest = spool.digest(index)[:8]
        seen[digest] = seen.get(digest, 0) + 1
        names.append(digest.hex() + (f"-{seen[digest]}" if seen[digest] > 1 else ""))
    return names


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
