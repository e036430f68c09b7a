"""What the pages show is true: jobs, commands, fields, data."""

import re
import threading
from pathlib import Path

import pytest
import yaml
from builders.docpages import PAGES, ROOT, blocks, code_spans, command_lines
from builders.jobs import SPEC
from typer.main import get_command

from controller.api.classes import FIELD_RULES, FieldClass
from controller.api.conditions import ConditionType
from controller.api.crd import KINDS, object_schema
from controller.api.documents import parse
from controller.api.structural import walk
from controller.cli import app
from trainer.contract.source import Dataset
from trainer.data.files import find_files
from trainer.data.intake import take_in
from trainer.errors import StageError

GROUP = "tunekeeper.dev/"
YAML = [pytest.param(block, id=block.id) for block in blocks("yaml")]


@pytest.mark.parametrize("block", YAML)
def test_an_object_of_ours_on_a_page_is_a_good_one(block):
    for document in yaml.safe_load_all(block.text):
        if str(document.get("apiVersion", "")).startswith(GROUP):
            parse(yaml.safe_dump(document), file=block.id, base="/home")


FRAGMENTS = [
    pytest.param(block, id=block.id)
    for block in blocks("yaml")
    if list(yaml.safe_load(block.text.partition("\n---\n")[0]) or {}) == ["spec"]
]


@pytest.mark.parametrize("block", FRAGMENTS)
def test_a_part_of_a_job_on_a_page_can_stand_in_a_job(block):
    part = yaml.safe_load(block.text)["spec"]
    document = {
        "apiVersion": "tunekeeper.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {"name": "intents"},
        "spec": SPEC | part,
    }
    assert len(parse(yaml.safe_dump(document), file=block.id, base="/home")) == 1


def test_there_are_parts_and_wholes():
    assert len(FRAGMENTS) >= 3
    assert sum(GROUP in block.values[0].text for block in YAML) >= 3


COMMANDS = dict(command_lines("tunekeeper"))


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_command_line_on_a_page_is_one_that_the_command_takes(words):
    name, *rest = words
    subcommand = get_command(app).commands[name]
    if rest:  # a name alone speaks of the command, and runs nothing
        subcommand.make_context(name, rest)


def test_every_subcommand_is_on_the_first_page():
    named = {words[0] for place, words in COMMANDS.items() if place.startswith("README.md")}
    assert named >= set(get_command(app).commands)


def test_a_make_target_on_a_page_is_one():
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {words[0] for _, words in command_lines("make")}
    assert named - targets == set()
    assert len(named) > 10


def test_a_helm_command_on_a_page_is_one_of_those_that_are_run():
    """tests/integration/chart/test_install_page.py runs the page's own."""
    run = [words for place, words in command_lines("helm") if place.startswith("docs/install.md:")]
    elsewhere = [words for place, words in command_lines("helm") if "install.md:" not in place]
    written = [words for words in elsewhere if len(words) > 1]  # else it names the command only
    assert written
    assert [words for words in written if words not in run] == []


SECTIONS = {
    path.partition(".")[0].partition("[")[0]
    for kind in KINDS
    for path, _ in walk(object_schema(kind)["properties"]["spec"])
}
PATHS = {
    f"{part}{path.replace('[]', '')}"
    for kind in KINDS
    for section in ("spec", "status")
    for path, _ in walk(object_schema(kind)["properties"][section])
    for part in ({"spec.", ""} if section == "spec" else {"status."})
}
FIELD = re.compile(r"[a-z][a-zA-Z]*(\.[a-zA-Z]+)+")
OF_ARGO_CD = {"spec.source.kustomize"}


@pytest.mark.parametrize("page", [page for page in PAGES if page != "docs/api.md"])
def test_a_field_that_a_page_names_is_there(page):
    named = {span.partition(":")[0].replace("[]", "") for span in code_spans(page)}
    fields = {name for name in named if FIELD.fullmatch(name)}
    ours = {name for name in fields if name.partition(".")[0] in SECTIONS | {"spec", "status"}}
    assert sorted(ours - PATHS - OF_ARGO_CD) == []


@pytest.mark.parametrize("page", PAGES)
def test_an_annotation_or_label_that_a_page_names_is_in_the_code(page):
    code = "".join(path.read_text() for path in (ROOT / "controller").rglob("*.py"))
    named = set(re.findall(r"(?<![\w.])tunekeeper\.dev/([a-z][a-z-]+)(?!\w)", PAGES[page]))
    assert [name for name in sorted(named) if f"/{name}" not in code] == []


@pytest.mark.parametrize("page", PAGES)
def test_what_kubectl_is_asked_for_on_a_page_is_there(page):
    paths = re.findall(r"\{\.((?:status|spec)\.[\w.]+)", PAGES[page])
    assert [path for path in paths if path not in PATHS] == []
    waited = re.findall(r"--for=condition=(\w+)", PAGES[page])
    assert [kind for kind in waited if kind not in set(ConditionType)] == []


def test_the_index_has_every_page():
    there = {page.removeprefix("docs/") for page in PAGES if re.fullmatch(r"docs/[\w-]+\.md", page)}
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", PAGES["docs/README.md"]))
    assert there - linked == {"README.md"}


DATA = [pytest.param(block, id=block.id) for block in blocks("jsonl", "csv")]


def read(block, root: Path):
    """What the reader makes of it."""
    path = root / f"train.{block.language}"
    path.write_text(block.text, encoding="utf-8")
    columns = {
        name.removeprefix("fields."): column
        for name, column in block.options.items()
        if name.startswith("fields.")
    }
    data = {"train": {"uri": f"file://{path}"}, "fields": columns}
    dataset = Dataset.model_validate(data)
    files = find_files(dataset, file_root=root)
    spool = root / "rows.arrow"
    return take_in(dataset, files, spool, on_bytes=lambda _: None, stop=threading.Event())


@pytest.mark.parametrize("block", DATA)
def test_data_on_a_page_is_taken_or_refused_as_the_page_says(block, tmp_path):
    refused = block.options.get("refused")
    if refused == "InvalidSpec":  # a format, which is refused as a whole
        with pytest.raises(StageError) as raised:
            read(block, tmp_path)
        assert raised.value.failure == refused
        return
    intake = read(block, tmp_path)
    rows = len(block.text.splitlines()) - (block.language == "csv")
    assert intake.kind == block.options["format"]
    assert intake.rows == rows
    assert len(intake.problems.rows) == (rows if refused else 0)


def test_data_is_shown_in_every_format_that_is_read():
    taken = [block.values[0].options for block in DATA if "refused" not in block.values[0].options]
    assert {options["format"] for options in taken} == {"PromptCompletion", "Chat"}


def test_a_warning_on_the_page_is_one_that_prepare_gives():
    code = (ROOT / "trainer/data/findings.py").read_text(encoding="utf-8")
    warned = PAGES["docs/data.md"].partition("## What is warned of\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ")[0].strip("| ").replace("`", "") for line in warned.splitlines()]
    said = [row for row in rows if row[:1].isupper()]
    assert [
        row
        for row in said
        if row.replace("fewer than 5", "fewer than {RARE_LABEL_ROWS}") not in code
    ] == []
    assert (
        len(said)
        == code.count("counted(\n") + code.count('counted("') + code.count('counted(f"') + 1
    )


JUDGED_AGAIN = {
    "judged again": FieldClass.CONTROL,
    "answered and judged again: another look": FieldClass.GENERATION,
    "a new run": FieldClass.IDENTITY,
}


def test_what_a_change_leads_to_is_what_the_classes_of_the_fields_say():
    page = PAGES["docs/verdict.md"].partition("## Judge again, without a GPU\n")[2]
    rows = [line.strip("| ").split(" | ") for line in page.partition("\n## ")[0].splitlines()]
    table = {row[1].strip(" |"): re.findall(r"`([\w.]+)`", row[0]) for row in rows if len(row) > 1}
    for consequence, expected in JUDGED_AGAIN.items():
        for field in table[consequence]:
            classes = {
                rule.field_class for path, rule in FIELD_RULES.items() if is_below(path, field)
            }
            assert (field, classes - {FieldClass.EXECUTION}) == (field, {expected})


def is_below(path: str, field: str) -> bool:
    """Whether a path is the field, or in that section; an arm's field is written without it."""
    named = f"evaluation.arms[].{field}" if field in ("require", "margin") else field
    return path == named or path.startswith(f"{named}.")
