"""Git repositories on this machine, served over HTTP on a loopback port: the demo's forge."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from wsgiref.simple_server import WSGIServer, make_server

from dulwich import porcelain
from dulwich.repo import Repo
from dulwich.server import Backend
from dulwich.web import WSGIRequestHandlerLogger, make_wsgi_chain

MAIN = b"refs/heads/main"
WHO = b"A Publisher <publisher@example.com>"


@dataclass(frozen=True)
class Repository:
    """A working copy; its commits are what the server serves."""

    path: Path

    @classmethod
    def made(cls, path: Path) -> "Repository":
        """Empty, on the branch main."""
        path.mkdir(parents=True)
        Repo.init(str(path), default_branch=b"main").close()
        return cls(path)

    def commit(self, files: Mapping[str, str], message: str) -> str:
        """Write text files and commit everything; the commit's id."""
        for name, text in files.items():
            (self.path / name).write_text(text)
        with Repo(str(self.path)) as repo:
            porcelain.add(repo)
            commit = porcelain.commit(repo, message=message.encode(), author=WHO, committer=WHO)
        return commit.decode()

    def merge(self, branch: str) -> str:
        """Fast-forward main to a branch that was pushed; the message of its commit."""
        with Repo(str(self.path)) as repo:
            pushed = repo.refs[b"refs/heads/" + branch.encode()]
            porcelain.reset(repo, "hard", pushed)
            return repo[pushed].message.decode()


class Forge(Backend):
    """The repositories below a folder, by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open_repository(self, path: str) -> Repo:  # type: ignore[override] # it is one
        """As the address names it."""
        return Repo(str(self._folder / Path(path.strip("/")).name))


class QuietHandler(WSGIRequestHandlerLogger):
    """Requests are not what the demo is about."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Every repository below the folder, while the block runs; the address."""
    folder.mkdir(parents=True, exist_ok=True)
    application = make_wsgi_chain(Forge(folder))
    server = make_server("127.0.0.1", 0, application, WSGIServer, QuietHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
