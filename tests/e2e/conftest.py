"""A cluster with a real node, once a session; a namespace a test module.

Only inside of an enclosure, as `make e2e` runs it; elsewhere nothing here is collected.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from builders.whole_run import a_base_model
from cluster.node import enclosure, node
from cluster.prometheus import Prometheus, running
from cluster.s3server import s3_server
from e2e import evidence, installation
from e2e.installation import Installation
from e2e.objects import BASE, Objects, filled
from e2e.sample import Sample
from e2e.story import Story, scrape_config, told
from e2e.tenant import Tenant

collect_ignore_glob = [] if enclosure.directory() else ["test_*.py"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes minutes; `make e2e` runs it, a person may not")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Objects, events and logs of the moment of the failure, as files."""
    report = yield
    tenant = report.failed and _tenant(getattr(item, "funcargs", {}))
    if tenant:
        place = evidence.collect(tenant.plane, tenant.namespace, item.name)
        report.sections.append(("evidence", f"objects, events and logs are in {place}"))
    return report


def _tenant(fixtures: dict[str, Any]) -> Tenant | None:
    """Whose job a test was about."""
    story = fixtures.get("undisturbed")
    return fixtures.get("tenant") or (story.sample.tenant if story else None)


@pytest.fixture(scope="session")
def installed() -> Iterator[Installation]:
    """Tunekeeper on a node, ready."""
    with node.control_plane() as plane:
        joined = node.join(plane)
        images = installation.load_images(joined)
        yield installation.install(plane, joined, images)


@pytest.fixture(scope="session")
def objects(installed: Installation, tmp_path_factory) -> Iterator[Objects]:
    """S3 with three identities, as pods reach it."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield filled(server, installed.node.host)


@pytest.fixture(scope="session")
def base_uri(objects: Objects, tmp_path_factory) -> str:
    """The tiny base model in the store."""
    return objects.put_tree(BASE, "tiny", a_base_model(tmp_path_factory.mktemp("base") / "tiny"))


@pytest.fixture(scope="session")
def prometheus(installed: Installation) -> Iterator[Prometheus]:
    """A Prometheus that scrapes what the project's monitors say."""
    with running(scrape_config(installed.plane)) as server:
        yield server


@pytest.fixture(scope="session")
def undisturbed(objects: Objects, installed, base_uri, prometheus) -> Story:
    """A job to its end, which nobody disturbed."""
    tenant = Tenant(installed.plane, "undisturbed").made(objects.secrets())
    return told(Sample(objects, tenant, base_uri), "undisturbed", prometheus)


@pytest.fixture(scope="module")
def tenant(request: pytest.FixtureRequest, installed: Installation, objects: Objects) -> Tenant:
    """A namespace of its own, with enforced restricted pod security and three Secrets."""
    name = re.sub("[^a-z0-9]+", "-", request.module.__name__.rpartition(".")[2])
    return Tenant(installed.plane, name).made(objects.secrets())


@pytest.fixture(scope="module")
def sample(objects: Objects, tenant: Tenant, base_uri: str) -> Sample:
    """What jobs are made of."""
    return Sample(objects, tenant, base_uri)
