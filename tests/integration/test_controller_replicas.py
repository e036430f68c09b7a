"""Two replicas, as the Deployment has them: one leads, the other is ready and takes over."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from builders.operated import Desk, operated
from cluster.api import Json
from cluster.plane import ControlPlane
from cluster.process import ProcessDied, wait_until

LEASE = "/apis/coordination.k8s.io/v1/namespaces/tunekeeper-system/leases/tunekeeper"
AS_IN_A_CLUSTER = {"lease_duration_s": 15, "lease_renew_s": 10, "lease_retry_s": 2}
HANDOVER_S = 3.0
TAKEOVER_S = 18.0

pytestmark = pytest.mark.alone


@contextmanager
def replicated(
    plane: ControlPlane, namespace: str, **settings: float
) -> Iterator[tuple[Desk, Desk]]:
    """The leader and the standby."""
    with operated(plane, namespace, **settings) as leader:
        wait_until(lambda: leads(leader), "the first leads")
        standby = Desk(plane, namespace, leader.kubelet, leader.settings)
        try:
            standby.start()  # returns when it is ready
            yield leader, standby
            assert '"reconcile failed' not in standby.log()
        finally:
            standby.process.stop()


def leads(desk: Desk) -> bool:
    return "\ntunekeeper_leader 1.0" in desk.read("/metrics")


def lease(plane: ControlPlane) -> Json:
    return dict(plane.api.get(LEASE)["spec"])


def test_one_leads_and_the_other_is_ready_and_writes_nothing(
    plane: ControlPlane, namespace: str
) -> None:
    with replicated(plane, namespace) as (leader, standby):
        created = leader.apply()
        leader.succeed()
        assert (leads(leader), leads(standby)) == (True, False)
        assert standby.read("/readyz") == "ok\n"
        kinds = [line["type"] for line in leader.writes(leader.path(""), created)]
        assert kinds == ["MODIFIED"] * 4  # as with one replica
        assert "tunekeeper_writes_total{" not in standby.read("/metrics")
        assert "tunekeeper_job_phase{" not in standby.read("/metrics")  # no series twice


def test_a_leader_that_is_told_to_stop_hands_over_within_seconds(
    plane: ControlPlane, namespace: str
) -> None:
    with replicated(plane, namespace, **AS_IN_A_CLUSTER) as (leader, standby):
        leader.stop()
        with pytest.raises(ProcessDied, match="exited 0"):
            leader.process.check()
        released = time.monotonic()
        leader.apply()
        standby.until_phase("Running", "Preparing")
        assert time.monotonic() - released < HANDOVER_S
        assert lease(plane)["leaseTransitions"] >= 1


def test_a_leader_that_dies_is_followed_when_its_lease_is_over_and_not_before(
    plane: ControlPlane, namespace: str
) -> None:
    with replicated(plane, namespace, **AS_IN_A_CLUSTER) as (leader, standby):
        renewed = lease(plane)["renewTime"]
        wait_until(lambda: lease(plane)["renewTime"] != renewed, "the lease is renewed")
        held = time.monotonic()
        leader.kill()
        leader.apply()
        standby.until_phase("Running", "Preparing")
        assert AS_IN_A_CLUSTER["lease_duration_s"] - 1 < time.monotonic() - held < TAKEOVER_S
