"""The CustomResourceDefinitions of both kinds, made from their types.

Small enough for a client-side ``kubectl apply``, whose annotation may hold 256 KiB; ours stay
below 100 KiB each.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from controller.api import basemodel, finetunejob
from controller.api.meta import GROUP, VERSION
from controller.api.rules import RULES, add_rules
from controller.api.spelling import add_spelling_rules
from controller.api.status import NOT_OBSERVED, FineTuneJobStatus
from controller.api.structural import Schema, structural_schema


@dataclass(frozen=True)
class Column:
    """A column of ``kubectl get``; a wide one shows with ``-o wide`` only."""

    name: str
    path: str
    type: str = "string"
    is_wide: bool = False

    def document(self) -> dict[str, Any]:
        """As it stands in the CRD."""
        column = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return column | ({"priority": 1} if self.is_wide else {})


@dataclass(frozen=True)
class Kind:
    """What a CRD says beside its schema."""

    kind: str
    plural: str
    short_names: tuple[str, ...]
    description: str
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()
    """Fields for ``kubectl get --field-selector``."""


def _reason_of(condition: str) -> str:
    return f'.status.conditions[?(@.type=="{condition}")].reason'


FINE_TUNE_JOB = Kind(
    kind=finetunejob.KIND,
    plural="finetunejobs",
    short_names=("ftj",),
    description="What to train, how to judge it, where to put it, when to do it again.",
    spec=finetunejob.FineTuneJobSpec,
    status=FineTuneJobStatus,
    columns=(
        Column("Phase", ".status.phase"),
        Column("Verdict", ".status.evaluation.verdict"),
        Column("Score", '.status.evaluation.arms[?(@.name=="Tuned")].score'),
        Column("Base", ".status.run.baseModel.revision"),
        Column("Progress", ".status.progress.percent", type="integer"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("Reason", _reason_of("Succeeded"), is_wide=True),
        Column("Run", ".status.run.number", type="integer", is_wide=True),
        Column(
            "BaseCurrent", '.status.conditions[?(@.type=="BaseModelCurrent")].status', is_wide=True
        ),
        Column("Queue", ".spec.compute.queueName", is_wide=True),
    ),
    selectable=(".status.phase", ".status.evaluation.verdict"),
)

BASE_MODEL = Kind(
    kind=basemodel.KIND,
    plural="basemodels",
    short_names=(),
    description="Where a base model comes from, and what its newest revision is.",
    spec=basemodel.BaseModelSpec,
    status=basemodel.BaseModelStatus,
    columns=(
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Revision", ".status.latest.revision"),
        Column("Checked", ".status.lastCheckTime", type="date"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("Reason", _reason_of("Ready"), is_wide=True),
    ),
)

KINDS: tuple[Kind, ...] = (BASE_MODEL, FINE_TUNE_JOB)


def crd_documents() -> list[dict[str, Any]]:
    """Both CRDs, ready to be written as YAML or JSON."""
    return [_crd(kind) for kind in KINDS]


def object_schema(kind: Kind) -> Schema:
    """The structural schema of an object of the kind, rules included."""
    status = structural_schema(kind.status)
    # kstatus takes an object without a status for healthy, so there is one from the start.
    status["default"] = {"observedGeneration": NOT_OBSERVED}
    status["properties"]["conditions"] |= {
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    }
    schema: Schema = {
        "type": "object",
        "description": kind.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "maxLength": 64},
            "kind": {"type": "string", "maxLength": 64},
            "metadata": {"type": "object"},
            "spec": structural_schema(kind.spec),
            "status": status,
        },
    }
    add_spelling_rules(schema["properties"]["spec"])
    add_rules(schema, RULES[kind.kind])
    return schema


def _crd(kind: Kind) -> dict[str, Any]:
    singular = kind.kind.lower()
    names: dict[str, Any] = {
        "kind": kind.kind,
        "listKind": f"{kind.kind}List",
        "plural": kind.plural,
        "singular": singular,
        "categories": ["tunekeeper"],
    }
    if kind.short_names:
        names["shortNames"] = list(kind.short_names)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": names,
            "versions": [_version(kind)],
        },
    }


def _version(kind: Kind) -> dict[str, Any]:
    selectable = [{"jsonPath": path} for path in kind.selectable]
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [column.document() for column in kind.columns],
        "schema": {"openAPIV3Schema": object_schema(kind)},
    } | ({"selectableFields": selectable} if selectable else {})
