"""From messages to tokens: what the model reads, and which of it carries loss.

Text is encoded piece by piece, cut where an answer begins and ends, so that training sees exactly
the tokens that generation will: a tokenizer may merge across such a cut when it reads the whole.
Tokenizers that put a space before every piece read the whole and are cut by character offsets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from jinja2 import TemplateError
from tokenizers import Encoding, Tokenizer
from transformers import PreTrainedTokenizerBase

from trainer.contract.failures import FailureClass
from trainer.data.message import Message
from trainer.data.template import ChatTemplate, TemplateRefusal, compile_template
from trainer.data.tokenizer import end_ids, load_tokenizer
from trainer.errors import StageError

__all__ = ["Message", "RenderedRow", "Renderer", "TemplateRefusal", "TrainOn", "load_renderer"]

TrainOn = Literal["Completions", "LastCompletion", "Everything"]
ANSWER_PROBE = "tunekeeper-answer-probe"


@dataclass(frozen=True)
class RenderedRow:
    """A row as tokens; ``spans`` are half-open ranges that carry loss.

    ``answer_tokens`` is the length of the last answer with its end, before any cut.
    """

    input_ids: list[int]
    spans: list[tuple[int, int]]
    truncated: bool = False
    answer_tokens: int = 0


@dataclass(frozen=True)
class Piece:
    """A stretch of text that is an answer with its end, or is not."""

    text: str
    answer: bool


@dataclass(frozen=True)
class Renderer:
    """A base model's tokenizer and template."""

    tokenizer: PreTrainedTokenizerBase
    template: ChatTemplate | None
    stop_ids: frozenset[int]
    end_id: int
    first_ids: tuple[int, ...] = ()
    by_offsets: bool = False

    @property
    def has_template(self) -> bool:
        """False: prompt and answer are joined as plain text."""
        return self.template is not None

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Tokens of a prompt up to where the answer starts."""
        return [*self.first_ids, *self._encode([self.prompt_text(messages)])[0].ids]

    def row(
        self, messages: Sequence[Message], *, train_on: TrainOn, max_tokens: int
    ) -> RenderedRow:
        """A row whose last message is the answer; see ``rows``."""
        return self.rows([messages], train_on=train_on, max_tokens=max_tokens)[0]

    def rows(
        self, conversations: Sequence[Sequence[Message]], *, train_on: TrainOn, max_tokens: int
    ) -> list[RenderedRow]:
        """Conversations as tokens, cut on the right at ``max_tokens``.

        Raises:
            TemplateRefusal: the template does not take one of them.
        """
        cut = [self.pieces(messages, train_on) for messages in conversations]
        return [
            shorten(self.joined(row, ids, train_on), max_tokens)
            for row, ids in zip(cut, self.encoded(cut), strict=True)
        ]

    def encoded(self, cut: Sequence[Sequence[Piece]]) -> list[list[list[int]]]:
        """The tokens of each piece of each row."""
        if self.by_offsets:
            wholes = self._encode(["".join(piece.text for piece in row) for row in cut])
            return [split_by_offsets(*pair) for pair in zip(wholes, cut, strict=True)]
        backend: Tokenizer = self.tokenizer.backend_tokenizer
        texts = [piece.text for row in cut for piece in row]
        encoded = iter(backend.encode_batch_fast(texts, add_special_tokens=False))  # no offsets
        return [[next(encoded).ids for _ in row] for row in cut]

    def text(self, ids: Sequence[int]) -> str:
        """Tokens as text, without special ones."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def answer_text(self, messages: Sequence[Message]) -> str:
        """The last message as a model that gives this answer generates it: calls as text, too."""
        last = self.pieces(messages, "LastCompletion")[-1]
        ids = self._encode([last.text])[0].ids
        return self.text(ids[: self._answer_length(ids)[0]]).strip()

    def prompt_text(self, messages: Sequence[Message]) -> str:
        """The text before the answer."""
        if self.template is None:
            return plain_prompt(messages)
        return self.template.render(messages, for_answer=True)

    def pieces(self, messages: Sequence[Message], train_on: TrainOn) -> list[Piece]:
        """The row's text, cut at its answers."""
        prompt, last = self.prompt_text(messages[:-1]), messages[-1]
        if self.template is None:
            return [Piece(prompt, answer=False), Piece(last["content"], answer=has_weight(last))]
        whole = self.template.render(messages, for_answer=False)
        if not whole.startswith(prompt) and not last["content"].strip():
            raise TemplateRefusal("the chat template does not show where its tool call begins")
        answer = whole[len(prompt) :] if whole.startswith(prompt) else after(whole, last["content"])
        final = Piece(answer, answer=has_weight(last))
        if train_on != "Completions":
            return [Piece(prompt, answer=False), final]
        return [*self._earlier(prompt, messages[:-1]), final]

    def _earlier(self, prompt: str, messages: Sequence[Message]) -> list[Piece]:
        """A prompt cut at the answers that it holds and that the template kept as they were."""
        pieces, done = [], 0
        for at, message in enumerate(messages):
            if message["role"] != "assistant" or not has_weight(message):
                continue
            start, end = self._place(prompt, messages, at)
            if done <= start < end:
                pieces += [
                    Piece(prompt[done:start], answer=False),
                    Piece(prompt[start:end], answer=True),
                ]
                done = end
        return [*pieces, Piece(prompt[done:], answer=False)]

    def _place(self, prompt: str, messages: Sequence[Message], at: int) -> tuple[int, int]:
        """Where answer ``at`` lies in a later prompt; (0, 0): not found as it was rendered."""
        assert self.template is not None  # noqa: S101 - only called with one
        through = self.template.render(messages[: at + 1], for_answer=False)
        opening = self.template.render(messages[:at], for_answer=True)
        if through.startswith(opening) and prompt.startswith(through):
            return len(opening), len(through)
        answer = after(through, messages[at]["content"])
        before = self.template.render(messages[:at], for_answer=False)
        if not prompt.startswith(before):
            return 0, 0
        start = prompt.find(answer, len(before))
        return (start, start + len(answer)) if start >= 0 else (0, 0)

    def joined(
        self, pieces: Sequence[Piece], parts: Sequence[Sequence[int]], train_on: TrainOn
    ) -> RenderedRow:
        """Pieces put together; the end-of-turn token is the last one of an answer that counts."""
        ids, spans = list(self.first_ids), []
        for at, (piece, part) in enumerate(zip(pieces, parts, strict=True)):
            start = len(ids)
            ids += part
            if piece.answer:
                length, ended = self._answer_length(part)
                if not ended and at == len(pieces) - 1:  # nothing else would teach it to stop
                    ids.append(self.end_id)
                    length += 1
                spans.append((start, start + length))
        spans = [(0, len(ids))] if train_on == "Everything" else spans
        return RenderedRow(ids, spans, answer_tokens=self._answer_length(parts[-1])[0])

    def _answer_length(self, part: Sequence[int]) -> tuple[int, bool]:
        """Tokens up to and with the end of the turn, and whether there is one."""
        ends = [at for at, token in enumerate(part) if token in self.stop_ids]
        return (ends[-1] + 1, True) if ends else (len(part), False)

    def _encode(self, texts: list[str]) -> list[Encoding]:
        backend: Tokenizer = self.tokenizer.backend_tokenizer
        return backend.encode_batch(texts, add_special_tokens=False)


def load_renderer(directory: Path, *, template_date: str) -> Renderer:
    """The renderer of a base model directory.

    Raises:
        StageError: no tokenizer, a broken template, or no token that ends an answer.
    """
    tokenizer = load_tokenizer(directory)
    backend: Tokenizer = tokenizer.backend_tokenizer
    backend.no_truncation()  # a tokenizer.json may bring both along; ours are counted, not silent
    backend.no_padding()
    template = load_template(tokenizer, directory, template_date)
    stop_ids, turn_end = end_ids(directory, tokenizer), None
    if template is not None:
        turn_end = end_of_turn(template, tokenizer)
        stop_ids |= {turn_end} if turn_end is not None else frozenset()
    end_id = turn_end if turn_end is not None else tokenizer.eos_token_id
    if not isinstance(end_id, int):
        message = f"spec.baseModel: the tokenizer in {directory} has no eos_token; set one"
        raise StageError(FailureClass.INVALID_SPEC, message)
    first_ids = () if template is not None else leading_ids(backend)
    return Renderer(tokenizer, template, stop_ids, end_id, first_ids, spaces_pieces(backend))


def load_template(
    tokenizer: PreTrainedTokenizerBase, directory: Path, template_date: str
) -> ChatTemplate | None:
    """The compiled chat template; None: the model has none.

    Raises:
        StageError: it does not compile.
    """
    if not tokenizer.chat_template:
        return None
    try:
        return compile_template(
            tokenizer.get_chat_template(),
            special_tokens=tokenizer.special_tokens_map,
            template_date=template_date,
        )
    except (TemplateError, ValueError) as error:
        message = f"spec.baseModel: the chat template in {directory} is broken: {error}"
        raise StageError(FailureClass.INVALID_SPEC, message) from error


def end_of_turn(template: ChatTemplate, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The special token that the template puts after an answer; None: it puts none."""
    messages = [Message(role="user", content="?"), Message(role="assistant", content=ANSWER_PROBE)]
    tail = template.render(messages, for_answer=False).rpartition(ANSWER_PROBE)[2]
    special = tokenizer.added_tokens_decoder
    ids: list[int] = tokenizer.backend_tokenizer.encode(tail, add_special_tokens=False).ids
    return next((one for one in ids if one in special), None)


def leading_ids(backend: Tokenizer) -> tuple[int, ...]:
    """What the tokenizer puts before plain text: at most one BOS."""
    ids = backend.encode("a", add_special_tokens=True).ids
    plain = backend.encode("a", add_special_tokens=False).ids
    at = next((at for at in range(len(ids)) if ids[at : at + len(plain)] == plain), 0)
    return tuple(ids[:at])


def spaces_pieces(backend: Tokenizer) -> bool:
    """Whether every encoded piece starts with a space that is not in the text."""
    return backend.encode("a", add_special_tokens=False).tokens[0].startswith("▁")


def split_by_offsets(whole: Encoding, pieces: Sequence[Piece]) -> list[list[int]]:
    """The tokens of each piece; one that crosses a cut belongs to the piece where it ends."""
    ids: list[list[int]] = [[] for _ in pieces]
    at, end = 0, len(pieces[0].text)
    for token, (_, stop) in zip(whole.ids, whole.offsets, strict=True):
        while stop > end and at + 1 < len(pieces):
            at += 1
            end += len(pieces[at].text)
        ids[at].append(token)
    return ids


def plain_prompt(messages: Sequence[Message]) -> str:
    """A prompt for a model without a chat template; turns are paragraphs."""
    return "".join(
        f"{message['content']}\n\n" if message["role"] == "system" else f"{message['content']}\n"
        for message in messages
    )


def has_weight(message: Message) -> bool:
    """Whether an answer is to be learnt."""
    return message.get("weight", 1) != 0


def after(text: str, content: str) -> str:
    """The text from the last place of ``content`` on; templates may strip it."""
    at = text.rfind(content)
    return text[at if at >= 0 else max(0, text.rfind(content.strip())) :]


def shorten(row: RenderedRow, max_tokens: int) -> RenderedRow:
    """The first ``max_tokens`` tokens of a row."""
    if len(row.input_ids) <= max_tokens:
        return row
    spans = [(start, min(end, max_tokens)) for start, end in row.spans if start < max_tokens]
    return replace(row, input_ids=row.input_ids[:max_tokens], spans=spans, truncated=True)
