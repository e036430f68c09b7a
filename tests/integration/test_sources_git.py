"""A base model from a real Git server: the right commit, only what is needed, and every refusal."""

import os

import pytest
from builders.sources import Asker, write_secret
from builders.tiny_model import make_tokenizer
from cluster.gitserver import GitServer, pointer

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.sources import cached, fetch
from trainer.sources.binding import binding

NAME = "model.safetensors"
WEIGHTS = bytes(range(256)) * 1200
PASSWORD = "pa:ss wörd"  # noqa: S105 - for this server alone


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "PAUSES_S", (0.0,) * 3)
    monkeypatch.setenv("NO_PROXY", "*")
    server = GitServer(tmp_path / "repositories")
    yield server
    server.close()


@pytest.fixture
def files(tmp_path) -> dict[str, bytes]:
    made = make_tokenizer(tmp_path / "made")
    (made / NAME).write_bytes(WEIGHTS)
    return {path.name: path.read_bytes() for path in made.iterdir()}


@pytest.fixture
def repository(server, files):
    """The model with its weights in LFS, as forges have it, and more that nobody needs."""
    made = server.repository("acme/tiny")
    made.commit({"old.bin": os.urandom(300_000)})
    others = {"README.md": b"# tiny", "onnx/model.safetensors": b"other", "old.bin": None}
    heavy = {"images/figure.png": os.urandom(200_000), "link.model": "../../etc/passwd"}
    made.commit(files | others | heavy | {NAME: server.keep(WEIGHTS)})
    return made


@pytest.fixture
def ask(tmp_path, repository) -> Asker:
    return Asker(tmp_path, {"git": {"url": repository.url}})


@pytest.fixture
def plain(server, files):
    """The same model, all of it in Git itself."""
    made = server.repository("acme/plain")
    made.commit(files)
    return made


def bytes_sent(server) -> int:
    return sum(each.bytes_sent for each in server.seen)


def there(path) -> set[str]:
    return {each.name for each in path.iterdir() if each.name[0] != "."}


def test_the_head_of_the_branch_becomes_the_revision(ask, repository, files):
    model = ask()
    assert model.revision == repository.head()
    assert there(model.path) == set(files)
    assert {name: (model.path / name).read_bytes() for name in files} == files


def test_git_and_a_directory_with_the_same_files_have_the_same_digest(tmp_path, ask, plain):
    made = Asker(tmp_path, {"directory": {"path": str(tmp_path / "made")}})()
    assert ask().content_digest == made.content_digest
    assert ask(git={"url": plain.url}).content_digest == made.content_digest
    assert ask().files == made.files


def test_an_adapter_remembers_the_url_and_no_path(ask, repository):
    assert binding(ask()).source == repository.url


def test_preparing_asks_for_no_file_of_lfs_and_knows_the_same_digest(ask, server):
    prepared = ask(weights=False)
    assert not server.asked("/objects/batch")
    assert NAME not in there(prepared.path)
    assert ask.frozen(prepared).content_digest == prepared.content_digest
    assert len(server.asked("/objects/batch")) == 1


def test_neither_history_nor_other_files_are_fetched(ask, server, files):
    ask(weights=False)
    assert bytes_sent(server) < sum(map(len, files.values())) - len(WEIGHTS) + 20_000


def test_a_server_that_forbids_filters_gives_the_same(ask, repository, files):
    filtered = ask()
    repository.allow_filter(False)
    whole = ask(cache=ask.root / "another")
    assert (whole.revision, whole.files) == (filtered.revision, filtered.files)
    assert {name: (whole.path / name).read_bytes() for name in files} == files


def test_a_server_that_filters_but_not_by_size_gives_the_same(ask, repository):
    filtered = ask()
    repository.git("config", "uploadpackfilter.blob:limit.allow", "false")
    assert ask(cache=ask.root / "another").files == filtered.files


def test_a_server_of_the_first_protocol_gives_the_same(ask, server):
    newest = ask()
    server.is_old = True
    assert ask(cache=ask.root / "another").files == newest.files


@pytest.mark.parametrize("weights", [True, False])
def test_weights_in_git_itself_are_read_once(ask, server, plain, weights):
    model = ask(git={"url": plain.url}, weights=weights)
    assert model.files[NAME] == ask().files[NAME]
    assert (model.path / NAME).read_bytes() == WEIGHTS
    server.seen.clear()
    assert ask.frozen(model, git={"url": plain.url}) == model
    assert not server.seen


def test_all_announced_bytes_come(ask, files):
    ask()
    assert ask.sizes == [sum(len(content) for content in files.values())]
    assert sum(ask.counts) == ask.sizes[0]


def test_a_frozen_commit_stays_when_the_branch_moves(tmp_path, ask, repository, files):
    begun = ask(weights=False)
    repository.commit({"config.json": files["config.json"] + b" "})
    later = ask.frozen(begun, cache=tmp_path / "another")
    assert (later.revision, later.content_digest) == (begun.revision, begun.content_digest)
    assert ask().revision != begun.revision


def test_a_whole_model_is_used_without_a_question(ask, server):
    model = ask()
    server.seen.clear()
    assert ask.frozen(model) == model
    assert not server.seen


def test_an_edited_readme_is_another_commit_with_the_same_digest(ask, repository):
    before = ask(weights=False)
    repository.commit({"README.md": b"# edited", "notes/a.txt": b"new"})
    after = ask(weights=False)
    assert before.revision != after.revision
    assert before.content_digest == after.content_digest


def test_a_download_that_breaks_off_goes_on_where_it_ended(ask, server):
    prepared = ask(weights=False)
    digest = prepared.files[NAME]
    server.cut_after[digest] = [100_000, 50_000]
    assert (ask().path / NAME).read_bytes() == WEIGHTS
    ranges = [each.range for each in server.asked(digest)]
    assert ranges == ["", "bytes=100000-", "bytes=150000-"]


def test_a_pack_that_breaks_off_is_asked_for_again(ask, server):
    server.cut_after["/git-upload-pack"] = [20, 300, 500]
    assert ask(weights=False).files == ask().files


def test_a_file_that_lfs_garbles_is_never_used(ask, server):
    prepared = ask(weights=False)
    server.garbled.add(prepared.files[NAME])
    with pytest.raises(StageError, match="another content than the commit lists") as caught:
        ask()
    assert caught.value.failure is FailureClass.UNAVAILABLE
    assert NAME not in there(prepared.path)


@pytest.fixture
def private(ask, repository):
    """The repository, for those who log in."""
    repository.users["grace"] = PASSWORD
    ask.source["git"]["secretRef"] = {"name": "forge"}
    return ask


def login(ask: Asker, **keys: str) -> None:
    ask.secrets = write_secret(ask.root / "secrets", **keys)


def test_a_login_goes_to_git_and_to_lfs(private, server):
    login(private, username="grace", password=PASSWORD)
    private()
    assert {each.user for each in server.seen} == {"grace"}


def test_a_login_and_the_headers_of_lfs_go_to_no_other_host(private, server):
    login(private, username="grace", password=PASSWORD)
    server.lfs = "elsewhere"
    private()
    asked = [each for each in server.seen if each.host == "storage"]
    assert asked
    assert {each.user for each in asked} == {""}


def test_a_login_does_not_follow_a_redirect_to_another_host(private, server):
    login(private, username="grace", password=PASSWORD)
    server.moved["/acme/tiny.git/"] = f"{server.storage}/acme/tiny.git/"
    with pytest.raises(StageError) as caught:
        private()
    assert caught.value.failure is FailureClass.ACCESS_DENIED
    assert {each.user for each in server.seen if each.host == "storage"} == {""}


def test_a_redirect_is_followed(ask, server):
    server.moved["/acme/tiny.git/info/refs"] = f"{server.storage}/acme/tiny.git/info/refs"
    assert ask(weights=False).content_digest
    assert {each.host for each in server.seen if each.method == "POST"} == {"storage"}


def refuse(ask, failure, words, **changes):
    with pytest.raises(StageError, match=words) as caught:
        ask(**changes)
    assert caught.value.failure is failure
    assert PASSWORD not in caught.value.message
    assert "secret-looking" not in caught.value.message
    return caught.value


def test_a_wrong_password_is_refused(private):
    login(private, username="grace", password="another")  # noqa: S106
    refuse(private, FailureClass.ACCESS_DENIED, r"repository is refused to grace.*git\.secretRef")


def test_no_login_is_refused(ask, repository):
    repository.users["grace"] = PASSWORD
    refuse(ask, FailureClass.ACCESS_DENIED, "refused without a login")


def test_a_missing_secret_is_named(private, server):
    login(private, token="x")  # noqa: S106
    refuse(private, FailureClass.SECRET_NOT_FOUND, "Secret forge has no key username")
    assert not server.seen


def test_an_unknown_repository_is_not_found(ask, server):
    url = f"{server.url}/acme/none.git"
    refuse(ask, FailureClass.NOT_FOUND, r"spec\.baseModel\.git: .*no repository", git={"url": url})


def test_an_unknown_branch_is_not_found(ask, repository):
    git = {"url": repository.url, "branch": "mai"}
    refuse(ask, FailureClass.NOT_FOUND, r"no branch mai; correct.*git\.branch", git=git)


@pytest.mark.parametrize("filters", [True, False])
def test_an_unknown_commit_is_not_found(ask, repository, filters):
    repository.allow_filter(filters)
    refuse(ask, FailureClass.NOT_FOUND, f"no commit {'1' * 40}", revision="1" * 40)


def test_a_revision_that_is_no_commit_is_refused(ask, server):
    refuse(ask, FailureClass.INVALID_SPEC, r"revision: main is no commit", revision="main")
    assert not server.seen


def test_a_page_is_no_git_server(ask, server):
    server.status["/info/refs"] = [200]
    refuse(ask, FailureClass.INVALID_SPEC, "no smart Git server")


def test_a_login_page_is_no_git_server(ask, server):
    server.moved["/acme/tiny.git/info/refs"] = f"{server.url}/sign-in"
    server.status["/sign-in"] = [200]
    refuse(ask, FailureClass.INVALID_SPEC, "no smart Git server")


def test_a_server_in_trouble_is_asked_again(ask, server):
    server.status["/info/refs"] = [503, 502]
    assert ask(weights=False).revision


def test_a_server_that_stays_in_trouble_is_unavailable(ask, server):
    server.status["/info/refs"] = [503] * 9
    refuse(ask, FailureClass.UNAVAILABLE, "answered 503")
    assert len(server.seen) == 4


def test_a_rate_limit_is_told_and_not_slept_out(ask, server):
    server.status["/info/refs"] = [429]
    server.headers["Retry-After"] = "77"
    error = refuse(ask, FailureClass.UNAVAILABLE, "no more requests for 77 s")
    assert (error.cause, error.retry_after_s) == ("RateLimited", 77)


def test_a_server_that_is_away_is_unavailable(ask, server):
    server.close()
    refuse(ask, FailureClass.UNAVAILABLE, "cannot be reached")


def test_a_file_that_lfs_does_not_have_is_told(ask, server):
    ask(weights=False)
    server.objects.clear()
    refuse(ask, FailureClass.INVALID_SPEC, rf"{NAME} is a pointer to a file that .* not have")


def test_a_server_without_lfs_is_told(ask, server):
    server.lfs = "off"
    refuse(ask, FailureClass.INVALID_SPEC, rf"{NAME} is a pointer of LFS, but .* no LFS API")


def test_a_url_with_a_login_is_refused_and_not_repeated(ask):
    error = refuse(
        ask, FailureClass.INVALID_SPEC, "holds a login", git={"url": "https://me:geheim@acme.dev/m"}
    )
    assert "geheim" not in error.message


INCOMPLETE = [
    pytest.param({"config.json": None}, "no config.json", id="no config"),
    pytest.param({"tokenizer.json": None}, "no tokenizer.json", id="no tokenizer"),
    pytest.param({NAME: None}, r"no \*.safetensors", id="no weights"),
    pytest.param({NAME: None, "a.bin": b"pickle"}, "only as pickle", id="weights as pickle"),
    pytest.param({NAME: "old"}, r"no \*.safetensors", id="weights behind a link"),
    pytest.param(
        {"model.safetensors.index.json": b'{"weight_map": {"a": "model-2.safetensors"}}'},
        "lacks model-2.safetensors",
        id="a missing shard",
    ),
]


@pytest.mark.parametrize(("change", "words"), INCOMPLETE)
def test_what_cannot_be_trained_is_refused_before_lfs_is_asked(
    ask, server, repository, change, words
):
    repository.commit(change)
    refuse(ask, FailureClass.INVALID_SPEC, words)
    assert not server.asked("/objects/batch")


def test_a_disk_that_is_too_small_is_noticed_before_the_download(ask, server, monkeypatch):
    monkeypatch.setattr(cached.shutil, "disk_usage", lambda _p: type("U", (), {"free": 10})())
    refuse(ask, FailureClass.HOST_STORAGE_EXCEEDED, "bytes are to be fetched")
    assert not server.asked("/objects/batch")


def test_nothing_of_git_stays_in_the_cache(ask):
    model = ask()
    assert not [each for each in model.path.parent.iterdir() if each.name.startswith(".git")]


def test_a_pointer_may_stand_for_any_counted_file(ask, server, repository, files):
    before = ask(weights=False)
    repository.commit({"tokenizer.json": server.keep(files["tokenizer.json"])})
    after = ask(weights=False)
    assert before.content_digest == after.content_digest
    assert (after.path / "tokenizer.json").read_bytes() == files["tokenizer.json"]


def test_a_pointer_to_an_impossible_size_is_refused(ask, repository):
    repository.commit({NAME: pointer("0" * 64, 10**17)})
    refuse(ask, FailureClass.HOST_STORAGE_EXCEEDED, "are to be fetched")
