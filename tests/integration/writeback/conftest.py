"""A repository of manifests on a real Git server, and who writes a revision to it."""

import pytest
from builders.writing import OLD, Writer, manifest
from cluster.gitserver import GitServer

from trainer.writeback import rounds


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "PAUSES_S", (0.0,) * 4)
    monkeypatch.setenv("NO_PROXY", "*")
    server = GitServer(tmp_path / "repositories")
    yield server
    server.close()


@pytest.fixture
def repository(server):
    made = server.repository("fleet")
    made.commit({"README.md": b"# fleet"})
    made.commit(
        {
            "jobs/one.yaml": manifest(),
            "jobs/deep/two.yml": manifest(),
            "jobs/unmarked.yaml": f"revision: {OLD}\n".encode(),
            "jobs/notes.md": manifest(),
            "other/three.yaml": manifest(),
        }
    )
    return made


@pytest.fixture
def write(tmp_path, repository) -> Writer:
    return Writer(tmp_path, repository, git={"path": "jobs"})
