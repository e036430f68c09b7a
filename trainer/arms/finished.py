"""Finished batches of answers, kept in the store so that a later attempt goes on from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trainer.store import layout
from trainer.store.base import MissingError, Store
from trainer.store.manifest import ArmAnswer


def no_claim() -> None:
    """There is no fence to look at."""


@dataclass(frozen=True)
class FinishedBatches:
    """JSON lines objects below ``e<epoch>/answers/``, one for each batch of each arm.

    ``generation`` stands for everything that the answers depend on beside the run: the generation
    hash of the request. For the tuned arm pass the adapter's digest as ``model`` too.
    """

    store: Store
    run_id: str
    epoch: int
    generation: str
    check_claim: Callable[[], None] = no_claim

    def read(self, arm: str, number: int, ids: Sequence[str]) -> list[ArmAnswer] | None:
        """The batch as this or the newest earlier epoch left it; None: not all there."""
        for epoch in range(self.epoch, 0, -1):
            answers = self._parse(self._key(epoch, arm, number))
            if [answer.id for answer in answers] == list(ids):
                return answers
        return None

    def write(self, arm: str, number: int, answers: Sequence[ArmAnswer]) -> None:
        """Keep a whole batch."""
        self.check_claim()
        lines = "".join(answer.model_dump_json() + "\n" for answer in answers)
        self.store.write(self._key(self.epoch, arm, number), lines.encode())

    def _key(self, epoch: int, arm: str, number: int) -> str:
        name = f"answers/{layout.short(self.generation)}/{arm}/{number:05d}.jsonl"
        return layout.epoch(self.run_id, epoch, name)

    def _parse(self, key: str) -> list[ArmAnswer]:
        """What is there; nothing, when it is missing or not what this version writes."""
        try:
            lines = self.store.read(key).splitlines()
            return [ArmAnswer.model_validate_json(line) for line in lines]
        except (MissingError, ValueError):
            return []
