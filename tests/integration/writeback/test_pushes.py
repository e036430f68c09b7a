"""Write-back against a real Git server: what is pushed, what never is, and who else is there."""

import pytest
from builders.sources import write_secret
from builders.writing import NEW, NOW, OLD, PASSWORD, Writer, manifest, pushes, refuse

from trainer.contract.failures import FailureClass

PUSH = "tunekeeper/tiny"


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
