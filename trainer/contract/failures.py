"""Failure classes and the exit code that carries each of them out of a stage.

Owns the names only; what follows from a class (retry, fail, wait) is decided in
``controller.core``. A class without a stage exit code is one that only the controller can see.
"""

from enum import StrEnum


class FailureClass(StrEnum):
    """Why a stage did not finish. The value is also the condition's reason."""

    INVALID_SPEC = "InvalidSpec"
    INVALID_DATA = "InvalidData"
    TEST_TOO_SMALL = "TestTooSmall"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a class name, no secret
    ACCESS_DENIED = "AccessDenied"
    NOT_FOUND = "NotFound"
    OUTPUT_IN_USE = "OutputInUse"
    CONDITIONAL_WRITES_UNSUPPORTED = "ConditionalWritesUnsupported"
    UNAVAILABLE = "Unavailable"
    HOST_OUT_OF_MEMORY = "HostOutOfMemory"
    HOST_STORAGE_EXCEEDED = "HostStorageExceeded"
    GPU_OUT_OF_MEMORY = "GpuOutOfMemory"
    DIVERGED = "Diverged"
    NO_PROGRESS = "NoProgress"
    INTERRUPTED = "Interrupted"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    BUDGET_EXCEEDED = "BudgetExceeded"
    SUPERSEDED = "Superseded"
    UNEXPECTED = "Unexpected"


EXIT_CODES: dict[FailureClass, int] = {
    FailureClass.UNEXPECTED: 1,
    FailureClass.INVALID_SPEC: 10,
    FailureClass.INVALID_DATA: 11,
    FailureClass.TEST_TOO_SMALL: 12,
    FailureClass.SECRET_NOT_FOUND: 13,
    FailureClass.ACCESS_DENIED: 14,
    FailureClass.NOT_FOUND: 15,
    FailureClass.OUTPUT_IN_USE: 16,
    FailureClass.CONDITIONAL_WRITES_UNSUPPORTED: 17,
    FailureClass.UNAVAILABLE: 18,
    FailureClass.HOST_STORAGE_EXCEEDED: 19,
    FailureClass.GPU_OUT_OF_MEMORY: 20,
    FailureClass.DIVERGED: 21,
    FailureClass.NO_PROGRESS: 22,
    FailureClass.INTERRUPTED: 23,
    FailureClass.DEADLINE_EXCEEDED: 24,
    FailureClass.BUDGET_EXCEEDED: 25,
    FailureClass.SUPERSEDED: 26,
    FailureClass.HOST_OUT_OF_MEMORY: 137,  # the kernel's SIGKILL, as a shell reports it
}

FAILURE_OF_EXIT_CODE: dict[int, FailureClass] = {code: kind for kind, code in EXIT_CODES.items()}
