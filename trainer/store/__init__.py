"""Where results go and data comes from: one small interface over file and object stores.

Owns atomicity, conditional writes and the layout of an output; knows nothing of training.
"""
