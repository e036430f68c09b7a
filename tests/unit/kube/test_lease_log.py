"""What the log says of a lease that cannot be kept."""

from pathlib import Path

import pytest
from unit.kube.test_lease import Leader, LeaseServer, play, until

from controller.kube.client import Client
from controller.kube.lease import LeadershipLost


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        pytest.param("hang", "gave no answer within", id="a server that hangs"),
        pytest.param("page", "502", id="a proxy's page"),
    ],
)
def test_a_warning_says_what_happened_to_the_lease(
    trouble: str, words: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(server: LeaseServer, client: Client) -> None:
        leader = Leader(client, "a")
        await until(lambda: leader.starts == 1)
        server.trouble = trouble
        with pytest.raises(LeadershipLost):
            await leader.task

    play(tmp_path, script)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said
    assert all(message.partition("lease sys/l: ")[2] for message in said)
    assert any(words in message for message in said)
