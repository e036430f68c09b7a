"""The files made from the types: the CRDs as YAML, docs/api.md and docs/settings.md."""

import dataclasses

import pytest
import yaml

from controller.api.classes import FIELD_RULES
from controller.api.crd import crd_documents
from controller.api.docs import api_markdown
from controller.api.generate import generated_files, main
from controller.api.reasons import Reason
from controller.api.settingsdocs import settings_markdown
from controller.settings import OperatorSettings, env_of, flag_of


def test_the_page_has_every_field_of_the_spec_with_its_class():
    page = api_markdown()
    for path, rule in FIELD_RULES.items():
        [row] = [line for line in page.splitlines() if line.startswith(f"| `{path}` |")][:1]
        assert f"| {rule.field_class.value} |" in row


def test_the_page_says_what_comes_later():
    assert "**Later**: DPO." in api_markdown()


def test_the_page_has_every_reason():
    page = api_markdown()
    assert [reason for reason in Reason if f"`{reason.value}`" not in page] == []


@pytest.mark.parametrize("row", dataclasses.fields(OperatorSettings), ids=lambda row: row.name)
def test_a_setting_is_documented_once_with_variable_flag_and_help(row):
    page = settings_markdown()
    [line] = [line for line in page.splitlines() if line.startswith(f"| `{env_of(row.name)}` |")]
    assert f"| `{flag_of(row.name)}` |" in line
    assert line.endswith(f"| {row.metadata['help']} |")


@pytest.mark.parametrize("page", [api_markdown(), settings_markdown()], ids=["API", "settings"])
def test_every_row_of_a_table_has_as_many_cells_as_its_head(page):
    width = 0
    for line in page.splitlines():
        cells = line.replace("\\|", "").count("|")
        if line.startswith("|---"):
            assert cells == width
        elif line.startswith("|"):
            assert width in (0, cells)
        width = cells if line.startswith("|") else 0


def test_the_yaml_of_a_crd_is_the_crd():
    crds = [text for path, text in generated_files() if path.parent.name == "crd"]
    assert [yaml.safe_load(text) for text in crds] == crd_documents()


def test_stale_files_are_told_then_written_then_fresh(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--check"]) == 1
    told = capsys.readouterr().err
    assert "docs/api.md is not what the types say" in told
    assert "docs/settings.md is not what the types say" in told
    assert main([]) == 0
    assert main(["--check"]) == 0
    (tmp_path / "docs/api.md").write_text("edited by hand", encoding="utf-8")
    assert main(["--check"]) == 1
