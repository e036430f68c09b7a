"""The admission policies of the chart in one namespace, and people who write there."""

from typing import Any

from cluster.api import Api, ApiFailed, Json
from cluster.helm import render
from cluster.plane import ControlPlane

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
RBAC_GROUP = "rbac.authorization.k8s.io"
PLURALS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}


def install(plane: ControlPlane, namespace: str, **values: Any) -> None:
    """The policies of a release that works in this namespace only."""
    own_name = f"tk-{namespace[-6:]}"
    made = render(values, watchNamespaces=[namespace], fullnameOverride=own_name)
    for kind, plural in PLURALS.items():
        for document in made.of(kind):
            plane.api.post(f"{ADMISSION}/{plural}", document)


def path_of(kind: str, namespace: str) -> str:
    """Of a kind of ours."""
    return f"/apis/tunekeeper.dev/v1alpha1/namespaces/{namespace}/{kind.lower()}s"


def refusal(api: Api, namespace: str, document: Json) -> str:
    """Why a policy did not take the document, which nobody keeps; empty when it did."""
    try:
        api.post(f"{path_of(document['kind'], namespace)}?dryRun=All", document)
    except ApiFailed as error:
        if error.status == 403:
            return str(error)
        raise
    return ""


def give(plane: ControlPlane, namespace: str, user: str, rules: list[Json]) -> None:
    """Rights of a user in a namespace."""
    role = {"metadata": {"name": user}, "rules": rules}
    plane.api.post(f"{RBAC}/namespaces/{namespace}/roles", role)
    bind(plane, namespace, user, {"kind": "Role", "name": user})


def bind(plane: ControlPlane, namespace: str, user: str, role: Json) -> None:
    """The rights of a role in a namespace."""
    binding = {
        "metadata": {"name": user},
        "subjects": [{"kind": "User", "name": user, "apiGroup": RBAC_GROUP}],
        "roleRef": {"apiGroup": RBAC_GROUP, **role},
    }
    plane.api.post(f"{RBAC}/namespaces/{namespace}/rolebindings", binding)


def may(plane: ControlPlane, user: str, namespace: str, right: str) -> bool:
    """Whether a user has a right, written ``verb group/resource``."""
    verb, _, what = right.partition(" ")
    group, _, resource = what.rpartition("/")
    asked = {"namespace": namespace, "verb": verb, "group": group, "resource": resource}
    review = {"spec": {"user": user, "resourceAttributes": asked}}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return bool(plane.api.post(path, review)["status"]["allowed"])
