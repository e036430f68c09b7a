"""Which rank computes which documents: a rule that every rank knows without asking.

Pure. The plan of steps does not depend on it, only who does what of a step.
"""

from collections.abc import Sequence


def shares(members: Sequence[int], lengths: Sequence[int], *, world: int) -> list[list[int]]:
    """The members for each rank, so that their tokens are nearly equal; a share may be empty.

    The longest first, each to the rank that has the fewest tokens so far.
    """
    found: list[list[int]] = [[] for _ in range(world)]
    tokens = [0] * world
    for member in sorted(members, key=lambda i: (-lengths[i], i)):
        rank = tokens.index(min(tokens))
        found[rank].append(member)
        tokens[rank] += lengths[member]
    return found
