"""A real S3 service on a free loopback port: versitygw over a directory, with its own users."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import botocore.session
from botocore.config import Config
from cluster.assets import binary
from cluster.process import Process, ProcessDied, wait_until

REGION = "us-east-1"
STARTS = 5
"""Another program may take the port between our look and the server's."""


@dataclass(frozen=True)
class Identity:
    """A user of the service."""

    access: str
    secret: str

    def environ(self) -> dict[str, str]:
        """As a person, or workload identity, would give it to a program."""
        return {
            "AWS_ACCESS_KEY_ID": self.access,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def secret_files(self, directory: Path) -> None:
        """As a Secret's volume would give it to a pod."""
        directory.mkdir(parents=True)
        (directory / "AWS_ACCESS_KEY_ID").write_text(self.access)
        (directory / "AWS_SECRET_ACCESS_KEY").write_text(self.secret)


ROOT = Identity("root", "root-secret")


@dataclass(frozen=True)
class S3Server:
    """The service as tests use it."""

    url: str
    ca: str = ""
    """PEM of its certificate authority; empty: it speaks plain HTTP."""
    ca_file: str | None = None

    @property
    def host(self) -> str:
        """Host and port."""
        return self.url.partition("://")[2]

    def user(self, name: str) -> Identity:
        """A new user, who may do nothing yet."""
        identity = Identity(name, f"{name}-secret")
        self._admin("create-user", "-a", name, "-s", identity.secret, "-r", "user")
        return identity

    def bucket(self, name: str, owner: Identity) -> str:
        """A new bucket that only its owner may use; returns its URI."""
        self._admin("create-bucket", "--bucket", name, "-o", owner.access)
        return f"s3://{name}"

    def client(self, identity: Identity = ROOT):
        """A client of botocore's own, to look behind the code under test."""
        return botocore.session.get_session().create_client(
            "s3",
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=identity.access,
            aws_secret_access_key=identity.secret,
            verify=self.ca_file,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """Every key of a bucket, as its owner sees them."""
        answer = self.client().list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [found["Key"] for found in answer.get("Contents", [])]

    def _admin(self, *arguments: str) -> None:
        login = ["-a", ROOT.access, "-s", ROOT.secret, "-er", self.url, "--allow-insecure"]
        command = [binary("versitygw"), "admin", *login, *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=60)  # noqa: S603


@contextmanager
def s3_server(folder: Path, *, tls: bool = False) -> Iterator[S3Server]:
    """The service, its objects and users below ``folder``; ended with the block."""
    for name in ("objects", "users", "versions"):
        (folder / name).mkdir(parents=True)
    ca = make_certificates(folder) if tls else None
    process, server = _started(folder, ca)
    try:
        yield server
    finally:
        process.stop()


def _started(folder: Path, ca: Path | None) -> tuple[Process, S3Server]:
    for _ in range(STARTS - 1):
        try:
            return _start(folder, ca)
        except ProcessDied:
            continue
    return _start(folder, ca)


def _start(folder: Path, ca: Path | None) -> tuple[Process, S3Server]:
    host = f"127.0.0.1:{free_port()}"
    tls = ["--cert", folder / "server.pem", "--key", folder / "server.key"] if ca else []
    command = [binary("versitygw"), "--port", host, *tls, "--access", ROOT.access]
    command += ["--secret", ROOT.secret, "--region", REGION, "--iam-dir", folder / "users"]
    command += [
        "--iam-cache-disable",
        "--health",
        "/health",
        "--quiet",
        "posix",
        "--versioning-dir",
        folder / "versions",
        folder / "objects",
    ]
    process = Process("versitygw", command, folder)
    server = S3Server(
        f"{'https' if ca else 'http'}://{host}",
        ca.read_text() if ca else "",
        str(ca) if ca else None,
    )
    wait_until(lambda: answers(process, host), f"versitygw on {host}")
    return process, server


def answers(process: Process, host: str) -> bool:
    """Whether a server listens; a page of its health over TLS would need its CA here."""
    process.check()
    address, _, port = host.partition(":")
    try:
        socket.create_connection((address, int(port)), timeout=1).close()
    except OSError:
        return False
    process.check()
    return True


def free_port() -> int:
    """A loopback port that nobody had a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def make_certificates(folder: Path) -> Path:
    """A certificate authority and a certificate of it for 127.0.0.1; returns the authority's."""
    ca, key = folder / "ca.pem", folder / "ca.key"
    extensions = folder / "server.cnf"
    extensions.write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    server, request = folder / "server.key", folder / "server.csr"
    openssl("req", "-x509", *curve, "-keyout", key, "-out", ca, "-days", "2", "-subj", "/CN=test")
    openssl("req", *curve, "-keyout", server, "-out", request, "-subj", "/CN=127.0.0.1")
    signed = ["-CA", ca, "-CAkey", key, "-CAcreateserial", "-extfile", extensions, "-days", "2"]
    openssl("x509", "-req", "-in", request, "-out", folder / "server.pem", *signed)
    return ca


def openssl(*arguments: str | Path) -> None:
    """Run openssl's command."""
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)  # noqa: S603, S607
