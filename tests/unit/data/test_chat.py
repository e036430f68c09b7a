"""What is supervised is the answer and its end, no more and no less."""

import json
import time

import pytest
from builders.tiny_model import CHAT_TEMPLATE, make_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from trainer.data import template as engine
from trainer.data.chat import load_renderer
from trainer.data.template import TemplateRefusal
from trainer.errors import StageError

DATE = "2024-07-26"
THINKING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
NO_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}"
    "{% endif %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NO_END = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
TODAY = "{{ strftime_now('%Y-%m-%d') }} {{ date_string }}" + CHAT_TEMPLATE
BOS = "{{ bos_token }}" + CHAT_TEMPLATE

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40).filter(
    str.strip
)
TURNS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("bases")


@pytest.fixture(scope="module")
def renderer_of(base):
    made = {}

    def load(template=CHAT_TEMPLATE):
        if template not in made:
            directory = make_tokenizer(base / str(len(made)), chat_template=template)
            made[template] = load_renderer(directory, template_date=DATE)
        return made[template]

    return load


def conversation(turns):
    return [
        {"role": role, "content": text}
        for turn in turns
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]


def shown(renderer, row):
    return [renderer.tokenizer.decode(row.input_ids[start:end]) for start, end in row.spans]


def row_of(renderer, messages, *, train_on="Completions", max_tokens=4096):
    return renderer.row(messages, train_on=train_on, max_tokens=max_tokens)


@settings(max_examples=60, deadline=None)
@given(turns=TURNS)
def test_every_answer_is_supervised_with_its_end_and_nothing_else(renderer_of, turns):
    renderer = renderer_of()
    row = row_of(renderer, conversation(turns))
    assert shown(renderer, row) == [f"{answer}<|im_end|>" for _, answer in turns]


@settings(max_examples=60, deadline=None)
@given(turns=TURNS)
def test_generation_starts_from_the_very_tokens_that_training_saw(renderer_of, turns):
    renderer = renderer_of()
    messages = conversation(turns)
    row = row_of(renderer, messages, train_on="LastCompletion")
    prompt = renderer.prompt_ids(messages[:-1])
    assert row.input_ids[: row.spans[-1][0]] == prompt
    assert row.answer_tokens == row.spans[-1][1] - len(prompt)


@settings(max_examples=40, deadline=None)
@given(turns=TURNS)
def test_the_text_is_the_templates(renderer_of, turns):
    renderer = renderer_of()
    messages = conversation(turns)
    row = row_of(renderer, messages)
    expected = renderer.tokenizer.apply_chat_template(messages, tokenize=False)
    assert renderer.tokenizer.decode(row.input_ids) == expected


TWO_TURNS = conversation([("one?", "first"), ("two?", "second")])

MODES = [
    pytest.param("Completions", ["first<|im_end|>", "second<|im_end|>"], id="every answer"),
    pytest.param("LastCompletion", ["second<|im_end|>"], id="the last answer"),
]


@pytest.mark.parametrize(("train_on", "expected"), MODES)
def test_train_on_chooses_the_answers(renderer_of, train_on, expected):
    assert shown(renderer_of(), row_of(renderer_of(), TWO_TURNS, train_on=train_on)) == expected


def test_train_on_everything_supervises_the_whole_row(renderer_of):
    row = row_of(renderer_of(), TWO_TURNS, train_on="Everything")
    assert row.spans == [(0, len(row.input_ids))]


def test_an_answer_of_weight_zero_is_read_but_not_learnt(renderer_of):
    messages = [dict(turn) for turn in TWO_TURNS]
    messages[1]["weight"] = 0
    row = row_of(renderer_of(), messages)
    assert shown(renderer_of(), row) == ["second<|im_end|>"]
    assert row.input_ids == row_of(renderer_of(), TWO_TURNS).input_ids


def test_an_empty_thought_is_prompt_and_not_supervised(renderer_of):
    renderer = renderer_of(THINKING)
    row = row_of(renderer, TWO_TURNS)
    assert shown(renderer, row) == ["first<|im_end|>", "second<|im_end|>"]
    assert renderer.tokenizer.decode(row.input_ids[: row.spans[-1][0]]).endswith("</think>\n\n")


def test_a_template_without_system_role_gets_it_in_the_first_question(renderer_of):
    renderer = renderer_of(NO_SYSTEM)
    system = {"role": "system", "content": "Be brief."}
    text = renderer.tokenizer.decode(renderer.prompt_ids([system, TWO_TURNS[0]]))
    assert "user\nBe brief.\n\none?<|im_end|>" in text


def test_a_template_that_trims_answers_still_has_them_found(renderer_of):
    renderer = renderer_of(NO_SYSTEM)
    messages = conversation([("q", " padded ")])
    assert shown(renderer, row_of(renderer, messages)) == ["padded<|im_end|>"]


def test_a_template_that_ends_no_turn_gets_an_end_to_learn(renderer_of):
    renderer = renderer_of(NO_END)
    row = row_of(renderer, TWO_TURNS)
    assert shown(renderer, row)[-1] == "second\n<|im_end|>"
    assert row.input_ids[-1] == renderer.end_id


def test_templates_see_a_fixed_date(renderer_of):
    text = renderer_of(TODAY).prompt_text(TWO_TURNS[:1])
    assert text.startswith("2024-07-26 26 Jul 2024")


def test_there_is_one_bos(renderer_of):
    renderer = renderer_of(BOS)
    row = row_of(renderer, TWO_TURNS[:2])
    bos = renderer.tokenizer.bos_token_id
    assert row.input_ids[0] == bos
    assert row.input_ids.count(bos) == 1 + 2  # this tokenizer opens every turn with it, too


def test_plain_text_has_the_one_bos_that_the_tokenizer_puts(base):
    directory = make_tokenizer(base / "bos", chat_template=False)
    path = directory / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path))
    pair = [("<|im_start|>", tokenizer.token_to_id("<|im_start|>"))]
    tokenizer.post_processor = processors.TemplateProcessing("<|im_start|> $A", None, pair)
    tokenizer.save(str(path))
    renderer = load_renderer(directory, template_date=DATE)
    row = row_of(renderer, TWO_TURNS[:2])
    assert row.input_ids[0] == pair[0][1]
    assert row.input_ids.count(pair[0][1]) == 1
    assert row.input_ids[: row.spans[0][0]] == renderer.prompt_ids(TWO_TURNS[:1])


def test_the_end_of_turn_is_learnt_where_the_padding_token_is_the_same(base):
    directory = make_tokenizer(base / "pad-is-end", chat_template=True)
    path = directory / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pad_token": "<|im_end|>"}))
    renderer = load_renderer(directory, template_date=DATE)
    assert renderer.tokenizer.pad_token_id == renderer.tokenizer.eos_token_id == renderer.end_id
    row = row_of(renderer, TWO_TURNS)
    assert [row.input_ids[end - 1] for _, end in row.spans] == [renderer.end_id] * 2


MARKED = CHAT_TEMPLATE.replace(
    "{{ message['content'] }}<|im_end|>\n",
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}<|im_end|>"
    "{% endgeneration %}{{ '\\n' }}{% else %}{{ message['content'] }}<|im_end|>\n{% endif %}",
)


def test_what_is_learnt_does_not_depend_on_marks_in_the_template(renderer_of):
    assert "generation %}" not in CHAT_TEMPLATE
    assert MARKED != CHAT_TEMPLATE
    assert row_of(renderer_of(MARKED), TWO_TURNS) == row_of(renderer_of(), TWO_TURNS)


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, THINKING, NO_SYSTEM, NO_END, BOS])
def test_neither_nothing_nor_everything_is_learnt(renderer_of, template):
    for train_on in ("Completions", "LastCompletion"):
        row = row_of(renderer_of(template), TWO_TURNS, train_on=train_on)
        assert 0 < sum(end - start for start, end in row.spans) < len(row.input_ids) / 2


def test_the_end_of_turn_stops_generation_though_it_is_not_eos(base):
    directory = make_tokenizer(base / "turns", chat_template=True)
    path = directory / "tokenizer_config.json"
    path.write_text(
        path.read_text().replace('"eos_token": "<|im_end|>"', '"eos_token": "<|endoftext|>"')
    )
    renderer = load_renderer(directory, template_date=DATE)
    assert {renderer.tokenizer.decode([one]) for one in renderer.stop_ids} == {
        "<|endoftext|>",
        "<|im_end|>",
    }


def test_a_long_row_is_cut_on_the_right(renderer_of):
    whole = row_of(renderer_of(), TWO_TURNS)
    cut = row_of(renderer_of(), TWO_TURNS, max_tokens=whole.spans[0][1])
    assert cut.truncated
    assert cut.input_ids == whole.input_ids[: whole.spans[0][1]]
    assert cut.spans == whole.spans[:1]
    assert not whole.truncated


def test_without_a_template_prompt_and_answer_are_plain_text(base):
    directory = make_tokenizer(base / "plain", chat_template=False)
    renderer = load_renderer(directory, template_date=DATE)
    messages = [{"role": "system", "content": "S"}, *TWO_TURNS[:2]]
    row = row_of(renderer, messages)
    assert renderer.tokenizer.decode(row.input_ids) == "S\n\none?\nfirst<|im_end|>"
    assert shown(renderer, row) == ["first<|im_end|>"]
    assert row.input_ids[: row.spans[0][0]] == renderer.prompt_ids(messages[:-1])


def test_a_tokenizer_that_puts_spaces_before_words_is_cut_by_offsets(base):
    directory = make_tokenizer(base / "spaces", chat_template=True)
    vocabulary = {"<unk>": 0, "<|im_start|>": 1, "<|im_end|>": 2, "▁": 3, "\n": 4}
    letters = "abcdefghijklmnopqrstuvwxyz?"
    vocabulary |= {letter: at + 5 for at, letter in enumerate(letters)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))  # noqa: S106 - no secret
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first", split=False)
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.save(str(directory / "tokenizer.json"))
    renderer = load_renderer(directory, template_date=DATE)
    row = row_of(renderer, conversation([("one?", "first")]))
    ids = [renderer.tokenizer.convert_ids_to_tokens(row.input_ids[a:b]) for a, b in row.spans]
    assert renderer.by_offsets
    assert ids == [[*"first", "<|im_end|>"]]


def test_a_template_that_does_not_end_is_stopped(monkeypatch):
    monkeypatch.setattr(engine, "RENDER_LIMIT_S", 0.05)
    endless = engine.compile_template(
        "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}"
        "{% endfor %}{% endfor %}{% endfor %}",
        special_tokens={},
        template_date=DATE,
    )
    started = time.monotonic()
    with pytest.raises(TemplateRefusal, match="did not end"):
        endless.render(TWO_TURNS, for_answer=True)
    assert time.monotonic() - started < 5


def test_a_template_cannot_reach_python(renderer_of):
    evil = "{{ messages.__class__.__mro__[1].__subclasses__() }}" + CHAT_TEMPLATE
    with pytest.raises((TemplateRefusal, StageError), match="unsafe"):
        renderer_of(evil).prompt_ids(TWO_TURNS[:1])


def test_text_leaves_special_tokens_out(renderer_of):
    renderer = renderer_of()
    row = row_of(renderer, TWO_TURNS)
    start, end = row.spans[0]
    assert renderer.text(row.input_ids[start:end]) == "first"
    assert isinstance(renderer.tokenizer, PreTrainedTokenizerFast)
