"""The files of the chart that are made from its values' types."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.api.chart import Values
from controller.api.chartdocs import chart_markdown, schema_json, values_yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "tunekeeper"
SCHEMA = json.loads(schema_json())


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every value below a schema, those of the elements of lists too."""
    for name, field in schema.get("properties", {}).items():
        yield f"{path}{name}", field
        yield from fields(field, f"{path}{name}.")
        yield from fields(field.get("items", {}), f"{path}{name}[].")


FIELDS = dict(fields(SCHEMA))


def test_every_value_is_described() -> None:
    assert len(FIELDS) > 100
    assert [path for path, field in FIELDS.items() if not field.get("description")] == []


def test_a_value_that_is_not_described_is_refused_wherever_it_stands() -> None:
    sections = [field for field in FIELDS.values() if "properties" in field]
    assert all(section["additionalProperties"] is False for section in (SCHEMA, *sections))


def test_the_schema_has_no_references() -> None:
    assert "$ref" not in schema_json()


def test_the_values_are_the_defaults_of_the_types() -> None:
    written = yaml.safe_load(values_yaml())
    assert written == Values().model_dump(mode="json", by_alias=True)


@pytest.mark.parametrize(
    "path", ["image.repository", "settings.workers", "metrics.podMonitor.enabled"]
)
def test_a_value_is_on_the_page_with_its_default(path: str) -> None:
    default = json.dumps(FIELDS[path]["default"])
    assert f"| `{path}` | `{default}` | {FIELDS[path]['description']} |" in chart_markdown()


def test_the_chart_has_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)


@pytest.mark.parametrize("name", ["crd", "monitoring"])
def test_what_the_manifests_have_too_is_theirs(name: str) -> None:
    assert (CHART / "files" / name).resolve() == ROOT / "manifests" / name
