"""One turn of a conversation, as rows and templates know it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

Tools = Sequence[Mapping[str, Any]]


class Message(TypedDict):
    """One turn; what else a row's message holds (name, tool_call_id) travels with it."""

    role: str
    content: str
    weight: NotRequired[int]
    tool_calls: NotRequired[list[dict[str, Any]]]
    tools: NotRequired[Tools]
    """What a conversation may call, on its first message: so it goes wherever its prompt goes."""


def tools_of(messages: Sequence[Message]) -> Tools | None:
    """What the conversation may call; None: nothing."""
    return next((each["tools"] for each in messages if "tools" in each), None)


def offered(messages: Sequence[Message], tools: Tools | None) -> list[Message]:
    """The conversation with these tools, on its first message, and no others."""
    turns = [without_tools(each) for each in messages]
    if tools and turns:
        turns[0] = turns[0].copy()
        turns[0]["tools"] = tools
    return turns


def without_tools(message: Message) -> Message:
    """The turn alone."""
    if "tools" not in message:
        return message
    bare = message.copy()
    del bare["tools"]
    return bare


def message_text(message: Message) -> str:
    """What a turn says, its calls included: tells two turns apart, whatever their template."""
    calls = message.get("tool_calls")
    return f"{message['content']}\n{as_json(calls)}" if calls else message["content"]


def as_json(value: object) -> str:
    """One spelling of a value."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
