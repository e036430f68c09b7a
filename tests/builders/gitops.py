"""Health of an object as Argo CD and as Flux compute it, by a real Lua and a real CEL."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cel
import yaml
from lupa.lua51 import LuaRuntime

HIDDEN = ("string", "math", "io", "debug", "os", "coroutine", "python")
"""What Lua 5.1 has and Argo CD leaves out (of os it gives a part that no check needs)."""
KSTATUS = {
    "Progressing": "InProgress",
    "Healthy": "Current",
    "Suspended": "Current",
    "Degraded": "Failed",
}
"""Argo CD's word -> kstatus's."""


@dataclass(frozen=True)
class ArgoCheck:
    """A health.lua."""

    path: Path

    def health(self, document: Mapping[str, Any]) -> dict[str, str]:
        """Status and message, as the script returns them for the object."""
        lua = LuaRuntime(register_eval=False)
        for name in HIDDEN:
            lua.globals()[name] = None
        lua.globals().obj = lua.table_from(document, recursive=True)
        return dict(lua.execute(self.path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class FluxCheck:
    """One entry of ``spec.healthCheckExprs`` of a Flux Kustomization."""

    expressions: Mapping[str, str]

    def status(self, document: Mapping[str, Any]) -> str:
        """By the rules of Flux's RFC 0009.

        The generation first, then the three expressions in this order; none of them: in progress.
        """
        if document["status"]["observedGeneration"] != document["metadata"]["generation"]:
            return "InProgress"
        for name in ("inProgress", "failed", "current"):
            expression = self.expressions.get(name)
            if expression and cel.evaluate(expression, dict(document)):
                return name[0].upper() + name[1:]
        return "InProgress"


def flux_checks(page: str) -> list[FluxCheck]:
    """The expressions for FineTuneJobs on a page, in their order."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    documents = [document for block in blocks for document in yaml.safe_load_all(block)]
    checks = [one.get("spec", {}).get("healthCheckExprs", []) for one in documents]
    return [FluxCheck(check) for found in checks for check in found]
