"""The operator: reads, writes and polls for the core.

Owns what the core may not do: the API server, the clock, the network, the processes' signals.
Decides nothing about a job that ``controller.core`` could decide.
"""
