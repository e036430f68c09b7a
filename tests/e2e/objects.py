"""The object store of the tests: three identities, each with a bucket that only it may use."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.api import Json
from cluster.s3server import REGION, Identity, S3Server

BASE, DATA, OUTPUT = "base-models", "datasets", "adapters"
OWNERS = (BASE, DATA, OUTPUT)


@dataclass(frozen=True)
class Objects:
    """The store, as the tests fill it and as pods reach it."""

    server: S3Server
    identities: Mapping[str, Identity]
    endpoint: str

    def secrets(self) -> dict[str, dict[str, str]]:
        """One Secret a bucket, under the bucket's name."""
        return {
            bucket: {"AWS_ACCESS_KEY_ID": who.access, "AWS_SECRET_ACCESS_KEY": who.secret}
            for bucket, who in self.identities.items()
        }

    def storage(self, bucket: str) -> Json:
        """How a spec says to reach a bucket."""
        return {
            "secretRef": {"name": bucket},
            "endpoint": self.endpoint,
            "region": REGION,
            "pathStyle": True,
        }

    def put(self, bucket: str, key: str, content: bytes) -> str:
        """Upload an object; returns its URI."""
        self.server.client().put_object(Bucket=bucket, Key=key, Body=content)
        return f"s3://{bucket}/{key}"

    def put_tree(self, bucket: str, prefix: str, directory: Path) -> str:
        """Upload every file of a directory; returns the URI of the prefix."""
        client = self.server.client()
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                key = f"{prefix}/{path.relative_to(directory).as_posix()}"
                with path.open("rb") as body:
                    client.put_object(Bucket=bucket, Key=key, Body=body)
        return f"s3://{bucket}/{prefix}"

    def get_tree(self, bucket: str, prefix: str, directory: Path) -> list[str]:
        """Download what is below a prefix; returns the names."""
        client = self.server.client()
        names = [key.removeprefix(prefix) for key in self.server.keys(bucket, prefix)]
        for name in names:
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            found = client.get_object(Bucket=bucket, Key=prefix + name)
            path.write_bytes(found["Body"].read())
        return names


def filled(server: S3Server, host: str) -> Objects:
    """The store with its users and empty buckets; pods reach it at ``host``."""
    identities = {bucket: server.user(f"owner-of-{bucket}") for bucket in OWNERS}
    for bucket, owner in identities.items():
        server.bucket(bucket, owner)
    return Objects(server, identities, server.url.replace("127.0.0.1", host))
