"""The shape of a row: which format it has, and what its columns mean.

Turns a raw row into prompt messages and an answer, or into everything that is wrong with it.
"""

import difflib
import json
import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from trainer.contract.source import DataFields, Dataset
from trainer.data.message import Message, message_text, offered
from trainer.data.problems import Fault, RowFaultError
from trainer.data.tools import TOOLS, read_calls, read_tools

ROLES = ("system", "user", "assistant", "tool", "developer")
CHAT, COMPLETION, TEXT, PREFERENCE = "Chat", "PromptCompletion", "Text", "Preference"


@dataclass(frozen=True)
class SourceRow:
    """A row as the user wrote it: ``prompt`` is all before the answer, without the instruction."""

    id: str
    group: str
    prompt: Sequence[Message]
    answer: Message


def format_of(row: Mapping[str, Any], fields: DataFields) -> str | None:
    """The format that the row's keys mean; None: none of its columns is known."""
    if fields.messages in row:
        return CHAT
    if fields.chosen in row and fields.rejected in row:
        return PREFERENCE
    if fields.prompt in row or fields.completion in row:
        return COMPLETION
    return TEXT if fields.text in row else None


def required_columns(kind: str, fields: DataFields) -> dict[str, str]:
    """Columns that every row of the format has, by their name in ``dataset.fields``."""
    if kind == CHAT:
        return {"messages": fields.messages}
    return {"prompt": fields.prompt, "completion": fields.completion}


def missing_column(name: str, column: str, columns: Sequence[str]) -> str:
    """That no row has the column, and which the user may have meant."""
    close = difflib.get_close_matches(column, columns, n=1)
    meant = f'; did you mean "{close[0]}"?' if close else ""
    there = ", ".join(f'"{one}"' for one in sorted(columns)[:10])
    return (
        f'no row has the column "{column}"{meant} The columns are {there}: '
        f"set dataset.fields.{name} to one of them"
    )[:300]


@dataclass(frozen=True)
class Shape:
    """How to read the rows of one data set."""

    kind: str
    fields: DataFields
    group_by: str | None

    @classmethod
    def of(cls, kind: str, dataset: Dataset) -> "Shape":
        """The shape that the spec describes."""
        return cls(kind, dataset.fields, dataset.split.group_by)

    def parse(self, row: Mapping[str, Any]) -> SourceRow:
        """Read a row.

        Raises:
            RowFaultError: with everything that is wrong with it.
        """
        faults: list[Fault] = []
        other = format_of(row, self.fields)
        if other not in (None, self.kind) and self.kind not in possible_formats(row, self.fields):
            raise RowFaultError(
                Fault(
                    "",
                    f"has the columns of format {other}, the rows before it those of {self.kind}; "
                    "keep one format in a data set",
                )
            )
        identity = self._scalar(row, self.fields.id, faults)
        group = self._scalar(row, self.group_by, faults)
        messages = self._messages(row, faults)
        if faults:
            raise RowFaultError(*faults)
        return SourceRow(identity, group or prompt_text(messages[:-1]), messages[:-1], messages[-1])

    def _scalar(self, row: Mapping[str, Any], column: str | None, faults: list[Fault]) -> str:
        """A text of an optional column that the user named; empty: they named none."""
        if column is None:
            return ""
        text = as_text(row.get(column))
        if not text:
            faults.append(Fault(column, f'has no "{column[:80]}"; fill it in every row'))
        return text or ""

    def _messages(self, row: Mapping[str, Any], faults: list[Fault]) -> list[Message]:
        if self.kind == CHAT:
            return self._chat(row, faults)
        prompt = as_text(row.get(self.fields.prompt))
        answer = as_answer(row.get(self.fields.completion))
        for column, text, what in (
            (self.fields.prompt, prompt, "prompt"),
            (self.fields.completion, answer, "answer"),
        ):
            if text is None or not text.strip():
                state = "has no" if text is None else "has an empty"
                faults.append(
                    Fault(
                        column, f'{state} {what}: fill "{column[:80]}" with text, or remove the row'
                    )
                )
        return [
            Message(role="user", content=prompt or ""),
            Message(role="assistant", content=answer or ""),
        ]

    def _chat(self, row: Mapping[str, Any], faults: list[Fault]) -> list[Message]:
        column = self.fields.messages
        tools = read_tools(row.get(TOOLS), faults)
        turns = row.get(column)
        if not isinstance(turns, list) or not turns:
            faults.append(
                Fault(column, f'has no "{column[:80]}": it must be a list of {{"role", "content"}}')
            )
            return []
        messages = [read_turn(turn, f"{column}[{at}]", faults) for at, turn in enumerate(turns)]
        if faults:
            return []
        faults += conversation_faults(messages, column)
        return offered(messages, tools)


def possible_formats(row: Mapping[str, Any], fields: DataFields) -> set[str]:
    """Every format whose columns the row has."""
    formats = {CHAT} if fields.messages in row else set()
    if fields.prompt in row and fields.completion in row:
        formats.add(COMPLETION)
    return formats


def read_turn(turn: object, place: str, faults: list[Fault]) -> Message:
    """One message; parts of text are joined, what else it holds is kept."""
    if not isinstance(turn, dict) or turn.get("role") not in ROLES:
        faults.append(Fault(place, f"needs a role: one of {', '.join(ROLES)}"))
        return Message(role="", content="")
    calls = read_calls(turn.get("tool_calls"), place, faults)
    content = turn_text(turn.get("content"))
    if content is None and turn.get("tool_calls"):
        content = ""
    if content is None:
        faults.append(
            Fault(place, "needs text in content; images and other parts are not supported")
        )
    if turn.get("weight", 1) not in (0, 1, None):
        faults.append(Fault(place, "has a weight other than 0 and 1"))
    kept = {key: value for key, value in turn.items() if value is not None and key != "tool_calls"}
    own = {"content": content or ""} | ({"tool_calls": calls} if calls else {})
    return cast("Message", kept | own)


def turn_text(content: object) -> str | None:
    """The text of a message; None: it is something else."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [part.get("text") if isinstance(part, dict) else None for part in content]
    return "".join(map(str, parts)) if all(isinstance(part, str) for part in parts) else None


def conversation_faults(messages: Sequence[Message], column: str) -> list[Fault]:
    """What keeps a conversation from being a prompt and its answer."""
    last = messages[-1]
    if last["role"] != "assistant":
        return [Fault(column, "ends without an answer: its last message must be the assistant's")]
    if not message_text(last).strip():
        return [Fault(column, "ends with an empty answer: fill it, or remove the row")]
    if not any(message["role"] == "user" for message in messages):
        return [Fault(column, "has no message of the user; there is nothing to answer")]
    return []


def as_text(value: object) -> str | None:
    """A scalar as text; None: there is none, or it is no scalar."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    return None


def as_answer(value: object) -> str | None:
    """An answer as text: lists and objects become JSON."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return as_text(value)


def prompt_text(messages: Sequence[Message]) -> str:
    """The whole prompt as one text."""
    return "\n".join(f"{message['role']}: {message_text(message)}" for message in messages)


def normalised(text: str) -> str:
    """The text without what people do not see as a difference: case, width, white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
