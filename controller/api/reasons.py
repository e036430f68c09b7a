"""Every reason there is: of a condition, of an event, and the label of a metric."""

from enum import StrEnum


class Reason(StrEnum):
    """A closed set; each failure class of the contract is a member under the same value."""

    # Where a run stands.
    PENDING = "Pending"
    RUN_STARTED = "RunStarted"
    QUEUED = "Queued"
    PREPARING = "Preparing"
    TRAINING = "Training"
    JUDGING = "Judging"
    COLLECTING = "Collecting"
    STOPPING = "Stopping"
    RETRYING = "Retrying"
    SUSPENDED = "Suspended"
    RESUMED = "Resumed"
    SUPERSEDED = "Superseded"

    # How a run ended well.
    SUCCEEDED = "Succeeded"
    ALREADY_TRAINED = "AlreadyTrained"
    JUDGED_AGAIN = "JudgedAgain"
    BASE_MOVED = "BaseMoved"

    # What is known of the data, the training and the evaluation.
    DATA_VALID = "DataValid"
    TRAINED = "Trained"
    STOPPED_EARLY = "StoppedEarly"
    PARTIAL = "Partial"
    EVALUATED = "Evaluated"

    # The verdicts, and what became of the adapter.
    PROMOTE = "Promote"
    REJECT = "Reject"
    NOT_NEEDED = "NotNeeded"
    INCONCLUSIVE = "Inconclusive"
    PROMOTED = "Promoted"
    REJECTED = "Rejected"
    AWAITING_APPROVAL = "AwaitingApproval"
    ROLLED_BACK = "RolledBack"
    PINNED = "Pinned"

    # The base model.
    BASE_MODEL_CURRENT = "BaseModelCurrent"
    NEW_REVISION_AVAILABLE = "NewRevisionAvailable"
    BASE_MODEL_NOT_FOUND = "BaseModelNotFound"
    BASE_MODEL_NOT_READY = "BaseModelNotReady"
    RESOLVING = "Resolving"
    RESOLVED = "Resolved"
    SETTLING = "Settling"
    WRITTEN_BACK = "WrittenBack"
    WRITE_BACK_FAILED = "WriteBackFailed"
    RATE_LIMITED = "RateLimited"
    UNSAFE_WEIGHTS = "UnsafeWeights"
    MARKER_NOT_FOUND = "MarkerNotFound"
    RETRAIN_WAITS = "RetrainWaits"
    ALREADY_JUDGED = "AlreadyJudged"

    # Waits that show while they last.
    NOT_ADMITTED = "NotAdmitted"
    QUOTA_EXCEEDED = "QuotaExceeded"
    ADMISSION_DENIED = "AdmissionDenied"
    IMAGE_PULL = "ImagePull"
    UNSCHEDULABLE = "Unschedulable"
    CONTAINER_CONFIG = "ContainerConfig"
    NAME_CONFLICT = "NameConflict"
    PROGRESS_UNAVAILABLE = "ProgressUnavailable"

    # What became of an attempt, as only the controller can see it.
    PREEMPTED = "Preempted"
    EVICTED = "Evicted"
    NODE_LOST = "NodeLost"
    JOB_LOST = "JobLost"

    # Why a stage did not do its work: trainer.contract.failures.FailureClass.
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
    UNEXPECTED = "Unexpected"
