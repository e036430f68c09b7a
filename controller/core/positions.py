"""How a place in a line is shown."""

EXACT_POSITIONS = 20


def shown_position(position: int) -> str:
    """Exact near the head; coarse behind it, or each start would rewrite the whole queue."""
    if position <= EXACT_POSITIONS:
        return str(position)
    scale = 10 ** (len(str(position)) - 1)
    return f"{position // scale * scale} or later"
