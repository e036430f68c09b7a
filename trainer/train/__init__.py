"""The train stage: packing, loss, the optimisation loop, checkpoints. Needs torch."""
