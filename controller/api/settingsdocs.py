"""docs/settings.md: every setting of the operator, from the one table in ``settings``."""

import dataclasses
from typing import Any

from controller.settings import OperatorSettings, env_of, flag_of

HEAD = """# Settings of the operator

Generated from `controller/settings.py` by `make generate`; do not edit.

Each is an environment variable of the controller's container, set by a value of the chart
([chart.md](chart.md)) or in the Deployment by a patch, and a flag of `python -m controller`; a flag
wins, and an empty variable is as good as none. A value that cannot be used ends the process with
exit code 2 and a line that says what would do.
`manifests/default` sets the namespace and both images; the default of everything else is what a
cluster gets. What a person may set per job is in the job's spec: [api.md](api.md).

| variable | flag | default | meaning |
|---|---|---|---|
"""


def settings_markdown() -> str:
    """The whole page."""
    rows = dataclasses.fields(OperatorSettings)
    return HEAD + "".join(f"{_row(row)}\n" for row in rows)


def _row(row: "dataclasses.Field[Any]") -> str:
    names = f"| `{env_of(row.name)}` | `{flag_of(row.name)}`"
    return f"{names} | `{shown(row.default)}` | {row.metadata['help']} |"


def shown(default: object) -> str:
    """A default as people write it."""
    if isinstance(default, float):
        return f"{default:g}"
    return str(default) or '""'
