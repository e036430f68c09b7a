"""A chat template as a function of messages: sandboxed, with a fixed date and a time limit.

Owns rendering to text; tokens are ``chat``'s.
"""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from types import FrameType
from typing import Any

from jinja2 import Template, TemplateError
from transformers.utils.chat_template_utils import _compile_jinja_template

from trainer.data.message import Message, offered, tools_of, without_tools

RENDER_LIMIT_S = 10.0
"""A template is somebody else's program; ours renders in well under a millisecond."""

SYSTEM_PROBE = "tunekeeper-system-probe"
USER_PROBE = "tunekeeper-user-probe"
TOOL_PROBE = "tunekeeper_tool_probe"
NO_PARAMETERS = {"type": "object", "properties": {}}


class TemplateRefusal(Exception):  # noqa: N818 - it says what happened: the template refused
    """The template cannot render these messages; the text says why."""


@dataclass(frozen=True)
class ChatTemplate:
    """A compiled template with the variables it sees."""

    template: Template
    variables: Mapping[str, Any]
    takes_system: bool = True
    takes_tools: bool = True
    takes_calls: bool = True

    def render(self, messages: Sequence[Message], *, for_answer: bool) -> str:
        """The conversation as text; ``for_answer`` opens the assistant's turn.

        Raises:
            TemplateRefusal: the template does not take these messages, or does not end.
        """
        tools = tools_of(messages)
        turns = [without_tools(each) for each in messages]
        turns = turns if self.takes_system else fold_system(turns)
        try:
            with time_limit(RENDER_LIMIT_S):
                return self.template.render(
                    messages=turns,
                    tools=tools,
                    documents=None,
                    add_generation_prompt=for_answer,
                    **self.variables,
                )
        except (TemplateError, TypeError, ValueError, KeyError) as error:
            raise TemplateRefusal(f"the chat template refuses it: {error}") from None


def compile_template(
    source: str, *, special_tokens: Mapping[str, Any], template_date: str
) -> ChatTemplate:
    """Compile with transformers' sandbox (immutable, no attributes of Python's own).

    Raises:
        TemplateError: the source is not a template.
    """
    day = date.fromisoformat(template_date)
    template: Template = _compile_jinja_template(source)
    # Not passed to render: transformers only lets plain data through there. Templates that
    # print today's date would make every digest and every pairing depend on the day.
    # And in a plain dictionary: jinja's own chain of them is copied for each render, slowly.
    template.globals = {**template.globals, "strftime_now": day.strftime}
    variables = {
        **special_tokens,
        "date_string": day.strftime("%d %b %Y"),
        "enable_thinking": False,
    }
    compiled = ChatTemplate(template, variables)
    return replace(
        compiled,
        takes_system=has_system(compiled),
        takes_tools=has_tools(compiled),
        takes_calls=has_calls(compiled),
    )


def has_tools(template: ChatTemplate) -> bool:
    """Whether the functions on offer are told to the model."""
    function = {"name": TOOL_PROBE, "description": "?", "parameters": NO_PARAMETERS}
    asked = [Message(role="user", content=USER_PROBE)]
    return _shows(template, offered(asked, [{"type": "function", "function": function}]))


def has_calls(template: ChatTemplate) -> bool:
    """Whether an answer that only calls a function says so."""
    call = {"type": "function", "function": {"name": TOOL_PROBE, "arguments": {}}}
    return _shows(
        template,
        [
            Message(role="user", content=USER_PROBE),
            Message(role="assistant", content="", tool_calls=[call]),
        ],
    )


def _shows(template: ChatTemplate, messages: Sequence[Message]) -> bool:
    try:
        return TOOL_PROBE in template.render(messages, for_answer=False)
    except TemplateRefusal:
        return False


def has_system(template: ChatTemplate) -> bool:
    """Whether a system message survives; some templates raise on it, some drop it."""
    messages = [
        Message(role="system", content=SYSTEM_PROBE),
        Message(role="user", content=USER_PROBE),
    ]
    try:
        return SYSTEM_PROBE in template.render(messages, for_answer=True)
    except TemplateRefusal:
        return False


def fold_system(messages: list[Message]) -> list[Message]:
    """The system text in front of the first user message."""
    if not messages or messages[0]["role"] != "system":
        return messages
    system, *turns = messages
    for at, turn in enumerate(turns):
        if turn["role"] == "user":
            turns[at] = turn.copy()
            turns[at]["content"] = f"{system['content']}\n\n{turn['content']}"
            return turns
    return messages


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TemplateRefusal after ``seconds``; only the main thread can be limited.

    Inside another limit that one holds: arming the timer costs as much as a short template.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise TemplateRefusal(f"the chat template did not end within {seconds:g} s")

    before: Callable[[int, FrameType | None], Any] | int | None = signal.signal(
        signal.SIGALRM, give_up
    )
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
