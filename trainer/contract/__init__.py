"""What controller and trainer say to each other: the only trainer package the controller imports.

Owns the sections of a ``FineTuneJob`` spec that travel to a stage, the request a stage starts
from, its live progress, its outcome and its exit codes. Depends on pydantic and the standard
library only, and has no behaviour beyond parsing and printing.
"""
