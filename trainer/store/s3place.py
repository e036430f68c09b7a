"""Where an object store is and whose credentials are used, in the words of the spec.

Every message about an object store starts here, so that it names the field to change.
"""

from dataclasses import dataclass
from typing import Literal

from trainer.contract.errand import Cause
from trainer.contract.failures import FailureClass
from trainer.contract.source import Storage
from trainer.errors import StageError
from trainer.store.secrets import Role

Setting = Literal["endpoint", "region", "caBundle", "secretRef"]

SECTIONS: dict[Role, str] = {
    "base": "spec.baseModel.s3.storage",
    "dataset": "spec.dataset.storage",
    "output": "spec.output.storage",
}
ENVIRONMENT: dict[Setting, str] = {
    "endpoint": "AWS_ENDPOINT_URL",
    "region": "AWS_REGION",
    "caBundle": "AWS_CA_BUNDLE",
    "secretRef": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
}
MAX_SHOWN = 160


@dataclass(frozen=True)
class Place:
    """One URI of an object store."""

    uri: str
    """Without a trailing slash."""
    field: str
    """What names it: spec.output.uri; outside a spec only a word."""
    role: Role
    storage: Storage
    host: str = ""
    """Host and port of the service; empty: not known yet."""
    identity: str = "the environment's credentials"
    """Whose credentials are used."""

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.uri.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        """What every key starts with: empty, or with a slash at its end."""
        path = self.uri.removeprefix("s3://").partition("/")[2]
        return f"{path}/" if path else ""

    def setting(self, name: Setting) -> str:
        """What to change: a field of the spec, or a variable where there is no spec."""
        if self.field.startswith("spec."):
            return f"{SECTIONS[self.role]}.{name}"
        return ENVIRONMENT[name]

    def error(
        self,
        failure: FailureClass,
        reason: str,
        *,
        cause: Cause | None = None,
        retry_after_s: int | None = None,
    ) -> StageError:
        """A failure at this place; ``reason`` also says what to do."""
        message = f"{self.field}: {shortened(self.uri)}: {reason}"
        return StageError(failure, message, cause=cause, retry_after_s=retry_after_s)


def shortened(uri: str) -> str:
    """The URI, or both its ends when it would crowd out what is said about it."""
    half = MAX_SHOWN // 2
    return uri if len(uri) <= MAX_SHOWN else f"{uri[:half]}...{uri[-half:]}"
