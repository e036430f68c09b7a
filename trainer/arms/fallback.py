"""Greedy answers through transformers itself, for models that cannot share a prefix's cache."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from transformers import GenerationConfig, PreTrainedModel, StoppingCriteria, StoppingCriteriaList
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

NEEDED = {"position_ids", "logits_to_keep", "past_key_values", "attention_mask"}


def shares_prefixes(model: PreTrainedModel) -> bool:
    """Whether every layer looks at all earlier tokens and the positions can be given."""
    layers = DynamicCache(config=model.config).layers
    text = model.config.get_text_config()
    return (
        len(layers) == text.num_hidden_layers
        and all(type(layer) is DynamicLayer for layer in layers)
        and set(inspect.signature(_innermost(model).forward).parameters) >= NEEDED
    )


def answer_plainly(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    stop_ids: frozenset[int],
    max_new_tokens: int,
    *,
    check: Callable[[], None],
) -> list[list[int]]:
    """Answers in the order of the prompts; ``check`` is called at every step.

    Recurrent layers read padding as text, so there the prompts go one by one.
    """
    kinds = [type(layer) for layer in DynamicCache(config=model.config).layers]
    padded = bool(kinds) and all(
        kind in (DynamicLayer, DynamicSlidingWindowLayer) for kind in kinds
    )
    size = len(prompts) if padded else 1
    answers: list[list[int]] = []
    for start in range(0, len(prompts), size):
        check()
        part = prompts[start : start + size]
        answers.extend(_generate(model, part, stop_ids, max_new_tokens, check))
    return answers


def _generate(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    stop_ids: frozenset[int],
    max_new_tokens: int,
    check: Callable[[], None],
) -> list[list[int]]:
    width = max(map(len, prompts))
    fill = min(stop_ids, default=0)
    ids = [[fill] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    found = cast("Any", model).generate(
        input_ids=torch.tensor(ids, device=model.device),
        attention_mask=torch.tensor(mask, device=model.device),
        # Its own file may ask for sampling or penalties, which no arm may have.
        generation_config=GenerationConfig(  # type: ignore[no-untyped-call]
            do_sample=False,
            max_new_tokens=max_new_tokens,
            eos_token_id=sorted(stop_ids) or None,
            pad_token_id=fill,
        ),
        stopping_criteria=StoppingCriteriaList([_Check(check)]),
    )
    rows: list[list[int]] = found[:, width:].tolist()
    return rows


class _Check(StoppingCriteria):
    """Calls back at every step; never ends an answer."""

    def __init__(self, check: Callable[[], None]) -> None:
        self.check = check

    def __call__(
        self, input_ids: torch.LongTensor, _scores: torch.FloatTensor, **_kwargs: object
    ) -> torch.BoolTensor:
        self.check()
        going_on = torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)
        return cast("torch.BoolTensor", going_on)


def _innermost(model: PreTrainedModel) -> torch.nn.Module:
    """The causal language model inside a PEFT wrapper."""
    unwrap = getattr(model, "get_base_model", None)
    inner: torch.nn.Module = unwrap() if callable(unwrap) else model
    return inner
