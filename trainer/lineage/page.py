"""history.html."""

from trainer.contract.lineage import History


def render(history: History) -> str:
    """The whole page."""
    return history.uri
