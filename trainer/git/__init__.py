"""Git over smart HTTP, without a git: what is read from a server, and what is pushed to it.

dulwich speaks the protocol. No program is run, no configuration is read, nothing is checked out,
so there are no hooks, filters, submodules or other transports to switch off.
"""
