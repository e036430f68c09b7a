"""Operator processes, an API server and what Kubernetes does, in memory and in virtual time."""
