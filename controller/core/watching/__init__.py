"""What a BaseModel decides: when its source is looked at, which revision counts, what is written.

Pure, as all of the core. ``decide.STEPS`` is the order; the work itself is two short stages, the
errands ``resolve`` and ``write-back``, one at a time.
"""
