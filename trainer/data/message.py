"""One turn of a conversation, as rows and templates know it."""

from typing import NotRequired, TypedDict


class Message(TypedDict):
    """One turn; what else a row's message holds (tool_calls, name) travels with it."""

    role: str
    content: str
    weight: NotRequired[int]
