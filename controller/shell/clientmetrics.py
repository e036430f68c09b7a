"""What Prometheus is told of the requests to the API server, in client-go's names."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from controller.kube.client import Client

METHODS = ("GET", "POST", "PUT", "DELETE")
"""A rate needs the series of what succeeds before its first event."""


class Requests(Collector):
    """Read from the client's own counts, so that a request costs nothing more."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def collect(self) -> Iterator[CounterMetricFamily]:
        """By code and method; the code of a request without an answer is ``<error>``."""
        metric = CounterMetricFamily(
            "rest_client_requests",
            "Requests to the API server, by code and method.",
            labels=("code", "method", "host"),
        )
        host = self._client.host
        known = {("201" if method == "POST" else "200", method): 0 for method in METHODS}
        for (code, method), count in sorted({**known, **self._client.requests}.items()):
            metric.add_metric((code, method, host), count)
        yield metric
