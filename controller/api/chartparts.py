"""Parts of the chart's values: traffic, and what is measured."""

from typing import Annotated, Any

from pydantic import Field

from trainer.contract.base import Wire

Object = dict[str, Any]
Labels = dict[str, str]
Namespace = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
Cidr = Annotated[str, Field(pattern=r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
OptionalName = Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$")]


class Egress(Wire):
    """Addresses that may be reached."""

    cidr: Cidr = Field(description="Addresses.")
    except_: list[Cidr] = Field(
        default=[], alias="except", description="Addresses within them that may not."
    )
    ports: list[Port] = Field(default=[], description="TCP ports; empty: all.")


class TrainerPolicy(Wire):
    """Traffic of the stages' pods."""

    namespaces: list[Namespace] = Field(
        default=[],
        description="Namespaces that get the policy for stages' pods; empty: those of "
        "`watchNamespaces`.",
    )
    egress: list[Egress] = Field(
        default=[
            Egress(cidr="0.0.0.0/0", except_=["169.254.0.0/16"]),
            Egress(cidr="::/0", except_=["fe80::/10", "fd00:ec2::/32"]),
        ],
        description="Where object stores, hubs and forges are. As it is: everywhere but the "
        "addresses of node metadata.",
    )
    extra_egress: list[Object] = Field(
        default=[],
        description="More NetworkPolicyEgressRules, such as one to the pods of an object store.",
    )
    identity_egress: list[Egress] = Field(
        default=[
            Egress(cidr="0.0.0.0/0", except_=["169.254.0.0/16"], ports=[443]),
            Egress(cidr="::/0", except_=["fe80::/10", "fd00:ec2::/32"], ports=[443]),
        ],
        description="Where the token service of `irsa` and `azure` is: it has no address of its "
        "own. Name your private endpoint here when `egress` is narrow.",
    )


class NetworkPolicy(Wire):
    """Traffic."""

    enabled: bool = Field(
        default=False, description="Make NetworkPolicies; your network plugin must enforce them."
    )
    api_server: list[Egress] = Field(
        default=[],
        description="Where the API server is, by its endpoint's address and port; empty: every "
        "address.",
    )
    dns: list[Object] = Field(
        default=[], description="NetworkPolicyPeers that answer DNS; empty: every address, port 53."
    )
    metrics_from: list[Object] = Field(
        default=[],
        description="NetworkPolicyPeers that may scrape controller and stages; empty: all.",
    )
    trainers: TrainerPolicy = Field(
        default_factory=TrainerPolicy, description="The policy for stages' pods."
    )


class Monitor(Wire):
    """A monitor of the Prometheus operator."""

    enabled: bool = Field(default=False, description="Make it.")
    interval: str = Field(
        default="15s", pattern=r"^[0-9]+(ms|s|m|h)$", description="Time between two scrapes."
    )
    labels: Labels = Field(default={}, description="Labels by which your Prometheus finds it.")


class MetricsService(Wire):
    """For Prometheus."""

    enabled: bool = Field(default=True, description="Make the Service of the controller's metrics.")
    annotations: Labels = Field(default={}, description="Annotations on it.")
    labels: Labels = Field(default={}, description="More labels on it.")


class PrometheusRules(Wire):
    """Alerts."""

    enabled: bool = Field(default=False, description="Make the PrometheusRule with the alerts.")
    labels: Labels = Field(default={}, description="Labels by which your Prometheus finds it.")
    runbook_base_url: str = Field(
        default="docs/runbooks",
        description="What goes before the name of an alert's page in `runbook_url`.",
    )


class Dashboards(Wire):
    """Grafana."""

    enabled: bool = Field(default=False, description="Make the ConfigMap with the dashboards.")
    namespace: OptionalName = Field(
        default="", description="Namespace of the ConfigMap; empty: the release's."
    )
    labels: Labels = Field(
        default={"grafana_dashboard": "1"},
        description="Labels by which Grafana's sidecar finds it.",
    )
    annotations: Labels = Field(default={}, description="Annotations, such as the folder.")


class MonitoringValues(Wire):
    """Metrics, alerts and dashboards."""

    service: MetricsService = Field(default_factory=MetricsService, description="The Service.")
    service_monitor: Monitor = Field(
        default_factory=Monitor, description="ServiceMonitor of the controller."
    )
    pod_monitor: Monitor = Field(
        default_factory=Monitor, description="PodMonitor of the stages' pods."
    )
    prometheus_rule: PrometheusRules = Field(
        default_factory=PrometheusRules, description="PrometheusRule."
    )
    dashboards: Dashboards = Field(default_factory=Dashboards, description="Grafana's dashboards.")
