"""promoted.json: which adapter is in use, how it came to that, and what it is held against."""

from pydantic import Field

from trainer.contract.outcome import Move, Promoted

MAX_MOVES = 50


class PointerFile(Promoted):
    """The adapter in use with what a later judgement needs. Files of earlier releases read too."""

    anchor_run_id: str = Field(
        default="", description="NotWorse is asked against this run: the best promoted so far."
    )
    policy_run_id: str = Field(
        default="", description="What promotion.policy chose last; taken up again without a pin."
    )
    moves: list[Move] = Field(default=[], max_length=MAX_MOVES, description="Newest last.")

    @property
    def anchor(self) -> str:
        """The run that quality is anchored to."""
        return self.anchor_run_id or self.run_id

    @property
    def policy_choice(self) -> str:
        """The run that the policy chose last; empty: it never chose one."""
        return self.policy_run_id or (self.run_id if self.by == "Policy" else "")

    @property
    def history(self) -> list[Move]:
        """The known moves; in a file of an earlier release, the last one."""
        last = Move(sequence=self.sequence, run_id=self.run_id, time=self.time, by=self.by)
        return self.moves or [last]

    def shown(self) -> Promoted:
        """As the status has it."""
        return Promoted.model_validate(
            {name: getattr(self, name) for name in Promoted.model_fields}
        )
