"""Large files to and from a bucket: multipart uploads and parallel ranged reads."""

from io import BytesIO
from pathlib import Path
from typing import Any

from s3transfer.manager import TransferConfig, TransferManager
from s3transfer.subscribers import BaseSubscriber

from trainer.pulse import beat
from trainer.store.base import OnBytes, ignore

PART_BYTES = 16 << 20
"""10,000 parts of it are more than the 150 GiB that one file of ours may ever have."""
CONCURRENCY = 8
BODY_ATTEMPTS = 3
"""Of an answer that breaks off; each of them is a request with attempts of its own."""

CONFIG = TransferConfig(
    multipart_threshold=PART_BYTES,
    multipart_chunksize=PART_BYTES,
    max_request_concurrency=CONCURRENCY,
    num_download_attempts=BODY_ATTEMPTS,
)


class _Follower(BaseSubscriber):  # type: ignore[misc] # s3transfer ships no types
    """Passes on how many bytes came; s3transfer takes back those that have to come again."""

    def __init__(self, on_bytes: OnBytes) -> None:
        self._on_bytes = on_bytes

    def on_progress(self, future: Any, bytes_transferred: int, **_kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """Called from s3transfer's threads."""
        beat()
        self._on_bytes(bytes_transferred)


class Heard(BytesIO):
    """Bytes whose way to the service is a sign of life: one request may take minutes."""

    def read(self, size: int | None = -1, /) -> bytes:
        """As they are sent."""
        beat()
        return super().read(size)


def send(client: Any, path: Path, *, Bucket: str, Key: str) -> None:  # noqa: ANN401, N803
    """Upload a file whole; an upload that fails leaves no parts behind."""
    with TransferManager(client, CONFIG) as manager:
        manager.upload(str(path), Bucket, Key, subscribers=[_Follower(ignore)]).result()


def fetch(
    client: Any,  # noqa: ANN401 - untyped botocore
    path: Path,
    *,
    Bucket: str,  # noqa: N803 - S3's own names
    Key: str,  # noqa: N803
    on_bytes: OnBytes,
) -> tuple[int, str | None]:
    """Download an object; returns the size and the ETag that the service says it has."""
    with TransferManager(client, CONFIG) as manager:
        future = manager.download(Bucket, Key, str(path), subscribers=[_Follower(on_bytes)])
        future.result()
    return future.meta.size, future.meta.etag
