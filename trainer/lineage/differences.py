"""Where the records of two runs disagree: spec, data, base model. Pure."""

from collections.abc import Mapping
from typing import cast

from pydantic import JsonValue

from trainer.contract.lineage import FieldDifference
from trainer.lineage.record import RunRecord

DATA_COUNTS = ("rows", "trainRows", "validationRows", "testRows", "tokens", "labels")
Fields = Mapping[str, JsonValue]


def spec_differences(a: RunRecord, b: RunRecord) -> tuple[list[FieldDifference], str]:
    """Fields of the specs that differ, and a note where they are not recorded."""
    ours, theirs = a.lineage, b.lineage
    if ours is None or theirs is None or not (ours.spec and theirs.spec):
        old = [record.id for record in (a, b) if not (record.lineage and record.lineage.spec)]
        return [], f"The spec is not recorded for {' and '.join(old)}: an older release made it."
    left, right = ({**each.spec, "rerun": each.rerun or None} for each in (ours, theirs))
    return _differences(left, right), ""


def data_differences(a: RunRecord, b: RunRecord) -> list[FieldDifference]:
    """Counts and digests of the data that differ."""
    return _differences(_data(a), _data(b))


def base_differences(a: RunRecord, b: RunRecord) -> list[FieldDifference]:
    """What of the base model differs."""
    return _differences(_base(a), _base(b))


def _data(record: RunRecord) -> Fields:
    plan = record.plan
    if plan is None:
        return {}
    report = plan.data.model_dump(mode="json")
    digests = {f"digest of {name}": digest for name, digest in plan.split_digests.items()}
    return {
        "format": plan.format,
        **{name: report[name] for name in DATA_COUNTS},
        "datasetDigest": plan.dataset_digest,
        **digests,
    }


def _base(record: RunRecord) -> Fields:
    base = record.base
    return {} if base is None else cast("Fields", base.model_dump(mode="json"))


def _differences(a: Fields, b: Fields) -> list[FieldDifference]:
    """Fields in the order of the first; what only one has follows."""
    return [
        FieldDifference(field=name, a=a.get(name), b=b.get(name))
        for name in dict.fromkeys([*a, *b])
        if a.get(name) != b.get(name)
    ]
