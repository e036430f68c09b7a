"""The rights that the installation gives: exactly these, and none that could grow."""

from pathlib import Path

import pytest
import yaml

MANIFESTS = Path(__file__).parents[3] / "manifests"
RBAC = MANIFESTS / "rbac"
TENANT = MANIFESTS / "namespaced" / "tenant"
NAME, NAMESPACE = "tunekeeper-controller", "tunekeeper-system"
LEADER = "tunekeeper-leader-election"

READ = ("get", "list", "watch")

CONTROLLER = {
    "tunekeeper.dev/finetunejobs": READ,
    "tunekeeper.dev/basemodels": READ,
    "tunekeeper.dev/finetunejobs/status": ("update",),
    "tunekeeper.dev/basemodels/status": ("update",),
    "tunekeeper.dev/finetunejobs/finalizers": ("update",),
    "tunekeeper.dev/basemodels/finalizers": ("update",),
    "batch/jobs": (*READ, "create", "delete"),
    "/pods": READ,
    "/events": ("get", "list"),
    "events.k8s.io/events": ("create", "patch"),
}
LEASE = {
    "coordination.k8s.io/leases": ("create",),
    "coordination.k8s.io/leases/tunekeeper": ("get", "update"),
}
VIEW = {
    f"tunekeeper.dev/{kind}{part}": READ
    for kind in ("finetunejobs", "basemodels")
    for part in ("", "/status")
}
EDIT = {
    f"tunekeeper.dev/{kind}": ("create", "update", "patch", "delete", "deletecollection")
    for kind in ("finetunejobs", "basemodels")
}


def documents(folder=RBAC):
    texts = [path.read_text() for path in sorted(folder.glob("*.yaml"))]
    return [document for text in texts for document in yaml.safe_load_all(text)]


def named(kind, name):
    [found] = [d for d in documents() if d["kind"] == kind and d["metadata"]["name"] == name]
    return found


def rights(role):
    """Verbs by resource; a rule for one name alone would show as another key."""
    return {
        "/".join((group, resource, *rule.get("resourceNames", []))): tuple(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        pytest.param("ClusterRole", NAME, CONTROLLER, id="the controller in every namespace"),
        pytest.param("Role", LEADER, LEASE, id="the controller in its own namespace"),
        pytest.param("ClusterRole", "tunekeeper-view", VIEW, id="who may view"),
        pytest.param("ClusterRole", "tunekeeper-edit", EDIT, id="who may edit"),
    ],
)
def test_a_role_gives_exactly_its_table(kind, name, expected):
    assert rights(named(kind, name)) == expected


def test_there_are_no_other_roles():
    roles = {(d["kind"], d["metadata"]["name"]) for d in documents() if "rules" in d}
    names = {NAME, "tunekeeper-view", "tunekeeper-edit"}
    assert roles == {("Role", LEADER)} | {("ClusterRole", name) for name in names}


@pytest.mark.parametrize(
    ("binding", "role", "name"),
    [
        pytest.param("ClusterRoleBinding", "ClusterRole", NAME, id="in every namespace"),
        pytest.param("RoleBinding", "Role", LEADER, id="in its own namespace"),
    ],
)
def test_only_the_controller_is_bound(binding, role, name):
    document = named(binding, name)
    assert document["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": role,
        "name": name,
    }
    account = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
    assert document["subjects"] == [account]


@pytest.mark.parametrize(
    ("who", "joined"), [("view", {"view", "edit", "admin"}), ("edit", {"edit", "admin"})]
)
def test_a_users_role_joins_the_built_in_ones(who, joined):
    labels = named("ClusterRole", f"tunekeeper-{who}")["metadata"]["labels"]
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    assert {name.removeprefix(prefix) for name in labels if name.startswith(prefix)} == joined


def test_no_right_is_a_wildcard_or_reaches_into_secrets_or_pods():
    for role in (d for d in documents() if "rules" in d):
        words = " ".join(f"{key} {' '.join(verbs)}" for key, verbs in rights(role).items())
        for forbidden in ("*", "secrets", "pods/", "impersonate", "escalate", "bind"):
            assert forbidden not in words, role["metadata"]["name"]


def test_in_one_namespace_the_controller_may_do_what_it_else_may_in_all():
    [role] = [d for d in documents(TENANT) if d["kind"] == "Role"]
    [binding] = [d for d in documents(TENANT) if d["kind"] == "RoleBinding"]
    assert rights(role) == CONTROLLER
    assert binding["roleRef"]["kind"] == "Role"
    assert binding["roleRef"]["name"] == role["metadata"]["name"] == NAME
    assert binding["subjects"] == named("ClusterRoleBinding", NAME)["subjects"]
    assert {d["kind"] for d in documents(TENANT)} == {"Role", "RoleBinding", "Kustomization"}
