"""What Prometheus is told of each BaseModel: gauges from the statuses, counts of what happened.

One collector, so that an object's series go with the object, the counters included.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from controller.api.basemodel import BaseModelStatus, ErrandFailure
from controller.api.conditions import ConditionType
from controller.api.reasons import Reason
from controller.core.conditions import find, is_true
from controller.kube.objects import Key
from trainer.contract.errand import Errand

BASE = ("namespace", "basemodel")
SUCCESS = "success"

GAUGES: Mapping[str, str] = {
    "ready": "1: the condition Ready is True.",
    "stalled": "1: only a person can mend it.",
    "suspended": "1: its source is not looked at, as its spec asks.",
    "last_check_timestamp_seconds": "When its source was looked at last.",
    "last_success_timestamp_seconds": "When a look at its source last found a revision.",
    "check_failures": "Looks in a row that failed.",
    "write_back_failures": "Write-backs in a row that failed.",
    "revision_timestamp_seconds": "When its newest revision began to count.",
    "settling": "1: a newer revision was seen and has not settled.",
}
COUNTERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "checks": ("Looks at the source that ended, by result.", ("result",)),
    "updates": ("Revisions that came to count after another one.", ()),
    "write_backs": ("Write-backs that ended, by result.", ("result",)),
}

Count = tuple[str, tuple[str, ...]]
"""Counter, and the values of its own labels."""

FROM_THE_START: tuple[Count, ...] = (
    ("checks", (SUCCESS,)),
    ("updates", ()),
    ("write_backs", (SUCCESS,)),
)
LAST_SUCCESS = "last_success_timestamp_seconds"


class BaseModels(Collector):
    """The base models of the operator that leads; a standby knows none."""

    def __init__(self) -> None:
        self._gauges: dict[Key, dict[str, float]] = {}
        self._counts: dict[Key, Counter[Count]] = {}

    def put(self, key: Key, status: BaseModelStatus) -> None:
        """The object as it is stored now. A rate needs its series before the first event."""
        # The status of a failing one does not say when it last was well.
        before = self._gauges.get(key, {})
        kept = {name: before[name] for name in (LAST_SUCCESS,) if name in before}
        self._gauges[key] = kept | dict(gauges(status))
        self._counts.setdefault(key, Counter(dict.fromkeys(FROM_THE_START, 0)))

    def count(self, key: Key, before: BaseModelStatus, after: BaseModelStatus) -> None:
        """What happened between the two."""
        self._counts[key].update(happened(before, after))

    def remove(self, key: Key) -> None:
        """The object is gone, and its series with it."""
        self._gauges.pop(key, None)
        self._counts.pop(key, None)

    def clear(self) -> None:
        """This process leads no more."""
        self._gauges.clear()
        self._counts.clear()

    def collect(self) -> Iterator[Metric]:
        """Every family with the samples of every object."""
        for name, text in GAUGES.items():
            gauge = GaugeMetricFamily(f"tunekeeper_basemodel_{name}", text, labels=BASE)
            for key, known in self._gauges.items():
                if name in known:
                    gauge.add_metric(key, known[name])
            yield gauge
        for name, (text, labels) in COUNTERS.items():
            counter = CounterMetricFamily(
                f"tunekeeper_basemodel_{name}", text, labels=(*BASE, *labels)
            )
            for key, counts in self._counts.items():
                for (counted, own), value in counts.items():
                    if counted == name:
                        counter.add_metric((*key, *own), value)
            yield counter


def gauges(status: BaseModelStatus) -> Iterator[tuple[str, float]]:
    """What one status says; nothing of what has not happened yet."""
    yield "ready", float(is_true(status.conditions, ConditionType.READY))
    yield "stalled", float(is_true(status.conditions, ConditionType.STALLED))
    yield "suspended", float(_is_suspended(status))
    yield "settling", float(status.candidate is not None)
    yield "check_failures", _in_a_row(status.look_failure)
    yield "write_back_failures", _in_a_row(status.write_back_failure)
    if status.last_check_time is not None:
        yield "last_check_timestamp_seconds", status.last_check_time.timestamp()
        if status.look_failure is None:
            yield LAST_SUCCESS, status.last_check_time.timestamp()
    if status.latest is not None:
        yield "revision_timestamp_seconds", status.latest.observed_time.timestamp()


def _is_suspended(status: BaseModelStatus) -> bool:
    said = find(status.conditions, ConditionType.READY)
    return said is not None and said.reason is Reason.SUSPENDED


def _in_a_row(failure: ErrandFailure | None) -> float:
    """One whose spec was changed since is void."""
    if failure is None or failure.not_before is None:
        return 0.0
    return float(failure.failures)


def happened(before: BaseModelStatus, after: BaseModelStatus) -> Iterator[Count]:
    """An errand that did its work or failed, and what came of it; one that was stopped did none."""
    if before.last_check_time != after.last_check_time:
        failed = after.look_failure
        yield "checks", (failed.reason if failed is not None else SUCCESS,)
    if before.latest is not None and after.latest is not None:
        is_news = before.latest.content_digest != after.latest.content_digest
        yield from [("updates", ())] if is_news else []
    yield from _written(before, after)


def _written(before: BaseModelStatus, after: BaseModelStatus) -> Iterator[Count]:
    errand, failed = after.errand, after.write_back_failure
    is_writing = errand is not None and errand.errand is Errand.WRITE_BACK
    if not is_writing or errand is None or errand.end_time is None:
        return
    if before.write_back != after.write_back:
        yield "write_backs", (SUCCESS,)
    elif failed is not None and failed != before.write_back_failure and failed.not_before:
        yield "write_backs", (failed.reason,)
