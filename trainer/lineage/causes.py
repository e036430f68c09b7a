"""Why there is a run: what differs from the run before it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainer.contract.lineage import Cause
from trainer.lineage.record import RunRecord


@dataclass(frozen=True)
class Origin:
    """What makes a run another one; empty where it was not recorded."""

    identity_hash: str
    rerun: str
    recipe: str
    base_digest: str
    dataset_digest: str

    def causes(self, before: "Origin") -> list[Cause]:
        """What is different, the most deliberate first."""
        told = [
            (Cause.SPEC, _differ(self.identity_hash, before.identity_hash)),
            (
                Cause.RERUN,
                bool(self.identity_hash and before.identity_hash) and self.rerun != before.rerun,
            ),
            (Cause.DATA, _differ(self.dataset_digest, before.dataset_digest)),
            (Cause.BASE, _differ(self.base_digest, before.base_digest)),
        ]
        found = [cause for cause, is_so in told if is_so]
        if not self._has_hashes(before) and Cause.DATA not in found:
            # An older release's ledger tells that the recipe is another, not what made it so.
            found[:0] = [Cause.SPEC] if _differ(self.recipe, before.recipe) else []
        return found or [Cause.UNKNOWN]

    def _has_hashes(self, before: "Origin") -> bool:
        return bool(self.identity_hash and before.identity_hash)


def _differ(ours: str, theirs: str) -> bool:
    return bool(ours and theirs) and ours != theirs


def origin_of(record: RunRecord, recipes: Mapping[str, str]) -> Origin:
    """What is recorded of a run."""
    lineage, plan, base = record.lineage, record.plan, record.base
    dataset = lineage.dataset_digest if lineage else plan.dataset_digest if plan else ""
    return Origin(
        identity_hash=lineage.identity_hash if lineage else "",
        rerun=lineage.rerun if lineage else "",
        recipe=recipes.get(record.id, ""),
        base_digest=base.content_digest if base else "",
        dataset_digest=dataset,
    )


def causes_of(origins: Sequence[Origin]) -> list[list[Cause]]:
    """For each run of an ordered history."""
    return [
        origin.causes(origins[place - 1]) if place else [Cause.FIRST]
        for place, origin in enumerate(origins)
    ]
