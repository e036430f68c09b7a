"""A real Git server on loopback: the distribution's ``git http-backend`` behind HTTP.

It knows users (Basic), filters that a repository may forbid, hooks, Git LFS, and a second writer
that comes between what a client reads and what it pushes. ``git`` makes the repositories too.
"""

import base64
import hashlib
import os
import ssl
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cluster.githandler import Seen, serve

NOBODY = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@acme.dev",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@acme.dev",
    "GIT_TERMINAL_PROMPT": "0",
    "PATH": os.environ["PATH"],
}
"""No configuration and no account of the one who runs the tests."""

Entry = bytes | str | None
"""A file's content; a text: where a link leads; None: remove the file."""


def git(directory: Path, *arguments: str | Path, given: bytes = b"") -> bytes:
    """Run git in a directory; what it printed."""
    command = ["git", *map(str, arguments)]
    done = subprocess.run(  # noqa: S603 - what the test wants to run
        command, cwd=directory, env=NOBODY, input=given, capture_output=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace')}")
    return done.stdout


@dataclass
class GitRepository:
    """A bare repository of the server, and the ways to look at it from behind."""

    path: Path
    url: str
    users: dict[str, str] = field(default_factory=dict)
    """Name to password; empty: everybody may read and write."""
    readers: set[str] = field(default_factory=set)
    """Users who may not push."""

    def commit(
        self,
        files: Mapping[str, Entry],
        branch: str = "main",
        *,
        message: str = "Change",
        onto: str | None = None,
        whole: bool = False,
    ) -> str:
        """A new head of the branch, with these files changed.

        ``onto``: another parent than the head; ``whole``: with no other files than these.
        """
        parent = onto if onto is not None else self.head(branch)
        marks, lines = [], []
        for number, (name, entry) in enumerate(files.items(), start=1):
            if entry is None:
                lines.append(b"D " + _quoted(name))
                continue
            content = entry.encode() if isinstance(entry, str) else entry
            mode = b"120000" if isinstance(entry, str) else b"100644"
            marks.append(b"blob\nmark :%d\ndata %d\n%s\n" % (number, len(content), content))
            lines.append(b"M %s :%d %s" % (mode, number, _quoted(name)))
        text = message.encode()
        head = b"commit refs/heads/%s\n" % branch.encode()
        head += b"committer Ada <ada@acme.dev> 1700000000 +0000\n"
        head += b"data %d\n%s\n" % (len(text), text)
        head += b"from %s\n" % parent.encode() if parent else b""
        head += b"deleteall\n" if whole else b""
        stream = b"".join(marks) + head + b"\n".join(lines) + b"\n"
        git(self.path, "fast-import", "--quiet", "--force", given=stream)
        return self.head(branch)

    def head(self, branch: str = "main") -> str:
        """Commit of the branch; empty: there is none."""
        return self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")

    def move(self, branch: str, commit: str) -> None:
        """Set a branch, whatever it was."""
        self.git("update-ref", f"refs/heads/{branch}", commit)

    def read(self, name: str, branch: str = "main") -> bytes:
        """A file's content."""
        return git(self.path, "cat-file", "blob", f"{branch}:{name}")

    def changed(self, branch: str = "main") -> list[str]:
        """Files that the newest commit of the branch changes."""
        command = ("diff-tree", "-r", "-z", "--no-commit-id", "--name-only", f"refs/heads/{branch}")
        return [name for name in self.git(*command).split("\0") if name]

    def show(self, what: str, branch: str = "main") -> str:
        """One of ``git log``'s placeholders for the newest commit."""
        return self.git("log", "-1", f"--format={what}", f"refs/heads/{branch}")

    def tree(self, entries: Sequence[str]) -> str:
        """Make a tree of entries as ``git ls-tree`` prints them; bytes escaped as surrogates."""
        given = "".join(f"{each}\0" for each in entries).encode(errors="surrogateescape")
        return git(self.path, "mktree", "-z", "--missing", given=given).decode().strip()

    def listing(self, tree: str) -> list[str]:
        """Entries of a tree, in the same form."""
        printed = git(self.path, "ls-tree", "-z", tree).decode(errors="surrogateescape")
        return [each for each in printed.split("\0") if each]

    def allow_filter(self, allowed: bool) -> None:
        """Whether parts of a commit may be asked for."""
        self.git("config", "uploadpack.allowFilter", str(allowed).lower())

    def hook(self, name: str, script: str) -> None:
        """Install a shell script as a hook."""
        path = self.path / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def git(self, *arguments: str) -> str:
        """Run git there; what it printed, without the last newline."""
        return git(self.path, *arguments).decode().rstrip("\n")


def _quoted(name: str) -> bytes:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'.encode()


class GitServer:
    """Starts at once; ``close`` ends it. Faults are set on the object while it runs.

    It listens on loopback only; ``seen_at`` is where clients find that, if it is elsewhere.
    """

    def __init__(self, folder: Path, *, seen_at: str = "127.0.0.1") -> None:
        self.folder = folder
        self.repositories: dict[str, GitRepository] = {}
        self.objects: dict[str, bytes] = {}
        """What LFS keeps, by sha256."""
        self.seen: list[Seen] = []
        self.before_refs: list[Callable[[], object]] = []
        """Each is called once, between a client's reading and what it hears to push onto."""
        self.before_push: list[Callable[[], object]] = []
        """Each is called once, when a client has asked what it would push onto."""
        self.at_push: list[Callable[[], object]] = []
        """Each is called once, when a client pushes, before anything of it is taken."""
        self.status: dict[str, Sequence[int]] = {}
        """End of a path -> the statuses that the next such requests get instead of an answer."""
        self.headers: dict[str, str] = {}
        """Of those answers."""
        self.moved: dict[str, str] = {}
        """Start of a path -> the URL that its requests are led to."""
        self.cut_after: dict[str, list[int]] = {}
        """End of a path -> how many bytes the next answers send before the connection drops."""
        self.garbled: set[str] = set()
        """LFS objects that come with other bytes."""
        self.is_old = False
        """Whether it knows only the first version of the protocol."""
        self.lfs: Literal["on", "off", "elsewhere"] = "on"
        """elsewhere: objects come from another host, by a signed URL."""
        self._servers = [serve(self, "git"), serve(self, "storage")]
        self.url, self.storage = (
            f"http://127.0.0.{number}:{server.server_port}"
            for number, server in enumerate(self._servers, start=1)
        )
        self.url = self.url.replace("127.0.0.1", seen_at)

    def repository(self, name: str, **users: str) -> GitRepository:
        """A new, empty repository that allows filters."""
        path = self.folder / f"{name}.git"
        path.mkdir(parents=True)
        git(path, "init", "--quiet", "--bare", "--initial-branch=main")
        git(path, "config", "http.receivepack", "true")
        git(path, "config", "gc.auto", "0")
        made = GitRepository(path, f"{self.url}/{name}.git", users)
        made.allow_filter(True)
        self.repositories[name] = made
        return made

    def keep(self, content: bytes) -> bytes:
        """Put an object into LFS; returns the pointer that stands for it in a commit."""
        digest = hashlib.sha256(content).hexdigest()
        self.objects[digest] = content
        return pointer(digest, len(content))

    def asked(self, end: str, *, host: str = "") -> list[Seen]:
        """Requests whose path ends so."""
        return [each for each in self.seen if each.path.endswith(end) and host in ("", each.host)]

    def use(self, context: ssl.SSLContext) -> None:
        """Speak TLS; only for repositories that are made after it."""
        server = self._servers[0]
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_request: None  # who does not trust it hangs up
        self.url = self.url.replace("http:", "https:")

    def close(self) -> None:
        """End both servers."""
        for server in self._servers:
            server.shutdown()
            server.server_close()


def pointer(digest: str, size: int) -> bytes:
    """What a commit holds for an object in LFS."""
    spec = "https://git-lfs.github.com/spec/v1"
    return f"version {spec}\noid sha256:{digest}\nsize {size}\n".encode()


def basic(name: str, password: str) -> str:
    """The header of a user."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
