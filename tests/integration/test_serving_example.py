"""examples/serving is applied as it is, in a namespace that enforces restricted pods."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from cluster.process import wait_until

from trainer.follow.command import _parser

EXAMPLE = Path(__file__).parents[2] / "examples" / "serving"
RESTRICTED = {
    f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")
}


@pytest.fixture(scope="module")
def rendered(plane):
    documents = yaml.safe_load_all(plane.kubectl("kustomize", EXAMPLE).stdout)
    return {document["kind"]: document for document in documents if "MODEL" in str(document)} | {
        "Service": yaml.safe_load((EXAMPLE / "service.yaml").read_text())
    }


@pytest.fixture(scope="module")
def namespace(plane):
    plane.api.post("/api/v1/namespaces", {"metadata": {"name": "ml", "labels": RESTRICTED}})
    account = ("-n", "ml", "get", "serviceaccount", "default")
    wait_until(lambda: not plane.kubectl(*account, check=False).returncode, "the default account")
    yield "ml"
    plane.kubectl("delete", "namespace", "ml", "--wait=false")


def containers(rendered):
    spec = rendered["Deployment"]["spec"]["template"]["spec"]
    return {each["name"]: each for each in (*spec["initContainers"], *spec["containers"])}


def told(rendered, name):
    """The words that a container is started with, its variables put in as the kubelet does."""
    container = containers(rendered)[name]
    values = rendered["ConfigMap"]["data"]
    words = [*container.get("command", []), *container["args"]]
    return [re.sub(r"\$\((\w+)\)", lambda match: values[match[1]], word) for word in words]


@pytest.mark.usefixtures("namespace")
def test_the_api_server_takes_all_of_it_and_warns_of_nothing(plane):
    applied = plane.kubectl("apply", "--dry-run=server", "-k", EXAMPLE)
    assert applied.stderr == ""
    assert len(applied.stdout.splitlines()) == 4


def test_a_pod_of_it_is_admitted_where_restricted_is_enforced(plane, namespace, rendered):
    template = rendered["Deployment"]["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"]}
    pod["metadata"] = {"name": "one", "namespace": namespace}
    assert plane.kubectl("apply", "--dry-run=server", "-f-", stdin=pod).stderr == ""


def test_the_sidecar_is_told_what_the_command_understands(rendered):
    *command, word = told(rendered, "follow")[:5]
    assert [*command, word] == ["python", "-P", "-m", "trainer", "follow"]
    options = _parser().parse_args(told(rendered, "follow")[5:])
    values = rendered["ConfigMap"]["data"]
    assert (options.output, options.name) == (values["OUTPUT"], values["NAME"])
    assert options.base == values["BASE_REVISION"]
    assert options.storage.secret_ref.name == "adapters-read"


def test_both_containers_see_adapters_and_server_at_the_same_places(rendered):
    follow, vllm = (containers(rendered)[name] for name in ("follow", "vllm"))
    options = _parser().parse_args(told(rendered, "follow")[5:])
    for container in (follow, vllm):
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounts["adapters"] == str(options.directory)
    assert f"{options.directory}/ready" == follow["readinessProbe"]["exec"]["command"][-1]
    host, port = options.server.removeprefix("http://").split(":")
    assert {f"--host={host}", f"--port={port}"} <= set(told(rendered, "vllm"))


def test_server_and_sidecar_have_one_base_revision_and_another_one_rolls_the_pods(rendered):
    revision = rendered["ConfigMap"]["data"]["BASE_REVISION"]
    assert f"--revision={revision}" in told(rendered, "vllm")
    names = {
        each["envFrom"][0]["configMapRef"]["name"]
        for each in containers(rendered).values()
        if "envFrom" in each
    }
    assert names == {rendered["ConfigMap"]["metadata"]["name"]}
    assert names != {"serving"}  # named after its content


def test_the_gate_opens_no_route_that_changes_what_is_served():
    gate = (EXAMPLE / "gate.conf").read_text()
    [table] = re.findall(r"map \$uri \$is_open \{(.*?)\}", gate, re.DOTALL)
    routes = [shlex.split(line.strip(" ;")) for line in table.strip().splitlines()]
    assert routes[0] == ["default", "0"]
    opened = {route for route, is_open in routes if is_open == "1"}
    models = {"/v1/models", "/v1/completions", "/v1/chat/completions"}
    assert opened == {"/health", "/metrics", *models}
