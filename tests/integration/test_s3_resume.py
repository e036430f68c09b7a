"""A training that is killed at exact places over a real S3 server; a sample of the soak."""

from soak.places import short_course
from soak.sitting import sit


def test_killed_and_resumed_over_s3_is_unbroken_bit_for_bit(tmp_path):
    runs = sit(tmp_path, seed=1, kills=1, stores=["s3"], say=print, course=short_course)
    (killed,) = runs["s3"]
    assert killed.problems == []
    assert [kill.kind for kill in killed.kills if kill.has_landed] == [
        "checkpoint upload",
        "epoch boundary",
        "publication",
    ]
    assert killed.paused is not None
    assert killed.paused.exitcode == 26
