"""The commit that a manifest comes from, as whoever applied it said."""

import pytest

from controller.api.meta import GIT_COMMIT_ANNOTATION, ObjectMeta
from controller.core.requests import git_commit

SHA1 = "0123456789abcdef0123456789abcdef01234567"
SHA256 = "ab" * 32


@pytest.mark.parametrize(
    ("written", "commit"),
    [
        pytest.param(SHA1, SHA1, id="a commit"),
        pytest.param(SHA256, SHA256, id="a commit of a SHA-256 repository"),
        pytest.param(SHA1[:8], SHA1[:8], id="an abbreviated one"),
        pytest.param(f"main@sha1:{SHA1}", SHA1, id="a revision as Flux writes it"),
        pytest.param(f" {SHA1}\n", SHA1, id="with spaces around"),
        pytest.param("${ARGOCD_APP_REVISION}", "", id="a placeholder that nobody filled in"),
        pytest.param("main", "", id="a branch"),
        pytest.param("", "", id="nothing"),
        pytest.param(f"{SHA1} {SHA1}", "", id="two"),
    ],
)
def test_the_annotation_names_a_commit_or_nothing(written, commit):
    metadata = ObjectMeta(name="demo", annotations={GIT_COMMIT_ANNOTATION: written})
    assert git_commit(metadata) == commit


def test_no_annotation_is_no_commit():
    assert git_commit(ObjectMeta(name="demo")) == ""
