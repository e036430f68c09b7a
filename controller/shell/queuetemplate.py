"""The Job of a stage that waits in a queue of Kueue: what differs from any other Job of ours.

It is never changed after its create: ``spec.suspend``, and what Kueue puts into the template of
its pod, are Kueue's.
"""

from typing import Any

from trainer.contract.failures import EXIT_CODES, FailureClass

Json = dict[str, Any]

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
INTERRUPTED = EXIT_CODES[FailureClass.INTERRUPTED]

REPLACED_PODS = 100
"""``backoffLimit`` of a Job in a queue: pods that Kueue took away before they ran. Those end
without an exit code, which no rule can name, and each one counts."""


def queued(manifest: Json, queue: str, container: str) -> Json:
    """The Job for a LocalQueue: created suspended, and not failed by a preemption.

    A suspended Job's pod is deleted, and the Job controller counts how it ends like any other end.
    So the exit code of SIGTERM is ignored, and the same Job starts another pod when it is admitted
    again; any other exit code fails it, as a disruption does.
    """
    metadata, spec = manifest["metadata"], manifest["spec"]
    disruption = spec["podFailurePolicy"]["rules"][0]
    rules = [
        disruption,
        _rule("Ignore", "In", container),
        _rule("FailJob", "NotIn", container),
    ]
    return {
        **manifest,
        "metadata": {**metadata, "labels": {**metadata["labels"], QUEUE_LABEL: queue}},
        "spec": {
            **spec,
            "suspend": True,
            "backoffLimit": REPLACED_PODS,
            "podFailurePolicy": {"rules": rules},
        },
    }


def _rule(action: str, operator: str, container: str) -> Json:
    codes = {"containerName": container, "operator": operator, "values": [INTERRUPTED]}
    return {"action": action, "onExitCodes": codes}
