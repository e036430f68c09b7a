"""Greedy answers, fast: one shared prefix, batches of a fixed plan, finished rows leave.

Owns decoding. The answers are those of one-by-one greedy decoding, whatever shares a batch:
padding is masked and has positions of its own. Models whose cache is not plain attention over all
earlier tokens (sliding windows, recurrent states) take the slower way through transformers.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel

from trainer.arms.cache import RoomyCache
from trainer.arms.fallback import answer_plainly, shares_prefixes
from trainer.arms.halving import Halving
from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.pulse import beat

STOP = "stop"
LENGTH = "length"


@dataclass(frozen=True)
class Generated:
    """One answer's token ids, without the token that ended it."""

    ids: list[int]
    finish: str


@dataclass(frozen=True)
class Pace:
    """How much is done at once; the answers do not depend on it."""

    rows: int = 32
    prefill_tokens: int = 2048
    cache_tokens: int = 24576


CPU_PACE = Pace()
GPU_PACE = Pace(rows=128, prefill_tokens=16384, cache_tokens=131072)


def pace_for(model: PreTrainedModel) -> Pace:
    """What suits the model's device."""
    return CPU_PACE if model.device.type == "cpu" else GPU_PACE


@dataclass
class Decoder:
    """Answers batches of prompts with one model."""

    model: PreTrainedModel
    stop_ids: frozenset[int]
    max_new_tokens: int
    stop: threading.Event
    pace: Pace = CPU_PACE
    _prefix: tuple[tuple[int, ...], RoomyCache] | None = field(default=None, init=False)
    _halving: Halving = field(default_factory=Halving, init=False)

    @torch.inference_mode()
    def answer(self, prompts: Sequence[Sequence[int]], shared: Sequence[int]) -> list[Generated]:
        """Answers in the order of the prompts, which all begin with ``shared``.

        Raises:
            StageError: INTERRUPTED, when stopped; nothing of this batch is kept.
            StageError: GPU_OUT_OF_MEMORY, the device does not hold one prompt.
        """
        order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
        rows = self._halving.answers(
            lambda part: self._decode(part, shared),
            [prompts[at] for at in order],
            self._rows_at_once(prompts),
        )
        answers = dict(zip(order, map(self._cut, rows), strict=True))
        return [answers[at] for at in range(len(prompts))]

    def _rows_at_once(self, prompts: Sequence[Sequence[int]]) -> int:
        """As many as the cache's budget allows."""
        longest = max(map(len, prompts)) + self.max_new_tokens
        return max(1, self.pace.cache_tokens // longest)

    def _decode(self, prompts: Sequence[Sequence[int]], shared: Sequence[int]) -> list[list[int]]:
        if not shares_prefixes(self.model):
            return answer_plainly(
                self.model, prompts, self.stop_ids, self.max_new_tokens, check=self._check_stop
            )
        batch = _Batch.padded(prompts, len(shared), self.max_new_tokens, self.model.device)
        cache = RoomyCache(
            self.model.config.get_text_config().num_hidden_layers,
            rows=len(prompts),
            capacity=batch.mask.shape[1],
        )
        if shared:
            cache.begin_with(self._prefix_cache(shared))
        batch.receive(self._prefill(batch, cache, len(shared)), self.stop_ids, cache)
        while batch.slots and batch.length < batch.mask.shape[1]:
            self._check_stop()
            batch.receive(self._step(batch, cache), self.stop_ids, cache)
        return batch.answers

    def _prefix_cache(self, shared: Sequence[int]) -> RoomyCache:
        """The shared prefix's keys and values, computed when they are not those of the last."""
        if self._prefix is None or self._prefix[0] != tuple(shared):
            layers = self.model.config.get_text_config().num_hidden_layers
            cache = RoomyCache(layers, rows=1, capacity=len(shared))
            ids = torch.tensor([list(shared)], device=self.model.device)
            self.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            self._prefix = (tuple(shared), cache)
        return self._prefix[1]

    def _prefill(self, batch: "_Batch", cache: RoomyCache, shared: int) -> torch.Tensor:
        """Each row's first answer token, [rows]; a few rows at a time, which stays in the cache.

        Rows come by length, so each part starts where its longest row does: little is padding.
        """
        width = batch.prompts.shape[1]
        found = []
        for window in windows(batch.lengths, self.pace.prefill_tokens):
            self._check_stop()
            start = width - batch.lengths[window.stop - 1]
            cache.look_at(window, shared + start)
            found.append(self._next(batch, cache, window, batch.prompts[window, start:]))
        cache.look_at(slice(0, len(batch.slots)), shared + width)
        return torch.cat(found)

    def _step(self, batch: "_Batch", cache: RoomyCache) -> torch.Tensor:
        window = slice(0, len(batch.slots))
        cache.look_at(window, batch.length)
        batch.length += 1
        return self._next(batch, cache, window, batch.last[window, None])

    def _next(
        self, batch: "_Batch", cache: RoomyCache, window: slice, ids: torch.Tensor
    ) -> torch.Tensor:
        mask = batch.mask[window, : batch.length]
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        logits = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        tokens: torch.Tensor = logits[:, -1].argmax(-1)
        return tokens

    def _check_stop(self) -> None:
        beat()
        if self.stop.is_set():
            raise StageError(
                FailureClass.INTERRUPTED,
                "stopped while answering; finished batches are kept, run again to go on",
            )

    def _cut(self, ids: Sequence[int]) -> Generated:
        """The answer up to its first stop token."""
        end = next((at for at, token in enumerate(ids) if token in self.stop_ids), None)
        if end is None:
            return Generated(list(ids), LENGTH)
        return Generated(list(ids[:end]), STOP)


@dataclass
class _Batch:
    """The rows under way. Slot i of every tensor belongs to prompt ``slots[i]``."""

    prompts: torch.Tensor  # [rows, width] after the shared prefix, padded on the left
    mask: torch.Tensor  # [rows, shared + width + max_new_tokens - 1]
    last: torch.Tensor  # [rows], the newest token of each
    lengths: list[int]  # of each prompt without padding, ascending
    slots: list[int]
    answers: list[list[int]]
    length: int  # columns filled

    @classmethod
    def padded(
        cls,
        prompts: Sequence[Sequence[int]],
        shared: int,
        max_new_tokens: int,
        device: torch.device,
    ) -> "_Batch":
        rests = [prompt[shared:] for prompt in prompts]
        width = max(map(len, rests))
        ids = torch.zeros(len(rests), width, dtype=torch.long)
        mask = torch.ones(len(rests), shared + width + max_new_tokens - 1, dtype=torch.long)
        for row, rest in enumerate(rests):
            ids[row, width - len(rest) :] = torch.tensor(rest)
            mask[row, shared : shared + width - len(rest)] = 0
        return cls(
            prompts=ids.to(device),
            mask=mask.to(device),
            last=torch.zeros(len(rests), dtype=torch.long, device=device),
            lengths=[len(rest) for rest in rests],
            slots=list(range(len(rests))),
            answers=[[] for _ in rests],
            length=shared + width,
        )

    def receive(self, tokens: torch.Tensor, stop_ids: frozenset[int], cache: RoomyCache) -> None:
        """Append a token to each row; rows that have ended leave, the last ones fill the gaps."""
        self.last[: len(self.slots)] = tokens
        values = tokens.tolist()
        for slot, token in zip(self.slots, values, strict=True):
            self.answers[slot].append(token)
        for place in reversed(range(len(values))):
            if values[place] in stop_ids:
                self._leave(place, cache)

    def _leave(self, place: int, cache: RoomyCache) -> None:
        end = len(self.slots) - 1
        if place != end:
            cache.move(end, place)
            self.mask[place] = self.mask[end]
            self.last[place] = self.last[end]
            self.slots[place] = self.slots[end]
        self.slots.pop()


def generate(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    batches: Sequence[Sequence[int]],
    on_batch: Callable[[int, list[Generated]], None],
    *,
    done: frozenset[int] = frozenset(),
) -> None:
    """Answer the batches of the plan that are not ``done``; each is handed on when it is whole."""
    common = shared_prefix(prompts)
    for number, batch in enumerate(batches):
        if number in done:
            continue
        members = [prompts[at] for at in batch]
        own = shared_prefix(members)
        # A few odd prompts must not cost everybody the shared part: twice as long pays for itself.
        shared = own if len(own) > 2 * len(common) else common
        on_batch(number, decoder.answer(members, shared))


def windows(lengths: Sequence[int], max_tokens: int) -> Iterator[slice]:
    """Neighbours of ascending length that are ``max_tokens`` together, padded to the longest."""
    start = 0
    for end in range(1, len(lengths) + 1):
        if end == len(lengths) or (end + 1 - start) * lengths[end] > max_tokens:
            yield slice(start, end)
            start = end


def plan_batches(lengths: Sequence[int], ids: Sequence[str], *, rows: int) -> list[list[int]]:
    """Positions by length, then id, so that a batch has little padding; the same for all arms."""
    order = sorted(range(len(ids)), key=lambda at: (lengths[at], ids[at]))
    return [order[start : start + rows] for start in range(0, len(order), rows)]


def shared_prefix(prompts: Sequence[Sequence[int]]) -> Sequence[int]:
    """The longest common beginning that leaves each prompt at least one token."""
    if not prompts:
        return []
    first, last = min(map(list, prompts)), max(map(list, prompts))  # all others lie between
    limit = min(map(len, prompts)) - 1
    pairs = zip(first[:limit], last[:limit], strict=True)
    end = next((at for at, (left, right) in enumerate(pairs) if left != right), max(limit, 0))
    return first[:end]
