"""The words of a commit."""

import pytest
from builders.errands import a_revision, a_write_back

from trainer.writeback.message import MAX_FILES, message_of

NEW = "a" * 40


def test_the_usual_message_reads_well():
    request = a_write_back(old=a_revision("1" * 40, "1"))
    subject, gap, *body = message_of(request, ["jobs/a.yaml"]).splitlines()
    assert (subject, gap) == (f"Update tiny to {NEW[:12]}", "")
    assert f"- Revision: {'1' * 40} -> {NEW}" in body
    assert body[-1] == "- jobs/a.yaml"


def test_a_first_revision_has_no_arrow():
    assert f"- Revision: {NEW}\n" in message_of(a_write_back(), [])


def test_it_promises_no_training_for_content_that_may_be_known():
    text = " ".join(message_of(a_write_back(), ["jobs/a.yaml"]).split())
    assert "those jobs in these files that were never trained on this content" in text


def test_a_long_name_gives_way_in_the_subject():
    name = {"namespace": "ml", "name": "x" * 90, "uid": "u"}
    subject = message_of(a_write_back(baseModel=name), []).splitlines()[0]
    assert subject == f"Update a base model to {NEW[:12]}"


def test_many_files_are_counted():
    text = message_of(a_write_back(), [str(number) for number in range(MAX_FILES + 7)])
    assert text.endswith("- and 7 more\n")


GIT = {"url": "https://git.example/fleet"}
OWN = [("$name to $newRevision", f"tiny to {NEW}\n"), ("100 $ $other $$", "100 $ $other $\n")]


@pytest.mark.parametrize(("template", "text"), OWN)
def test_a_template_is_filled_in_and_what_it_does_not_know_stays(template, text):
    assert message_of(a_write_back(git=GIT | {"message": template}), []) == text


def test_an_empty_template_is_none():
    assert message_of(a_write_back(git=GIT | {"message": " \n"}), []).startswith("Update tiny")


LINKS = [
    ({"huggingFace": {"repo": "a/b"}}, f"https://hub.example/a/b/commit/{NEW}"),
    ({"git": {"url": "https://git.example/a/b.git"}}, f"https://git.example/a/b/commit/{NEW}"),
    ({"s3": {"uri": "s3://models/tiny"}}, "s3://models/tiny"),
    ({"directory": {"path": "/models/tiny"}}, "/models/tiny"),
]


@pytest.mark.parametrize(("source", "link"), LINKS)
def test_the_link_leads_to_the_revision(source, link):
    request = a_write_back(source=source, git=GIT | {"message": "$link"})
    assert message_of(request, [], "https://hub.example/") == f"{link}\n"
