"""The hand-written pages say what the code does."""

import dataclasses
import re
from pathlib import Path

import pytest

from controller.api.conditions import ConditionType
from controller.api.reasons import Reason
from controller.core.conditions import TABLE, State
from controller.core.failures import RULES, Policy, Seer
from controller.core.watching.conditions import TABLE as WATCHED
from controller.core.watching.failures import REMEDIES

ROOT = Path(__file__).parents[3]
CONDITIONS = (ROOT / "docs/conditions.md").read_text(encoding="utf-8")
REASONS = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(ROOT.glob("examples/*/README.md")),
]

REASON_TITLES = (
    "Under way",
    "Waits that show while they last",
    "Why a run failed",
    "How a run ended, and what is known of it",
    "Of a BaseModel",
)

RETRIED = {
    Policy.NEVER: "no",
    Policy.BACKOFF: "yes",
    Policy.FREE_IF_ADVANCED: "yes; not counted when a newer checkpoint was written",
}


def section(page: str, title: str) -> str:
    """What stands below a heading, up to the next one."""
    [body] = re.findall(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
    return body


def rows(text: str) -> list[list[str]]:
    """The rows of the tables in a text, without heads."""
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip(" |") for cell in row] for row in cells]


def named(text: str) -> list[str]:
    """The first word of every row."""
    return [row[0].strip("`") for row in rows(text)]


def test_every_reason_is_explained_once():
    explained = [name for title in REASON_TITLES for name in named(section(REASONS, title))]
    reserved = re.findall(r"`(\w+)`", section(REASONS, "Reserved"))
    assert sorted(explained + reserved) == sorted(reason.value for reason in Reason)


@pytest.mark.parametrize("kind", ConditionType)
def test_every_condition_says_when_it_is_set_what_it_means_and_what_to_do(kind):
    body = section(CONDITIONS, kind.value)
    for words in ("**Set when**", "**Means**", "**Do this**"):
        assert body.count(words) == 1


@pytest.mark.parametrize("state", State)
def test_the_table_of_states_is_that_of_the_core(state):
    truths = [truth or "absent" for truth in dataclasses.astuple(TABLE[state])]
    assert f"\n| {state.value} | {' | '.join(truths)} |\n" in CONDITIONS


@pytest.mark.parametrize("state", WATCHED)
def test_a_row_of_the_states_of_a_base_model_is_that_of_the_core(state):
    truths = [truth or "absent" for truth in dataclasses.astuple(WATCHED[state])]
    shown = [row[1:4] for row in states_of_a_base_model()]
    assert truths in shown


def test_a_failure_that_a_person_mends_is_said_to_be_one():
    table = {row[0]: row[-1] for row in states_of_a_base_model()}
    told = set(re.findall(r"`(\w+)`", table["a person has to mend it"])) - {"WriteBackFailed"}
    assert told == {str(reason) for reason in REMEDIES}


def states_of_a_base_model() -> list[list[str]]:
    lines = section(CONDITIONS, "The states of a BaseModel").splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return cells[1:]


FAILED = {row[0].strip("`"): row for row in rows(section(REASONS, "Why a run failed"))}
WAITING = named(section(REASONS, "Waits that show while they last"))
ERRANDS = named(section(REASONS, "Of a BaseModel"))
STATES = named(section(REASONS, "Under way"))


@pytest.mark.parametrize("failure", RULES)
def test_every_failure_class_is_explained_where_its_policy_says(failure):
    rule = RULES[failure]
    if rule.seen_by is Seer.ERRAND:
        assert failure in ERRANDS
    elif rule.policy in (Policy.WAIT, Policy.SHOWN):
        assert failure in (*WAITING, *STATES)
    else:
        assert FAILED[failure][2] == RETRIED[rule.policy]


EXPLAINED = {
    row[0].strip("`"): row for title in REASON_TITLES for row in rows(section(REASONS, title))
}
FIELD = re.compile(r"\b(?:[a-z]+\.)*[a-z]+[A-Z]\w+|\b(?:[a-z]+\.)+[a-z]\w+(?:/\w+)?")


@pytest.mark.parametrize("reason", EXPLAINED)
def test_a_reason_has_a_cause_somewhere_to_look_and_a_remedy(reason):
    assert all(len(cell) > 1 for cell in EXPLAINED[reason])
    assert len(EXPLAINED[reason]) in (4, 5)


@pytest.mark.parametrize("failure", RULES)
def test_a_row_names_every_field_that_the_operators_own_remedy_names(failure):
    rule, row = RULES[failure], " ".join(EXPLAINED[failure])
    named = FIELD.findall(f"{rule.remedy} {rule.errand if failure in ERRANDS else ''}")
    fields = [field.removeprefix("spec.") for field in named]
    assert [field for field in fields if field not in row] == []


def test_no_page_tells_of_a_failure_or_a_wait_that_is_not_in_the_table():
    of_base_models = {"BaseModelNotReady", "BaseModelNotFound"}  # decided, not met
    assert {*FAILED, *WAITING} - of_base_models <= set(RULES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_links_only_to_what_is_there(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    """What a heading is linked by."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
