"""Keeps a model server at the promoted adapter: ``python -m trainer follow``, beside vLLM."""
