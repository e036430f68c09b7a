"""A small controller runtime on the official client's transport.

Owns reading, watching and writing objects, the queue, the lease and events. Knows nothing of what
the controller is for: no type of ours, no decision, no name of ours.
"""
