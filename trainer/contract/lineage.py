"""What ``history``, ``diff`` and ``verify`` answer: the documents that the command shows.

Read off an output as it lies there, so everything that an older release did not write, or that a
run has not come to yet, may be missing: then it is None or empty, and ``problems`` says what
could not be read.
"""

from enum import StrEnum
from typing import Literal

from pydantic import Field, JsonValue

from trainer.contract.base import Wire
from trainer.contract.outcome import Cost, Move
from trainer.contract.verdict import ArmScore, Comparison, Verdict

RunState = Literal["Begun", "Prepared", "Trained", "Answered", "Judged"]
"""How far a run has come, by what it left."""


class Cause(StrEnum):
    """What differs from the run before."""

    FIRST = "First"
    SPEC = "SpecChanged"
    DATA = "DataChanged"
    BASE = "BaseMoved"
    RERUN = "Rerun"
    UNKNOWN = "NotRecorded"


class BaseRecord(Wire):
    """The base model of a run."""

    source: str
    revision: str
    content_digest: str
    config_sha256: str = ""
    tokenizer_sha256: str = ""
    template_sha256: str = ""
    vocabulary_size: int = 0
    architecture: str = ""


class HistoryRun(Wire):
    """One run of an output."""

    id: str
    state: RunState
    number: int | None = Field(default=None, description="None: not known, or not told apart.")
    created: str = Field(default="", description="When it was trained, or first judged.")
    judged: str = Field(default="", description="When its newest verdict was reached.")
    causes: list[Cause] = Field(default=[], description="Why there is this run.")
    base: BaseRecord | None = None
    dataset_digest: str = ""
    partial: bool = Field(default=False, description="A limit ended its training early.")
    verdict: Verdict | None = None
    reason: str = ""
    metric: str = ""
    confidence_percent: float | None = None
    arms: list[ArmScore] = Field(default=[])
    hardest: Comparison | None = Field(default=None, description="Tuned against the hardest arm.")
    against_promoted: Comparison | None = None
    cost: Cost | None = None
    moves: list[Move] = Field(default=[], description="When the pointer came to it.")
    promoted: bool = Field(default=False, description="It is the one in use now.")
    git_commit: str = ""
    image: str = ""
    identity_hash: str = ""
    rerun: str = ""
    problems: list[str] = Field(default=[])


class History(Wire):
    """Every run of an output, oldest first."""

    uri: str
    namespace: str = ""
    name: str = Field(default="", description="Of the job that owns the output.")
    runs: list[HistoryRun]
    promoted_run_id: str = ""
    moves: list[Move] = Field(default=[], description="Oldest first, as far as recorded.")
    problems: list[str] = Field(default=[])


class DiffSide(Wire):
    """One of the two runs."""

    uri: str
    run: HistoryRun


class ArmPair(Wire):
    """One arm in both runs."""

    name: str
    a: ArmScore | None = None
    b: ArmScore | None = None


class ChangedItem(Wire):
    """A test item that the two adapters answer differently well."""

    id: str
    question: str
    reference: str
    answer_a: str
    answer_b: str
    score_a: float
    score_b: float


class Changes(Wire):
    """The tuned answers to the test items that both runs have."""

    shared: int
    only_a: int = Field(description="Items of a that b does not have, or has with other words.")
    only_b: int
    right_to_wrong: int = Field(description="Scored 1 in a and less in b.")
    wrong_to_right: int
    better: int = Field(description="Scored higher in b; right or not.")
    worse: int
    lost: list[ChangedItem] = Field(default=[], description="First 10 that went wrong.")
    gained: list[ChangedItem] = Field(default=[], description="First 10 that went right.")


class PairedDifference(Wire):
    """Tuned of b minus tuned of a, on the items that both have."""

    delta: float
    ci_low: float
    ci_high: float
    confidence_percent: float
    method: str
    p_value: float | None = Field(default=None, description="McNemar, for right and wrong answers.")


class FieldDifference(Wire):
    """A field that the two runs do not agree on; None: there is none."""

    field: str
    a: JsonValue = None
    b: JsonValue = None


class Diff(Wire):
    """Two runs side by side."""

    a: DiffSide
    b: DiffSide
    arms: list[ArmPair] = Field(default=[])
    tuned: PairedDifference | None = None
    changes: Changes | None = None
    spec: list[FieldDifference] = Field(default=[])
    data: list[FieldDifference] = Field(default=[])
    base: list[FieldDifference] = Field(default=[])
    notes: list[str] = Field(default=[], description="What could not be compared, and why.")


class Fault(StrEnum):
    """What is wrong with a place."""

    MISMATCH = "Mismatch"
    MISSING = "Missing"
    EXTRA = "Extra"
    UNREADABLE = "Unreadable"


class Finding(Wire):
    """One thing that is not as a manifest says."""

    place: str = Field(description="Key below the output.")
    fault: Fault
    message: str


class CheckedRun(Wire):
    """What was looked at of one run."""

    id: str
    state: RunState
    files: int = Field(description="Files that a manifest vouches for.")
    bytes: int
    findings: int


class Verification(Wire):
    """Whether everything in an output is what its manifests say."""

    uri: str
    ok: bool
    files: int
    bytes: int
    runs: list[CheckedRun]
    findings: list[Finding]
    notes: list[str] = Field(default=[], description="What nothing vouches for.")


class VerifyProgress(Wire):
    """One line on standard error while ``verify --progress`` works."""

    done: int
    total: int
