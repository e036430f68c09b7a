"""The verdict: intervals, gates, looks, the pointer. Runs without torch."""
