"""Write-back against a real Git server: which files, which lines, and what cannot be written."""

import subprocess
import sys

import pytest
from builders.errands import a_revision, a_write_back, errand_environment, read_last_word
from builders.writing import MARK, NEW, OLD, PASSWORD, Writer, manifest, pushes, refuse

from trainer.contract.errand import Cause
from trainer.contract.failures import FailureClass

PUSH = "tunekeeper/tiny"


def test_a_repository_without_a_marker_is_told(server, tmp_path):
    bare = server.repository("bare")
    bare.commit({"a.yaml": b"revision: 0\n"})
    error = refuse(
        Writer(tmp_path, bare), FailureClass.INVALID_SPEC, r'put  # \{"\$basemodel": "ml:tiny"\}'
    )
    assert error.cause is Cause.MARKER_NOT_FOUND
    assert pushes(server) == 0


FOREIGN = manifest(mark='# {"$basemodel": "prod:tiny"}')


def test_a_marker_of_another_namespace_is_refused(server, tmp_path):
    other = server.repository("other")
    other.commit({"a.yaml": FOREIGN})
    error = refuse(
        Writer(tmp_path, other), FailureClass.INVALID_SPEC, r"a.yaml:5: prod:tiny is in another"
    )
    assert error.cause is Cause.MARKER_NOT_FOUND
    assert other.read("a.yaml") == FOREIGN


def test_beside_own_markers_it_is_told_and_left(write, repository):
    repository.commit({"jobs/prod.yaml": FOREIGN})
    done = write()
    assert (done.changed_files, repository.read("jobs/prod.yaml")) == (2, FOREIGN)
    assert "jobs/prod.yaml:5: prod:tiny is in another namespace" in done.message


def test_a_marked_line_that_is_no_revision_stops_all_of_it(write, repository):
    head = repository.commit({"jobs/bad.yaml": manifest("main")})
    refuse(write, FailureClass.INVALID_SPEC, r"jobs/bad\.yaml:5: its revision is no commit")
    assert repository.head() == head


EDGES = {
    "crlf.yaml": (f"a: b\r\nrevision: {OLD} {MARK}\r\n", f"a: b\r\nrevision: {NEW} {MARK}\r\n"),
    "bom.yaml": (f"\ufeffrevision: {OLD} {MARK}", f"\ufeffrevision: {NEW} {MARK}"),
    "größe/日本.yaml": (f"revision: '{OLD}' {MARK}", f"revision: '{NEW}' {MARK}"),
    'a "b" c.yml': (f"# é\nrevision: {OLD} {MARK}\n", f"# é\nrevision: {NEW} {MARK}\n"),
}


@pytest.mark.parametrize("name", EDGES)
def test_files_of_every_kind_stay_what_they_are(write, repository, name):
    before, after = EDGES[name]
    repository.commit({f"jobs/{name}": before.encode()})
    write()
    assert repository.read(f"jobs/{name}") == after.encode()


def test_what_is_no_text_file_is_left(write, repository):
    left = {
        "jobs/latin.yaml": manifest().replace(b"support", b"f\xfcr"),
        "jobs/wide.yaml": manifest().decode().encode("utf-16"),
        "jobs/zero.yaml": manifest() + b"\0",
    }
    repository.commit({**left, "jobs/link.yaml": "one.yaml"})
    assert write().changed_files == 2
    for name, content in left.items():
        assert repository.read(name) == content
    assert repository.git("cat-file", "-p", "main:jobs/link.yaml") == "one.yaml"


def test_a_submodule_and_the_modes_of_files_are_left(write, repository):
    script = repository.git("rev-parse", "main:jobs/one.yaml")
    names = [f"100755 blob {script}\trun.yaml", f"160000 commit {OLD}\tsub.yaml"]
    names.append(f"100644 blob {script}\tf\udcfcr.yaml")
    jobs = repository.tree(names)
    tree = repository.tree([f"040000 tree {jobs}\tjobs"])
    head = repository.git("commit-tree", "-m", "odd", tree)
    repository.move("main", head)
    assert write().changed_files == 2
    new = repository.git("rev-parse", "main:jobs/run.yaml")
    assert new != script
    expected = [names[0].replace(script, new), names[1], names[2].replace(script, new)]
    assert sorted(repository.listing("main:jobs")) == sorted(expected)


@pytest.mark.parametrize("filters", [True, False])
def test_two_thousand_files_take_few_requests(write, repository, server, filters):
    repository.allow_filter(filters)
    padding = b"#" * 2000
    many = {f"jobs/{n % 40}/{n}.yaml": b"n: %d\n%s\n" % (n, padding) for n in range(2000)}
    many["jobs/7/7.yaml"] += manifest()
    repository.commit(many)
    server.seen.clear()
    assert write().changed_files == 3
    assert len(server.seen) <= 8


def test_directories_that_hold_one_another_are_given_up(write, repository):
    tree = repository.tree([f"040000 tree {repository.git('rev-parse', 'main:jobs')}\tjobs"])
    for _ in range(9):
        tree = repository.tree([f"040000 tree {tree}\t{name}" for name in "abcdefghij"])
    root = repository.tree([f"040000 tree {tree}\tjobs"])
    repository.move("main", repository.git("commit-tree", "-m", "bomb", root))
    refuse(write, FailureClass.INVALID_SPEC, "more than 100000 files below jobs; give a path")


def test_a_manifest_that_is_none_by_its_size_is_left(write, repository):
    repository.commit({"jobs/large.yaml": manifest() + b"#" * (16 << 20)})
    assert write().changed_files == 2


def test_a_login_in_the_address_of_a_mirror_is_in_no_message(write, repository, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"https://grace:{PASSWORD}@mirror.acme.dev")
    write()
    body = repository.show("%b")
    assert f"https://mirror.acme.dev/acme/tiny/commit/{NEW}" in body
    assert PASSWORD not in body


def test_little_of_a_large_repository_is_fetched(write, repository, server):
    repository.commit({"weights.bin": bytes(range(256)) * 40_000, "big.txt": b"x\n" * 100_000})
    repository.commit({"weights.bin": None})
    server.seen.clear()
    write()
    assert sum(each.bytes_sent for each in server.seen) < 8000


BAD = [
    pytest.param({"path": "../x"}, "InvalidSpec", "no directory of the repository", id="above"),
    pytest.param({"path": "/etc"}, "InvalidSpec", "no directory of the repository", id="absolute"),
    pytest.param({"path": "jobs/none"}, "NotFound", "has no directory jobs/none", id="no path"),
    pytest.param({"path": "jobs/one.yaml"}, "NotFound", "has no directory", id="a file"),
    pytest.param({"branch": "none"}, "NotFound", "no branch none", id="no branch"),
    pytest.param({"branch": "a..b"}, "InvalidSpec", "no name of a branch", id="no branch's name"),
    pytest.param({"push_branch": "a b"}, "InvalidSpec", "pushBranch: 'a b'", id="nor to push"),
    pytest.param({"new": "main"}, "InvalidSpec", "no commit and no short digest", id="revision"),
    pytest.param({"url": "https://a:b@acme.dev/x"}, "InvalidSpec", "holds a login", id="a login"),
]


@pytest.mark.parametrize(("change", "failure", "words"), BAD)
def test_what_cannot_be_written_is_refused(write, server, change, failure, words):
    refuse(write, FailureClass(failure), words, **change)
    assert pushes(server) == 0


def test_a_repository_that_is_not_there_is_not_found(write, server):
    refuse(write, FailureClass.NOT_FOUND, "no repository", url=f"{server.url}/none.git")


def test_a_server_that_is_away_is_unavailable(write, server):
    server.close()
    refuse(write, FailureClass.UNAVAILABLE, "cannot be reached")


def test_a_server_of_the_first_protocol_is_written_to(write, repository, server):
    server.is_old = True
    assert write(push_branch=PUSH).commit == repository.head(PUSH)


def test_the_command_writes_and_says_so(tmp_path, repository):
    request = a_write_back(git={"url": repository.url}, new=a_revision(NEW))
    environment = errand_environment(tmp_path, request) | {"NO_PROXY": "*", "PATH": ""}
    command = [sys.executable, "-m", "trainer", "write-back"]
    subprocess.run(command, env=environment, check=True, timeout=60)  # noqa: S603
    outcome, _ = read_last_word(tmp_path)
    assert (outcome.commit, outcome.changed_files) == (repository.head(), 3)
