"""Reads, checks, splits and tokenises data: the prepare stage. Runs without torch."""
