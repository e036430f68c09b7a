"""What can go wrong between us and an API server."""

from http import HTTPStatus


class KubeError(Exception):
    """The API server could not be used, or said no."""


class ConfigError(KubeError):
    """There is no usable way to an API server; the message says which file or variable."""


class TransportError(KubeError):
    """No whole answer came back: whether a write happened is unknown."""


class MalformedError(KubeError):
    """The server sent something that is no list or no event at all."""


class ApiError(KubeError):
    """The server answered, with something other than success."""

    def __init__(
        self,
        status: int,
        reason: str = "",
        message: str = "",
        retry_after_s: float | None = None,
        *,
        request: str = "",
    ) -> None:
        self.status = status
        """The HTTP status, or the code inside an ERROR event of a watch."""
        self.reason = reason
        """The Status object's reason, such as ``NotFound``; empty when there was no such object."""
        self.message = message
        """In the server's words; never a raw body."""
        self.retry_after_s = retry_after_s
        """How long the server asked to be left alone; None when it did not."""
        self.request = request
        """Method and path."""
        super().__init__(self._text())

    def _text(self) -> str:
        answer = " ".join(filter(None, (str(self.status), self.reason)))
        return ": ".join(filter(None, (self.request, answer, self.message)))

    @property
    def is_not_found(self) -> bool:
        """Neither the object, nor perhaps its kind or its namespace, is there."""
        return self.status == HTTPStatus.NOT_FOUND

    @property
    def is_conflict(self) -> bool:
        """Someone else wrote in between, or the uid is another one."""
        return self.status == HTTPStatus.CONFLICT and not self.is_already_exists

    @property
    def is_already_exists(self) -> bool:
        """The name is taken."""
        return self.status == HTTPStatus.CONFLICT and self.reason == "AlreadyExists"

    @property
    def is_forbidden(self) -> bool:
        """By RBAC, by quota, or by an admission plugin."""
        return self.status == HTTPStatus.FORBIDDEN

    @property
    def is_gone(self) -> bool:
        """The resource version or the continue token is too old."""
        return self.status == HTTPStatus.GONE

    @property
    def is_invalid(self) -> bool:
        """The object breaks a rule of its kind."""
        return self.status == HTTPStatus.UNPROCESSABLE_ENTITY
