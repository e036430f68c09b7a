"""A marked line's revision is all that ever changes in a file."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trainer.writeback.markers import BaseModelName, rewrite

OWN = BaseModelName("ml", "base")
OLD = "0123456789abcdef0123456789abcdef01234567"
NEW = "fedcba9876543210fedcba9876543210fedcba98"
MARK = '# {"$basemodel": "ml:base"}'
TIGHT = '#{"$basemodel":"ml:base"}'

FOLLOWED = {
    "a plain value": "revision: {} " + MARK,
    "an indented one": "    revision: {}   " + MARK,
    "double quotes": 'revision: "{}" ' + MARK,
    "single quotes": "revision: '{}' " + MARK,
    "a quoted key": '"revision": {} ' + MARK,
    "an item of a list": "  - revision: {} " + MARK,
    "a flow mapping": "baseModel: {{name: base, revision: {}}} " + MARK,
    "a flow mapping that goes on": "baseModel: {{revision: {}, name: 'a, b'}} " + MARK,
    "an anchor": "revision: &rev {} " + MARK,
    "a tag": "revision: !!str {} " + MARK,
    "another comment before": "revision: {} # pinned, see #12 " + MARK,
    "spaces behind": "revision: {} " + MARK + "  ",
    "a tight marker": "revision: {} " + TIGHT,
}


def filled(line: str, revision: str) -> str:
    """The line with a revision in it."""
    return line.replace("{}", revision).replace("{{", "{").replace("}}", "}")


@pytest.mark.parametrize("line", FOLLOWED.values(), ids=FOLLOWED.keys())
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", ""], ids=["lf", "crlf", "cr", "none"])
@pytest.mark.parametrize("start", ["", "\ufeff", "kind: Job\n"], ids=["first", "bom", "later"])
def test_the_value_is_replaced_and_nothing_else(line, ending, start):
    after = f"{ending}tail: {OLD} # the end{ending}" if ending else ""
    done = rewrite(start + filled(line, OLD) + after, OWN, NEW)
    assert done.text == start + filled(line, NEW) + after
    assert (done.marked, done.faulty, done.foreign) == (1, (), ())


FAULTY = {
    "a branch": f"revision: main {MARK}",
    "a tag": f"revision: v1.2 {MARK}",
    "a short commit": f"revision: {OLD[:7]} {MARK}",
    "capital digits": f"revision: {OLD.upper()} {MARK}",
    "no value": f"revision: {MARK}",
    "an alias": f"revision: *other {MARK}",
    "a block scalar": f"revision: | {MARK}",
    "another key": f"version: {OLD} {MARK}",
    "a longer key": f"myrevision: {OLD} {MARK}",
    "two of them": f"{{revision: {OLD}, b: {{revision: {OLD}}}}} {MARK}",
    "a revision inside a text": f'note: "revision: {OLD}" {MARK}',
    "a value that goes on": f"revision: {OLD}, {MARK}",
    "a hash that is no comment": f"revision: {OLD}{MARK}",
    "a quote that does not end": f"revision: '{OLD} {MARK}",
    "no mapping": f"{OLD} {MARK}",
}


@pytest.mark.parametrize("line", FAULTY.values(), ids=FAULTY.keys())
def test_a_marked_line_that_cannot_be_followed_is_told_and_left(line):
    done = rewrite(f"a: b\n{line}\n", OWN, NEW)
    assert done.text == f"a: b\n{line}\n"
    assert done.marked == 0
    assert [problem.line for problem in done.faulty] == [2]


FOREIGN = {
    "another namespace": ("other:base", "another namespace"),
    "another name there": ("other:tiny", "another namespace"),
    "no namespace": ("base", "not namespace:name"),
    "too much": ("ml:base:revision", "not namespace:name"),
    "nothing": ("", "not namespace:name"),
}


@pytest.mark.parametrize(("target", "words"), FOREIGN.values(), ids=FOREIGN.keys())
def test_a_marker_of_another_namespace_is_told_and_left(target, words):
    text = f'revision: {OLD} # {{"$basemodel": "{target}"}}\n'
    done = rewrite(text, OWN, NEW)
    assert (done.text, done.marked) == (text, 0)
    assert words in done.foreign[0].reason


OTHERS = {
    "another BaseModel of the namespace": f'revision: {OLD} # {{"$basemodel": "ml:tiny"}}',
    "a line that is commented out": f"# revision: {OLD} {MARK}",
    "no marker": f"revision: {OLD} # ml:base",
    "a marker with more in it": f'revision: {OLD} # {{"$basemodel": "ml:base", "a": 1}}',
    "a marker that is no JSON": f'revision: {OLD} # {{"$basemodel": ml:base}}',
    "a marker with words behind": f"revision: {OLD} {MARK} please",
    "a marker of another kind": f'revision: {OLD} # {{"$imagepolicy": "ml:base"}}',
}


@pytest.mark.parametrize("line", OTHERS.values(), ids=OTHERS.keys())
def test_other_lines_are_none_of_our_business(line):
    done = rewrite(line, OWN, NEW)
    assert (done.text, done.marked, done.faulty, done.foreign) == (line, 0, (), ())


@pytest.mark.parametrize("new", ["main", "", "a" * 41, NEW.upper(), "a\n" + "b" * 10, f"{NEW}\n"])
def test_what_is_no_revision_is_never_written(new):
    with pytest.raises(ValueError, match="is no revision"):
        rewrite(f"revision: {OLD} {MARK}", OWN, new)


@pytest.mark.parametrize("new", ["123456789012", "1234567e8901", "0b1010101010"])
def test_a_revision_that_yaml_takes_for_a_number_gets_quotes(new):
    text = rewrite(f"revision: {OLD} {MARK}\n", OWN, new).text
    assert text == f'revision: "{new}" {MARK}\n'
    assert yaml.safe_load(text) == {"revision": new}
    assert rewrite(f"revision: '{OLD}' {MARK}", OWN, new).text == f"revision: '{new}' {MARK}"


def test_what_is_up_to_date_stays_as_it_is_written():
    text = f"revision: {NEW} {MARK}\nrevision: '{NEW}' {MARK}"
    assert rewrite(text, OWN, NEW).text == text
    assert rewrite(text, OWN, NEW).marked == 2


REVISIONS = st.from_regex(r"[0-9a-f]{40}|[0-9a-f]{12}", fullmatch=True)
WORDS = ["revision: ", MARK, OLD, "$basemodel", "ml:base", "'", '"', "{", "}", ", ", "# ", " ", ":"]
BREAKS = ["\n", "\r\n", "\r", "\t", "\ufeff", "\u2028", "\x85", "\x00"]
PIECES = st.sampled_from([*WORDS, *BREAKS, "- ", "&a ", "*a", "|", ">", "?", "é"])
TEXTS = st.lists(PIECES | st.text(max_size=3) | REVISIONS, max_size=25).map("".join)


@given(TEXTS, REVISIONS)
def test_lines_without_a_marker_never_change(text, new):
    before = re.split(r"\r\n|\n|\r", text)
    after = re.split(r"\r\n|\n|\r", rewrite(text, OWN, new).text)
    assert len(before) == len(after)
    changed = [(old, now) for old, now in zip(before, after, strict=True) if old != now]
    assert all("$basemodel" in old and "revision" in old for old, _ in changed)


@given(TEXTS, REVISIONS)
def test_only_a_value_that_is_a_revision_gives_way_to_the_new_one(text, new):
    before = re.split(r"(\r\n|\n|\r)", text)
    after = re.split(r"(\r\n|\n|\r)", rewrite(text, OWN, new).text)
    for old, now in zip(before, after, strict=True):
        if old != now:
            head, _, tail = now.partition(new)
            head = head.removesuffix('"') if old.find(head) != 0 else head
            tail = tail.removeprefix('"') if not old.endswith(tail) else tail
            gone = old.removeprefix(head).removesuffix(tail)
            assert old == head + gone + tail
            assert re.fullmatch(r"""["']?([0-9a-f]{40}|[0-9a-f]{12})["']?""", gone)


@given(TEXTS, REVISIONS)
def test_twice_is_once(text, new):
    once = rewrite(text, OWN, new)
    twice = rewrite(once.text, OWN, new)
    assert (twice.text, twice.marked) == (once.text, once.marked)
    assert (twice.faulty, twice.foreign) == (once.faulty, once.foreign)


@given(st.lists(st.tuples(TEXTS, st.sampled_from(list(FOLLOWED.values()))), max_size=4))
def test_every_marked_line_is_followed_whatever_is_around_it(parts):
    text = "".join(f"{other}\n{filled(line, OLD)}\n" for other, line in parts)
    others = rewrite("".join(f"{other}\n" for other, _ in parts), OWN, NEW)
    assert rewrite(text, OWN, NEW).marked == len(parts) + others.marked
