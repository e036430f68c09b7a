"""Tools and system prompts of chat rows reach training and every arm; calls are learnt whole."""

import json

import pytest
from builders.preparing import a_base, chats, prepared, refusal, write_jsonl
from builders.tiny_model import CHAT_TEMPLATE, make_tokenizer

from trainer.arms.prompts import PromptRules, arm_prompts
from trainer.contract.failures import FailureClass
from trainer.contract.spec import Evaluation
from trainer.data.chat import load_renderer
from trainer.data.prepared import open_prepared
from trainer.store.file import FileStore

DATE = "2024-07-26"
TEMPLATE = """
{%- set own = messages[0].content if messages[0].role == 'system' else '' -%}
{%- if tools or own %}<|im_start|>system
{{ own }}{% for tool in tools or [] %}
{{ tool | tojson }}{% endfor %}<|im_end|>
{% endif -%}
{%- for m in messages if m.role != 'system' -%}
<|im_start|>{{ 'user' if m.role == 'tool' else m.role }}
{% if m.role == 'tool' %}<tool_response>{{ m.content }}</tool_response>{% else %}{{ m.content }}
{%- for call in m.tool_calls or [] %}<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}{% endif %}<|im_end|>
{% endfor -%}
{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""In the manner of Qwen's and Hermes' own."""


def a_tool(name):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    function = {"name": name, "description": f"tells the {name}", "parameters": schema}
    return {"type": "function", "function": function}


def a_call(name, arguments):
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}


def asked(city, *, system="Use tools."):
    own = [{"role": "system", "content": system}] if system else []
    return [*own, {"role": "user", "content": f"weather in {city}?"}]


def called(city, **fields):
    calls = [a_call("weather", {"city": city, "days": 1})]
    return {"role": "assistant", "content": None, "tool_calls": calls, **fields}


def a_row(number, **fields):
    city = f"city {number}"
    return {"messages": [*asked(city), called(city)], "tools": [a_tool("weather")], **fields}


def call_text(city):
    return f'<tool_call>\n{{"name": "weather", "arguments": {{"city": "{city}", "days": 1}}}}\n'


@pytest.fixture
def renderer(tmp_path):
    return load_renderer(make_tokenizer(tmp_path, chat_template=TEMPLATE), template_date=DATE)


@pytest.fixture
def root(tmp_path):
    a_base(tmp_path, chat_template=TEMPLATE)
    (tmp_path / "output").mkdir()
    return tmp_path


def opened(root, content):
    write_jsonl(root / "train.jsonl", content)
    result = prepared(root, dataset={"split": {"validationPercent": 0}})
    store = FileStore((root / "output").resolve())
    return open_prepared(store, result.outcome.run_id, root / "opened")


def every(split):
    return list(split)


def learnt(renderer, row):
    return [renderer.tokenizer.decode(row.input_ids[start:end]) for start, end in row.spans]


CONVERSATION = [
    {"role": "user", "content": "weather in Oslo?", "tools": [a_tool("weather")]},
    {"role": "assistant", "content": "", "tool_calls": [a_call("weather", {"city": "Oslo"})]},
    {"role": "tool", "content": "rain", "tool_call_id": "c1"},
    {"role": "assistant", "content": "It rains."},
]


def test_calls_and_answers_are_learnt_with_their_ends_and_no_tool_or_response_is(renderer):
    row = renderer.row(CONVERSATION, train_on="Completions", max_tokens=4096)
    call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call><|im_end|>'
    assert learnt(renderer, row) == [call, "It rains.<|im_end|>"]
    text = renderer.tokenizer.decode(row.input_ids)
    assert text.count("tells the weather") == 1
    assert "<tool_response>rain</tool_response>" in text


def test_a_call_of_weight_zero_is_read_but_not_learnt(renderer):
    messages = [dict(turn) for turn in CONVERSATION]
    messages[1]["weight"] = 0
    row = renderer.row(messages, train_on="Completions", max_tokens=4096)
    assert learnt(renderer, row) == ["It rains.<|im_end|>"]


def test_a_row_is_asked_with_its_tools_and_system_text_in_training_and_in_every_arm(root):
    content = [a_row(number) for number in range(200)]
    content[7]["tools"] = [a_tool("traffic")]
    split = opened(root, content)
    renderer = load_renderer(root / "base", template_date=DATE)
    rules = PromptRules(renderer, split.plan, Evaluation(), seed=1, context_tokens=4096)
    train, test = every(split.train), every(split.test)
    for arm in ("ZeroShot", "FewShot", "RetrievedFewShot", "Tuned"):
        for ids in arm_prompts(arm, rules, train, test[:5]):
            text = renderer.tokenizer.decode(ids)
            assert text.count("tells the weather") == 1
            assert text.count("Use tools.") == 1
            assert "traffic" not in text
            assert text.count("<tool_call>") == {"FewShot": 5, "RetrievedFewShot": 5}.get(arm, 0)
    for row in train[:20]:
        prompt = renderer.prompt_ids(row.prompt)
        assert row.input_ids[: len(prompt)].tolist() == prompt
        assert row.spans == [(len(prompt), len(row.input_ids) - 1)]  # a line break ends the turn


def test_the_reference_of_a_call_is_what_the_model_has_to_generate(root):
    split = opened(root, [a_row(number) for number in range(200)])
    row = split.test[0]
    city = row.prompt[-1]["content"].removeprefix("weather in ").removesuffix("?")
    assert row.reference == call_text(city) + "</tool_call>"


def test_calls_are_no_labels_however_few_they_are(root):
    content = [a_row(number) for number in range(200)]
    for number, row in enumerate(content):
        row["messages"][-1] = called(f"city {number % 3}")
    assert opened(root, content).plan.labels == []


def test_tools_and_arguments_may_be_json_text(root):
    content = [a_row(number) for number in range(200)]
    plain = every(opened(root, content).train)
    for row in content:
        row["tools"] = json.dumps(row["tools"])
        call = row["messages"][-1]["tool_calls"][0]["function"]
        call["arguments"] = json.dumps(call["arguments"])
    text = every(opened(root, content).train)
    assert [row.input_ids.tolist() for row in text] == [row.input_ids.tolist() for row in plain]


def test_rows_that_differ_in_their_tools_or_calls_are_no_repeats(root):
    content = [a_row(number) for number in range(200)]
    for row in content[:60]:
        row["messages"][1:2] = asked("one place", system="")
    for number, row in enumerate(content[:60]):
        row["tools"] = [a_tool(f"tool_{number}")]
    split = opened(root, content)
    assert split.plan.data.contradictory_rows == 0
    assert split.plan.data.duplicate_rows == 0


def test_another_tool_or_call_is_another_data_set(root):
    content = [a_row(number) for number in range(200)]
    first = opened(root, content).plan.dataset_digest
    content[3]["tools"] = [a_tool("traffic")]
    second = opened(root, content).plan.dataset_digest
    content[3]["messages"][-1]["tool_calls"][0]["function"]["arguments"]["days"] = 2
    assert len({first, second, opened(root, content).plan.dataset_digest}) == 3


BAD = [
    pytest.param({"tools": "weather"}, "tools", "must be a list of", id="tools as a word"),
    pytest.param({"tools": [{"type": "function"}]}, "tools", "must be a list of", id="no name"),
    pytest.param(
        {"messages": [*asked("Oslo"), called("Oslo", tool_calls=[{"function": {}}])]},
        "messages[2].tool_calls",
        "must be a list of",
        id="a call of nothing",
    ),
    pytest.param(
        {"messages": [*asked("Oslo"), called("Oslo", tool_calls=[a_call("weather", "Oslo")])]},
        "messages[2].tool_calls",
        "no JSON object",
        id="arguments that are no object",
    ),
    pytest.param(
        {"messages": [*asked("Oslo"), called("Oslo", tool_calls=[])]},
        "messages[2]",
        "needs text",
        id="neither text nor call",
    ),
]


@pytest.mark.parametrize(("fields", "field", "message"), BAD)
def test_what_is_wrong_with_tools_is_said_with_its_place(root, fields, field, message):
    write_jsonl(root / "train.jsonl", [a_row(0), a_row(1, **fields)])
    error = refusal(root)
    assert error.failure is FailureClass.INVALID_DATA
    [told] = error.details.data.errors
    assert (told.place, told.field) == ("train.jsonl:2", field)
    assert message in told.message


def test_a_template_without_a_place_for_tools_refuses_them_instead_of_losing_them(root):
    a_base(root, chat_template=CHAT_TEMPLATE)
    bare = {"messages": [*asked("Oslo"), called("Oslo")]}
    offered = {"messages": [*asked("Lima"), {"role": "assistant", "content": "Sun."}]}
    write_jsonl(root / "train.jsonl", [*chats(150), bare, offered | {"tools": [a_tool("weather")]}])
    told = [one.message for one in refusal(root).details.data.errors]
    assert "has tool calls, which the chat template of the base model leaves out" in told[0]
    assert "has tools, which the chat template of the base model leaves out" in told[1]
