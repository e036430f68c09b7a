"""``python -m controller.api.generate [--check]``: the files that are made from the types.

Run by ``make generate`` and ``make verify`` from the root of the repository.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from controller.api.chartdocs import chart_markdown, schema_json, values_yaml
from controller.api.crd import crd_documents
from controller.api.docs import api_markdown
from controller.api.settingsdocs import settings_markdown


class _Dumper(yaml.SafeDumper):
    """Quotes what Kubernetes' parser, unlike ours, takes for a boolean: the name ``n`` is a no."""


_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^[yYnN]$"), list("yYnN"))


def generated_files() -> Iterator[tuple[Path, str]]:
    """Path below the root, and the text that belongs there."""
    for document in crd_documents():
        plural = document["spec"]["names"]["plural"]
        text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)
        yield Path("manifests/crd") / f"{plural}.yaml", text
    yield Path("docs/api.md"), api_markdown()
    yield Path("docs/settings.md"), settings_markdown()
    yield Path("docs/chart.md"), chart_markdown()
    yield Path("charts/tunekeeper/values.yaml"), values_yaml()
    yield Path("charts/tunekeeper/values.schema.json"), schema_json()


def main(arguments: list[str]) -> int:
    """Write the files; with ``--check`` only say which of them are stale."""
    stale = [(path, text) for path, text in generated_files() if _read(path) != text]
    if "--check" in arguments:
        for path, _ in stale:
            sys.stderr.write(f"{path} is not what the types say; run make generate\n")
        return 1 if stale else 0
    for path, text in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {path}\n")
    return 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
