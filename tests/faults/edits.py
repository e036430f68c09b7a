"""What a user changes between the status write and the create, while the cache cannot show it."""

import asyncio
from typing import ClassVar

from faults import verdict
from faults.fault import AtWrite
from faults.proxy import Line, Reply

UNSEEN_S = 1.0
"""Long enough for a create that should not be."""


class UnseenSuspend(AtWrite):
    """Suspended; resumed a little later."""

    allows: ClassVar[frozenset[str]] = frozenset({verdict.GENERATIONS})

    async def befall(self, line: Line) -> Reply | None:
        """The status write is well; its answer comes after the edit."""
        reply = await line.forward()
        self.rig.gates.freeze("finetunejobs")
        await asyncio.to_thread(self.act)
        self.soon(self._undo())
        return reply

    def act(self) -> None:
        """What the user does."""
        self.rig.edit(suspend=True)

    def undo(self) -> None:
        """What the user does then."""
        self.rig.edit(suspend=False)

    async def _undo(self) -> None:
        await asyncio.sleep(UNSEEN_S)
        await asyncio.to_thread(self.undo)
        self.rig.gates.thaw("finetunejobs")


class UnseenRecreate(UnseenSuspend):
    """Deleted, and made again under the same name."""

    allows: ClassVar[frozenset[str]] = frozenset({verdict.GENERATIONS, verdict.ATTEMPTS})

    def act(self) -> None:
        """What the user does."""
        self.rig.recreate()

    def undo(self) -> None:
        """Nothing more."""
