"""The Job of a stage that waits in a queue of Kueue: what differs from any other Job of ours.

It is never changed after its create: ``spec.suspend``, and what Kueue puts into the template of
its pod, are Kueue's.
"""

from typing import Any

from controller.shell.kinds import QUEUE_LABEL
from trainer.contract.failures import EXIT_CODES, FailureClass

Json = dict[str, Any]

INTERRUPTED = EXIT_CODES[FailureClass.INTERRUPTED]


def queued(manifest: Json, queue: str) -> Json:
    """The Job for a LocalQueue: created suspended, and not failed by a preemption.

    The Job controller does not count a pod that it deleted for ``suspend``, but it holds the rules
    of ``podFailurePolicy`` against it for as long as the pod is still to be seen. So the exit code
    of SIGTERM is ignored here, and the same Job starts another pod when it is admitted again.
    """
    metadata, spec = manifest["metadata"], manifest["spec"]
    rules = [_ignoring(rule) for rule in spec["podFailurePolicy"]["rules"]]
    return {
        **manifest,
        "metadata": {**metadata, "labels": {**metadata["labels"], QUEUE_LABEL: queue}},
        "spec": {**spec, "suspend": True, "podFailurePolicy": {"rules": rules}},
    }


def _ignoring(rule: Json) -> Json:
    is_about_it = rule.get("onExitCodes", {}).get("values") == [INTERRUPTED]
    return {**rule, "action": "Ignore"} if is_about_it else rule
