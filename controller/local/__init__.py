"""The same core on one machine: a cluster made of processes and a folder."""
