"""The values of the HelmRelease on docs/gitops.md are ones that the chart takes."""

from pathlib import Path

import yaml
from builders.docpages import blocks
from cluster.helm import NAMESPACE, archive, helm


def test_the_chart_takes_the_values_of_the_page_and_uses_them(tmp_path: Path) -> None:
    documents = [
        document
        for block in blocks("yaml")
        if block.page == "docs/gitops.md"
        for document in yaml.safe_load_all(block.text)
    ]
    [release] = [one["spec"] for one in documents if one["kind"] == "HelmRelease"]
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(release["values"]), encoding="utf-8")
    assert release["targetNamespace"] == NAMESPACE
    where = ("--namespace", NAMESPACE, "--values", values)
    made = helm("template", release["releaseName"], archive(), *where)
    assert "image: registry.example.com/ml/tunekeeper:" in made.replace('"', "")
    assert "registry.example.com/ml/tunekeeper-trainer:" in made
