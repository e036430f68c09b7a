import threading

import pytest
import torch
from builders.arms import (
    STOP,
    VOCABULARY,
    a_decoder,
    a_model,
    a_sliding_model,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig

from trainer.arms.fallback import shares_prefixes
from trainer.arms.generate import generate, plan_batches, shared_prefix, windows
from trainer.contract.failures import FailureClass
from trainer.errors import StageError

NEW_TOKENS = 12


def prompts_of(lengths, *, shared=9, seed=5):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda count: torch.randint(3, VOCABULARY, (count,), generator=generator).tolist()  # noqa: E731
    prefix = draw(shared)
    return [prefix + draw(length) for length in lengths]


def naive(model, prompt, stop_ids):
    """One prompt at a time, by transformers."""
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        eos_token_id=sorted(stop_ids) or None,
        pad_token_id=0,
    )
    ids = torch.tensor([prompt])
    found = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config
    )
    answer = found[0, len(prompt) :].tolist()
    return answer[:-1] if answer[-1] in stop_ids else answer


def answers_of(decoder, prompts, batches):
    found = {}

    def keep(number, answers):
        found.update(zip(batches[number], answers, strict=True))

    generate(decoder, prompts, batches, keep)
    return [found[at] for at in range(len(prompts))]


# A third of the vocabulary ends an answer, so that rows leave at different steps.
OFTEN = frozenset(range(STOP, VOCABULARY, 6))

CASES = {
    "one batch": {"rows": 16},
    "several batches": {"rows": 3},
    "one row at a time": {"rows": 1},
    "the prompts are read in small parts": {"rows": 16, "prefill_tokens": 8},
    "the cache is too small for the batch": {"rows": 16, "cache_tokens": 60},
}


@pytest.mark.parametrize("shared", [0, 1, 9], ids="{} shared tokens".format)
@pytest.mark.parametrize("stop_ids", [frozenset({STOP}), OFTEN], ids=["rare stop", "often"])
@pytest.mark.parametrize("pace", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("build", [a_model, a_sliding_model], ids=["full", "sliding"])
def test_batched_answers_are_those_of_one_by_one_decoding(build, pace, stop_ids, shared):
    model = build()
    prompts = prompts_of([1, 2, 2, 5, 7, 11, 12], shared=shared)
    decoder = a_decoder(model, new_tokens=NEW_TOKENS, stop_ids=stop_ids, **pace)
    plan = plan_batches([len(p) for p in prompts], "abcdefg", rows=pace["rows"])
    found = [answer.ids for answer in answers_of(decoder, prompts, plan)]
    assert found == [naive(model, prompt, stop_ids) for prompt in prompts]


def test_the_cases_above_have_answers_of_many_lengths():
    model = a_model()
    lengths = [len(naive(model, p, OFTEN)) for p in prompts_of([1, 2, 2, 5, 7, 11, 12])]
    assert len(set(lengths)) >= 3
    assert max(lengths) <= NEW_TOKENS


def test_an_answer_says_whether_it_ended_or_was_cut():
    prompts = prompts_of([1, 2, 2, 5, 7, 11, 12])
    model = a_model()
    found = answers_of(a_decoder(model, stop_ids=OFTEN), prompts, [list(range(7))])
    for prompt, answer in zip(prompts, found, strict=True):
        ended = len(naive(model, prompt, OFTEN)) < NEW_TOKENS
        assert answer.finish == ("stop" if ended else "length")
    assert {answer.finish for answer in found} == {"stop", "length"}


def test_a_limit_of_one_token_gives_one_token():
    found = answers_of(a_decoder(a_model(), new_tokens=1), prompts_of([3, 4]), [[0, 1]])
    assert [len(answer.ids) for answer in found] == [1, 1]


def test_one_odd_prompt_does_not_change_the_others():
    prompts = prompts_of([3, 4, 5])
    odd = [*prompts, [7, 7]]
    model = a_model()
    found = answers_of(a_decoder(model), odd, [[3], [0, 1, 2]])
    assert [a.ids for a in found] == [naive(model, prompt, {STOP}) for prompt in odd]


def test_a_stop_between_two_tokens_is_an_interruption():
    decoder = a_decoder(a_model())
    decoder.stop.set()
    with pytest.raises(StageError) as caught:
        decoder.answer(prompts_of([3, 4]), [])
    assert caught.value.failure is FailureClass.INTERRUPTED


def test_a_stop_is_seen_at_every_step_of_a_sliding_model_too():
    decoder = a_decoder(a_sliding_model())
    decoder.stop = CountingEvent(after=3)
    with pytest.raises(StageError):
        decoder.answer(prompts_of([3, 4]), [])


class CountingEvent(threading.Event):
    """Set from the n-th look on."""

    def __init__(self, after):
        super().__init__()
        self.looks, self.after = 0, after

    def is_set(self):
        self.looks += 1
        return self.looks > self.after


def test_only_models_with_plain_attention_share_a_prefix():
    assert shares_prefixes(a_model())
    assert not shares_prefixes(a_sliding_model())


def test_batches_done_before_are_not_answered_again():
    seen = []
    batches = [[0], [1], [2]]
    generate(
        a_decoder(a_model()),
        prompts_of([3, 4, 5]),
        batches,
        lambda number, _: seen.append(number),
        done=frozenset({1}),
    )
    assert seen == [0, 2]


def test_the_plan_orders_by_length_and_then_by_id():
    assert plan_batches([5, 3, 5, 4], ["b", "z", "a", "q"], rows=3) == [[1, 3, 2], [0]]


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=6))
@settings(max_examples=200)
def test_the_shared_prefix_begins_every_prompt_and_is_all_of_none(prompts):
    shared = shared_prefix(prompts)
    assert all(prompt[: len(shared)] == shared for prompt in prompts)
    assert all(len(prompt) > len(shared) for prompt in prompts)
    longer = {tuple(prompt[: len(shared) + 1]) for prompt in prompts}
    assert len(longer) > 1 or min(map(len, prompts)) == len(shared) + 1


def test_answers_come_back_in_the_order_of_the_prompts_whatever_their_lengths():
    prompts = prompts_of([11, 1, 7, 2, 12])
    model = a_model()
    found = a_decoder(model, prefill_tokens=16).answer(prompts, shared_prefix(prompts))
    assert [answer.ids for answer in found] == [naive(model, one, {STOP}) for one in prompts]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20).map(sorted), st.integers(1, 64))
def test_windows_cover_every_row_once_within_the_limit(lengths, limit):
    found = list(windows(lengths, limit))
    assert [at for one in found for at in range(one.start, one.stop)] == list(range(len(lengths)))
    for one in found:
        rows = one.stop - one.start
        assert rows == 1 or rows * lengths[one.stop - 1] <= limit


def out_of_memory_for(model, monkeypatch, refuses):
    """A device that refuses what it is asked for; what it was asked for, in rows and tokens."""
    asked, forward = [], model.forward

    def refusing(*arguments, input_ids, **options):
        asked.append(input_ids.shape)
        if refuses(len(asked), *input_ids.shape):
            raise torch.OutOfMemoryError
        return forward(*arguments, input_ids=input_ids, **options)

    monkeypatch.setattr(model, "forward", refusing)
    return asked


SHORT = [
    pytest.param(lambda _number, rows, _tokens: rows > 2, id="while several rows are decoded"),
    pytest.param(lambda _number, rows, tokens: rows * tokens > 24, id="while prompts are read"),
    pytest.param(lambda number, _rows, _tokens: number == 1, id="at the very first"),
    pytest.param(lambda number, _rows, _tokens: number == 6, id="at a later token"),
]


@pytest.mark.parametrize("refuses", SHORT)
@pytest.mark.parametrize("build", [a_model, a_sliding_model], ids=["full", "sliding"])
def test_a_batch_that_the_device_does_not_hold_is_answered_in_halves(build, refuses, monkeypatch):
    model, prompts = build(), prompts_of([1, 2, 2, 5, 7, 11, 12])
    expected = [naive(model, prompt, {STOP}) for prompt in prompts]
    asked = out_of_memory_for(model, monkeypatch, refuses)
    found = a_decoder(model).answer(prompts, shared_prefix(prompts))
    assert [answer.ids for answer in found] == expected
    assert any(refuses(number, *shape) for number, shape in enumerate(asked, start=1))


def test_what_did_not_fit_once_is_not_tried_with_the_next_batch(monkeypatch):
    model = a_model()
    decoder = a_decoder(model)
    asked = out_of_memory_for(model, monkeypatch, lambda _number, rows, _tokens: rows > 2)
    decoder.answer(prompts_of([3] * 8), [])
    before = len(asked)
    decoder.answer(prompts_of([3] * 8), [])
    assert max(rows for rows, _ in asked[before:]) == 2


@pytest.mark.parametrize("build", [a_model, a_sliding_model], ids=["full", "sliding"])
def test_a_prompt_that_the_device_does_not_hold_fails_with_the_remedy(build, monkeypatch):
    model = build()
    asked = out_of_memory_for(model, monkeypatch, lambda *_: True)
    with pytest.raises(StageError, match=r"spec\.evaluation\.fewShotExamples") as caught:
        a_decoder(model).answer(prompts_of([3, 4, 5, 6], shared=0), [])
    assert caught.value.failure is FailureClass.GPU_OUT_OF_MEMORY
    assert [rows for rows, _ in asked] == [4, 2, 1]
