"""Answers about an output as it lies in its store: history, diff, verify. Writes nothing there."""
