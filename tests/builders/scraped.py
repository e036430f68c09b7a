"""What a scrape of the operator's metrics says, and a job in the state that it is to tell of."""

from builders.jobs import a_job
from prometheus_client.parser import text_string_to_metric_families

from controller.api.status import FineTuneJobStatus


def a_job_that(**status):
    return a_job().model_copy(update={"status": FineTuneJobStatus(**status)})


def scraped(metrics):
    families = text_string_to_metric_families(metrics.render().decode())
    samples = [sample for family in families for sample in family.samples]
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for s in samples}


def value(metrics, series, /, **labels):
    return scraped(metrics).get((series, tuple(sorted(labels.items()))))
