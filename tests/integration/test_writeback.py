"""Write-back against a real Git server: what is pushed, what never is, and who else is there."""

import subprocess
import sys

import pytest
from builders.errands import a_revision, a_write_back, errand_environment, read_last_word
from builders.sources import write_secret
from builders.writing import MARK, NEW, NOW, OLD, Writer, manifest
from cluster.gitserver import GitServer

from trainer.contract.errand import Cause
from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.writeback import rounds

PASSWORD = "wörd:with a colon"  # noqa: S105 - for this server alone
PUSH = "tunekeeper/tiny"


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


def pushes(server) -> int:
    return len([each for each in server.asked("/git-receive-pack") if each.method == "POST"])


def refuse(write, failure, words, **git):
    with pytest.raises(StageError, match=words) as caught:
        write(**git)
    assert caught.value.failure is failure
    assert caught.value.message.startswith("spec.writeBack.git")
    assert PASSWORD not in caught.value.message
    return caught.value


def test_marked_lines_below_the_path_get_the_revision(write, repository):
    before = repository.head()
    done = write()
    assert (done.failure, done.commit, done.changed_files) == (None, repository.head(), 2)
    assert repository.changed() == ["jobs/deep/two.yml", "jobs/one.yaml"]
    for name in repository.changed():
        assert repository.read(name) == manifest(NEW)
    assert repository.show("%P") == before


def test_the_server_finds_nothing_wrong_with_what_was_pushed(write, repository):
    write()
    write("b" * 40, push_branch=PUSH)
    repository.git("fsck", "--strict", "--full")


def test_the_commit_says_what_moved_and_who_wrote_it(write, repository):
    write(author_name="Robot <of> ML\n", author_email="robot@acme.dev")
    assert (
        repository.show("%an %ae %cn %at")
        == f"Robot of ML robot@acme.dev Robot of ML {NOW.timestamp():.0f}"
    )
    assert repository.show("%s") == f"Update tiny to {NEW[:12]}"
    body = repository.show("%b")
    assert f"{OLD} -> {NEW}" in body
    assert f"sha256:{'1' * 64} -> sha256:{'0' * 64}" in body
    assert f"https://huggingface.co/acme/tiny/commit/{NEW}" in body
    assert "- jobs/deep/two.yml\n- jobs/one.yaml" in body


def test_the_message_may_be_the_users_own(write, repository):
    words = "$namespace/$name $oldRevision $newRevision $oldDigest $newDigest $link\n\n$files $5"
    write(message=words)
    assert repository.show("%s").startswith(f"ml/tiny {OLD} {NEW} sha256:1")
    assert repository.show("%b").endswith("- jobs/one.yaml $5")


def test_a_push_branch_is_made_and_the_branch_stays(write, repository):
    before = repository.head()
    done = write(push_branch=PUSH)
    assert repository.head() == before
    assert done.commit == repository.head(PUSH)
    assert repository.show("%P", PUSH) == before
    assert repository.read("jobs/one.yaml", PUSH) == manifest(NEW)


def test_a_push_branch_is_rebuilt_on_the_branch(write, repository):
    write(push_branch=PUSH)
    repository.commit({"jobs/by-hand.txt": b"x"}, PUSH)
    head = repository.commit({"README.md": b"# edited"})
    done = write("b" * 40, push_branch=PUSH)
    assert done.commit == repository.head(PUSH)
    assert repository.show("%P", PUSH) == head
    assert repository.changed(PUSH) == ["jobs/deep/two.yml", "jobs/one.yaml"]


def test_a_push_branch_is_rebuilt_although_only_the_head_moved(write, repository):
    first = write(push_branch=PUSH)
    tree = repository.git("rev-parse", "main^{tree}")
    head = repository.git("commit-tree", "-p", "main", "-m", "nothing", tree)
    repository.move("main", head)
    assert write(push_branch=PUSH).commit != first.commit
    assert repository.show("%P", PUSH) == head


def test_a_push_branch_that_is_right_is_not_pushed_again(write, server):
    first = write(push_branch=PUSH)
    again = write(push_branch=PUSH)
    assert (again.commit, again.changed_files) == (first.commit, first.changed_files)
    assert pushes(server) == 1


def test_nothing_to_change_is_no_commit(write, repository, server):
    write()
    head = repository.head()
    done = write()
    assert (done.commit, done.changed_files, done.failure) == ("", 0, None)
    assert repository.head() == head
    assert pushes(server) == 1


def test_after_a_merge_there_is_nothing_to_do(write, repository, server):
    repository.move("main", write(push_branch=PUSH).commit)
    assert write(push_branch=PUSH).commit == ""
    assert pushes(server) == 1


@pytest.mark.parametrize("push_branch", [None, PUSH], ids=["direct", "push branch"])
@pytest.mark.parametrize("moment", ["before_refs", "before_push", "at_push"])
def test_a_second_writer_who_is_faster_loses_nothing(
    write, repository, server, moment, push_branch
):
    write("c" * 40, push_branch=PUSH)  # so that the push branch is there
    target = push_branch or "main"

    def race():
        repository.commit({"theirs.txt": b"theirs"}, target)

    getattr(server, moment).extend([race] * 3)
    done = write(push_branch=push_branch)
    assert done.commit == repository.head(target)
    assert repository.read("jobs/one.yaml", target) == manifest(NEW)
    if push_branch is None:
        assert repository.read("theirs.txt") == b"theirs"
        assert repository.git("rev-list", "--count", "main") == "6"
    else:
        assert repository.show("%P", PUSH) == repository.head()


def test_a_branch_that_moves_while_the_push_branch_is_built_is_not_lost(write, repository, server):
    first = repository.head()
    server.at_push.append(lambda: repository.commit({"a.txt": b"theirs"}))
    assert write(push_branch=PUSH).commit == repository.head(PUSH)
    assert repository.show("%P", PUSH) == first
    write(push_branch=PUSH)
    assert repository.show("%P", PUSH) == repository.head()


@pytest.mark.parametrize("push_branch", [None, PUSH], ids=["direct", "push branch"])
def test_a_branch_that_always_moves_is_given_up(write, repository, server, push_branch):
    target = push_branch or "main"
    server.before_push += [lambda: repository.commit({"a.txt": b"theirs"}, target)] * 9
    refuse(write, FailureClass.UNAVAILABLE, "changes all the time", push_branch=push_branch)
    assert len(server.before_push) == 4


def test_a_push_that_is_rejected_is_tried_five_times(write, repository, server):
    lock = repository.path / "refs" / "heads" / "main.lock"
    lock.write_text("")
    refuse(write, FailureClass.UNAVAILABLE, "cannot take a commit just now")
    assert pushes(server) == 5


def test_a_push_whose_answer_is_lost_is_not_made_twice(write, repository, server):
    server.cut_after["/git-receive-pack"] = [0]
    done = write()
    assert done.commit == repository.head()
    assert repository.git("rev-list", "--count", "main") == "3"


def test_a_protected_branch_is_told_with_what_to_do(write, repository, server):
    head = repository.head()
    repository.hook("pre-receive", 'echo "secret-looking words" >&2; exit 1')
    error = refuse(write, FailureClass.ACCESS_DENIED, r"push to main is refused .*pushBranch")
    assert "secret-looking" not in error.message
    assert (repository.head(), pushes(server)) == (head, 1)


def test_a_branch_that_may_not_be_rebuilt_is_told(write, repository):
    write(push_branch=PUSH)
    repository.git("config", "receive.denyNonFastForwards", "true")
    refuse(
        lambda **git: write("b" * 40, **git),
        FailureClass.ACCESS_DENIED,
        "does not let a branch be rebuilt",
        push_branch=PUSH,
    )


def test_only_a_protected_branch_is_refused(write, repository):
    repository.hook("update", 'test "$1" != refs/heads/main')
    refuse(write, FailureClass.ACCESS_DENIED, "main is refused")
    assert write(push_branch=PUSH).commit == repository.head(PUSH)


@pytest.fixture
def private(write, repository):
    repository.users.update(grace=PASSWORD, eve="eve")
    repository.readers.add("eve")
    write.git["secret_ref"] = {"name": "forge"}
    return write


def login(write: Writer, **keys: str) -> None:
    write.secrets = write_secret(write.root / "secrets", role="git", **keys)


def test_the_login_of_the_role_git_is_used(private, repository, server):
    login(private, username="grace", password=PASSWORD)
    assert private().commit == repository.head()
    assert {each.user for each in server.seen} == {"grace"}


def test_who_may_only_read_is_refused(private, repository):
    head = repository.head()
    login(private, username="eve", password="eve")  # noqa: S106
    refuse(private, FailureClass.ACCESS_DENIED, r"refused to eve; .*git\.secretRef")
    assert repository.head() == head


def test_a_wrong_password_is_refused(private):
    login(private, username="grace", password="no")  # noqa: S106
    refuse(private, FailureClass.ACCESS_DENIED, "refused to grace")


def test_a_missing_key_is_named(private):
    login(private, username="grace")
    error = refuse(private, FailureClass.SECRET_NOT_FOUND, "Secret forge has no key password")
    assert "spec.writeBack.git.secretRef" in error.message


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
