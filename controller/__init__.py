"""The operator and the ``tunekeeper`` command. Of the trainer it knows only the contract."""
