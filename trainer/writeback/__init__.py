"""Writing a new revision of a base model into a repository of manifests. Runs without torch."""
