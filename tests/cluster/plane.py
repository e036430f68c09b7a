"""A Kubernetes control plane on loopback: etcd, kube-apiserver and kube-controller-manager.

No root, no node: what a kubelet would do, ``cluster.pods`` plays. With ``address`` and the extra
flags it serves a real node as well.
"""

import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml
from cluster.api import Api, Json
from cluster.assets import binary
from cluster.process import Process, ProcessDied, wait_until

READY_S = 60.0
PORT_TRIES = 3
CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "disruption-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "pod-garbage-collector-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "ttl-after-finished-controller",
)
"""Without those that watch nodes: a node without a kubelet is tainted and its pods evicted."""
USERS = ("alice", "bob")
"""People without any right until a test gives them some."""


class ControlPlane:
    """Started by ``start`` or ``with``; ended by ``stop``, or by the kernel when the tests die.

    Files in ``early`` are applied before the controllers start: the garbage collector looks for new
    kinds only every 30 s, so the CRDs of owners belong there.
    """

    def __init__(
        self,
        *,
        early: Sequence[Path] = (),
        address: str = "127.0.0.1",
        folder: Path | None = None,
        apiserver_flags: Sequence[str] = (),
        controllers: Sequence[str] = CONTROLLERS,
        controller_flags: Sequence[str] = (),
    ) -> None:
        self.address = address
        self._is_own_folder = folder is None
        self._given_folder = folder
        self._early = tuple(early)
        self._apiserver_flags = tuple(apiserver_flags)
        self._controllers = tuple(controllers)
        self._controller_flags = tuple(controller_flags)
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Return when everything answers.

        Raises:
            ProcessDied: one of the three ended; with the end of its log.
            TimeoutError: it did not get ready in time.
        """
        programs = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
        self._programs = {name: binary(name) for name in programs}
        made = self._given_folder or Path(tempfile.mkdtemp(prefix="tunekeeper-plane-"))
        self.folder = made.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._start_all()
        except BaseException:
            self.stop()
            raise

    def _start_all(self) -> None:
        for tries_left in reversed(range(PORT_TRIES)):
            try:
                self._start_store_and_server()
                break
            except ProcessDied as died:
                self._end_processes()
                if not tries_left or "address already in use" not in str(died):
                    raise
        for path in self._early:
            self.kubectl("apply", "--server-side", "-f", path)
        self._start_controllers()

    def _start_store_and_server(self) -> None:
        """Free ports may be taken by another before they are bound; then all is tried again."""
        self.port, self._etcd_port = free_port(self.address), free_port("127.0.0.1")
        self._write_credentials()
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)
        self.etcd = self.run("etcd", self._etcd_command())
        self._wait("etcd", self._etcd_is_ready)
        self.apiserver = self.run("kube-apiserver", self._apiserver_command())
        self._wait("kube-apiserver", self._apiserver_is_ready)

    def restart_etcd(self) -> None:
        """End it as a power cut would and start it on what it has stored."""
        self.etcd.kill()
        self._processes.remove(self.etcd)
        self.etcd = self.run("etcd", self._etcd_command())
        self._wait("etcd", self._etcd_is_ready)

    def _start_controllers(self) -> None:
        command = self._controllers_command()
        self.controller_manager = self.run("kube-controller-manager", command)
        path = "/api/v1/namespaces/default/serviceaccounts/default"
        self._wait("kube-controller-manager", lambda: self.api.find(path))

    def run(self, name: str, command: Sequence[str | Path]) -> Process:
        """Another program of the cluster, logged and ended with the others."""
        process = Process(name, command, self.folder)
        self._processes.append(process)
        return process

    def stop(self) -> None:
        """End everything; the folder goes too unless it was given."""
        self._end_processes()
        if self._is_own_folder and hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def _end_processes(self) -> None:
        while self._processes:
            self._processes.pop().kill()  # nothing of it is kept, so nothing need be flushed

    def check(self) -> None:
        """Complain when one of the programs died.

        Raises:
            ProcessDied: with the end of its log.
        """
        for process in self._processes:
            process.check()

    def _wait(self, name: str, is_ready: Callable[[], object]) -> None:
        def ready() -> object:
            self.check()
            return is_ready()

        try:
            wait_until(ready, f"{name} gets ready", READY_S)
        except TimeoutError as error:
            tail = self._processes[-1].tail()
            raise TimeoutError(f"{error}; its log ends:\n{tail}") from None

    # What to run

    def _etcd_command(self) -> list[str | Path]:
        url = f"http://127.0.0.1:{self._etcd_port}"
        return [
            self._programs["etcd"],
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            "--listen-peer-urls=http://127.0.0.1:0",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _apiserver_command(self) -> list[str | Path]:
        return [
            self._programs["kube-apiserver"],
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            f"--bind-address={self.address}",
            f"--advertise-address={self.address}",
            f"--secure-port={self.port}",
            f"--cert-dir={self.folder / 'certs'}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            # It refuses blockOwnerDeletion without rights on the owner's finalizers.
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
            "--allow-privileged",
            "--endpoint-reconciler-type=none",  # loopback may not be an endpoint
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            # The server makes this key for its own certificate before it reads these flags.
            f"--service-account-signing-key-file={self.folder / 'certs' / 'apiserver.key'}",
            f"--service-account-key-file={self.folder / 'certs' / 'apiserver.key'}",
            "--profiling=false",
            *self._apiserver_flags,
        ]

    def _controllers_command(self) -> list[str | Path]:
        path = self.folder / "controllers.kubeconfig"
        return [
            self._programs["kube-controller-manager"],
            f"--kubeconfig={self._write_kubeconfig(path, self._controllers_token)}",
            f"--controllers={','.join(self._controllers)}",
            f"--root-ca-file={self.ca_file}",
            "--secure-port=0",
            "--leader-elect=false",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            "--resource-quota-sync-period=2s",
            *self._controller_flags,
        ]

    # Who may talk to it

    def _write_credentials(self) -> None:
        self._admin_token, self._controllers_token = (secrets.token_hex(16) for _ in range(2))
        self._user_tokens = {user: secrets.token_hex(16) for user in USERS}
        tokens = self.folder / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(
            f"{self._admin_token},admin,admin,system:masters\n"
            f"{self._controllers_token},controllers,controllers,system:masters\n"
            + "".join(f"{token},{user},{user}\n" for user, token in self._user_tokens.items())
        )
        self.kubeconfig = self._write_kubeconfig(
            self.folder / "admin.kubeconfig", self._admin_token
        )

    @property
    def url(self) -> str:
        """Of the API server."""
        return f"https://{self.address}:{self.port}"

    @property
    def ca_file(self) -> Path:
        """What its certificate is checked against."""
        return self.folder / "certs" / "apiserver.crt"

    @property
    def api(self) -> Api:
        """The API as an administrator sees it."""
        return Api(self.address, self.port, self.ca_file, self._admin_token)

    def api_for(self, service_account: str, namespace: str = "default") -> Api:
        """The API as a ServiceAccount sees it."""
        token = self.token_for(service_account, namespace)
        return Api(self.address, self.port, self.ca_file, token)

    def api_of(self, user: str) -> Api:
        """The API as one of ``USERS`` sees it."""
        return Api(self.address, self.port, self.ca_file, self._user_tokens[user])

    def kubeconfig_for(self, service_account: str, namespace: str = "default") -> Path:
        """A kubeconfig with exactly the rights of a ServiceAccount, for an hour."""
        path = self.folder / f"{namespace}-{service_account}.kubeconfig"
        token = self.token_for(service_account, namespace)
        return self._write_kubeconfig(path, token, namespace)

    def token_for(self, service_account: str, namespace: str = "default") -> str:
        """A token of a ServiceAccount, valid for an hour."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        answer = self.api.post(path, {"spec": {"expirationSeconds": 3600}})
        return str(answer["status"]["token"])

    def _write_kubeconfig(self, path: Path, token: str, namespace: str = "default") -> Path:
        cluster = {"server": self.url, "certificate-authority": str(self.ca_file)}
        context = {"cluster": "test", "user": "test", "namespace": namespace}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": context}],
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(document))
        return path

    # Talking to it

    def kubectl(
        self, *arguments: str | Path, stdin: str | Json | None = None, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """Run kubectl as an administrator; ``stdin`` is text or a document for ``-f -``.

        Raises:
            AssertionError: it failed, and ``check`` was left on; with what it said.
        """
        text = json.dumps(stdin) if isinstance(stdin, dict) else stdin
        ended = subprocess.run(  # noqa: S603 - kubectl
            [self._programs["kubectl"], *map(str, arguments)],
            env=os.environ | {"KUBECONFIG": str(self.kubeconfig), "HOME": str(self.folder)},
            input=text or "",
            capture_output=True,
            text=True,
            timeout=READY_S,
            check=False,
        )
        said = f"kubectl {' '.join(map(str, arguments))}: {ended.stderr}{ended.stdout}"
        assert not check or ended.returncode == 0, said
        return ended

    def _etcd_is_ready(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._etcd_port)) == 0

    def _apiserver_is_ready(self) -> bool:
        try:
            return self.api.raw("GET", "/readyz")[0] == 200
        except (OSError, ssl.SSLError):
            return False  # no certificate yet, or nobody listens


def free_port(address: str) -> int:
    """A port that nobody listens on, below those that outgoing connections are given."""
    for _ in range(1000):
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as probe:
            if probe.connect_ex((address, port)) == 0:
                continue
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
        return port
    raise OSError(f"no free port on {address}")
