"""The base model in memory: loading, attention over packs, the adapter. Needs torch."""
