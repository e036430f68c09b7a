"""Opens a client for an object store: endpoint, credentials, certificates and patience.

The only module that configures botocore. Nothing here sends a request.
"""

import atexit
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.store.s3place import SECTIONS, Place
from trainer.store.secrets import SecretFiles

REQUIRED = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
OPTIONAL = ("AWS_SESSION_TOKEN", "ca.crt")
DEFAULT_REGION = "us-east-1"
"""What services without regions sign with."""

S3Client = Any
"""botocore makes its clients at run time and ships no types."""


@dataclass(frozen=True)
class Patience:
    """How long one operation is tried."""

    connect_s: float = 10.0
    read_s: float = 30.0
    attempts: int = 5
    """Of one request; botocore waits up to 1, 2, 4, 8 s between them."""


PATIENCE = Patience()


@dataclass(frozen=True)
class Connection:
    """A client, and the place as messages name it."""

    client: S3Client
    place: Place


def connect(place: Place, secrets: SecretFiles, patience: Patience = PATIENCE) -> Connection:
    """Make a client for the place.

    Raises:
        StageError: the Secret, its keys, the endpoint or the certificates are missing or wrong.
    """
    ref = place.storage.secret_ref
    keys = secrets.values(
        place.role,
        ref,
        field=f"{SECTIONS[place.role]}.secretRef",
        required=REQUIRED,
        optional=OPTIONAL,
    )
    if keys is not None and ref is not None:
        place = replace(place, identity=f"Secret {ref.name}")
    try:
        client = _client(place, keys or {}, patience)
    except (BotoCoreError, ValueError) as error:
        raise _misconfigured(place, error) from None
    return Connection(client, replace(place, host=_host(client.meta.endpoint_url)))


def _client(place: Place, keys: Mapping[str, str], patience: Patience) -> S3Client:
    session = botocore.session.get_session()
    return session.create_client(
        "s3",
        region_name=_region(place.storage.region, session),
        endpoint_url=place.storage.endpoint,
        verify=_certificates(place, keys.get("ca.crt", "")),
        aws_access_key_id=keys.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=keys.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=keys.get("AWS_SESSION_TOKEN"),
        config=_config(patience, path_style=place.storage.path_style),
    )


def _config(patience: Patience, *, path_style: bool) -> Config:
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"} if path_style else None,
        connect_timeout=patience.connect_s,
        read_timeout=patience.read_s,
        retries={"mode": "standard", "total_max_attempts": patience.attempts},
        max_pool_connections=16,
        tcp_keepalive=True,
        # By default botocore adds CRC trailers in the aws-chunked encoding, which many services
        # that speak S3 refuse or store as content. What matters has a sha256 of ours.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def _region(given: str | None, session: Any) -> str:  # noqa: ANN401 - untyped botocore
    """The spec's, what workload identity sets, what the user's own configuration says."""
    configured = session.get_config_variable("region")
    return given or os.environ.get("AWS_REGION") or configured or DEFAULT_REGION


def _certificates(place: Place, from_secret: str) -> str | None:
    """A file with the certificates to trust; None: the system's."""
    pem = "\n".join(filter(None, (place.storage.ca_bundle, from_secret)))
    if not pem:
        return None
    try:
        ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):
        whose = place.setting("caBundle")
        reason = f"{whose} or ca.crt holds no PEM certificate; paste the CA's whole .pem file"
        raise place.error(FailureClass.INVALID_SPEC, reason) from None
    return _file_of(pem)


@cache
def _file_of(pem: str) -> str:
    """A file with this content until the process ends; botocore only reads files."""
    descriptor, name = tempfile.mkstemp(prefix="tunekeeper-ca-", suffix=".pem")
    atexit.register(Path(name).unlink, missing_ok=True)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(pem)
    return name


def _host(url: str) -> str:
    """Host and port alone: a URL may hold a password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _misconfigured(place: Place, error: Exception) -> StageError:
    """What botocore says before it sends anything; its text may repeat a URL with a password."""
    if isinstance(error, ValueError):
        reason = f"{place.setting('endpoint')} is not a URL that can be used; correct it"
        return place.error(FailureClass.INVALID_SPEC, reason)
    reason = (
        f"the AWS configuration of the environment cannot be used ({type(error).__name__}); "
        f"correct it, or set {place.setting('secretRef')}"
    )
    return place.error(FailureClass.ACCESS_DENIED, reason)
