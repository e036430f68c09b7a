"""Every mistake of a user, made for real: what the command says, how it ends, what it leaves."""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from builders.preparing import chats, rows, write_jsonl
from builders.whole_run import Desk, contents, on_small_disk

GOOD = rows(160)
SECRET = "do-not-print-me"  # noqa: S105 - stands for the content of a row

Arrange = Callable[[Desk], None]


@dataclass(frozen=True)
class Mistake:
    """What is done, and what has to be said about it: the place first, the remedy last."""

    arrange: Arrange
    said: tuple[str, ...]


def job_file(data: bytes) -> Arrange:
    return lambda desk: (desk.root / "job.yaml").write_bytes(data) and None


def slip(old: str, new: str) -> Arrange:
    return lambda desk: desk.edit_job(old, new)


def data(*content: dict) -> Arrange:
    return lambda desk: write_jsonl(desk.data, list(content)) and None


def raw_line(line: bytes) -> Arrange:
    def arrange(desk: Desk) -> None:
        lines = desk.data.read_bytes().splitlines()
        desk.data.write_bytes(b"\n".join([*lines[:20], line, *lines[20:]]))

    return arrange


def repeated_ids(desk: Desk) -> None:
    keyed = [row | {"key": f"{SECRET}-{number}"} for number, row in enumerate(GOOD)]
    keyed[30]["key"] = keyed[7]["key"]
    write_jsonl(desk.data, keyed)
    desk.write_job(dataset={"fields": {"id": "key"}})


def base_without(*names: str) -> Arrange:
    def arrange(desk: Desk) -> None:
        for name in names:
            (desk.base / name).unlink()

    return arrange


def chat_without_template(desk: Desk) -> None:
    write_jsonl(desk.data, chats(160))
    (desk.base / "chat_template.jinja").unlink()


def pickled_weights(desk: Desk) -> None:
    (desk.base / "model.safetensors").rename(desk.base / "pytorch_model.bin")


SPEC_MISTAKES = [
    pytest.param(
        Mistake(job_file(b"kind: FineTuneJob\nspec: [\n"), ("job.yaml:3", "YAML")),
        id="a job file that is no YAML",
    ),
    pytest.param(
        Mistake(job_file("kind: Caf\xe9".encode("latin-1")), ("job.yaml", "UTF-8")),
        id="a job file that is not UTF-8",
    ),
    pytest.param(
        Mistake(lambda desk: (desk.root / "job.yaml").unlink(), ("job.yaml", "cannot be read")),
        id="a job file that is not there",
    ),
    pytest.param(
        Mistake(slip("training:", "trainning:"), ("spec.trainning", 'did you mean "training"')),
        id="an unknown field",
    ),
    pytest.param(
        Mistake(slip("rank: 2", "dropout: 0.1"), ("spec.lora.dropout", "0.1", "quote")),
        id="an unquoted decimal",
    ),
    pytest.param(
        Mistake(
            slip("epochs: 3", "checkpointPeriodSeconds: 5m"),
            ("spec.training.checkpointPeriodSeconds", "5m", "write 300"),
        ),
        id="a period with a unit",
    ),
    pytest.param(
        Mistake(
            slip("gpus: 0", "resources: {limits: {memory: 16GB}}"),
            ("spec.compute.resources.limits.memory", "16GB", "16Gi"),
        ),
        id="a unit that Kubernetes does not have",
    ),
]

DATA_MISTAKES = [
    pytest.param(
        Mistake(lambda desk: desk.data.unlink(), ("spec.dataset.train.uri", "there is no file")),
        id="a data file that is not there",
    ),
    pytest.param(
        Mistake(data(), ("train.jsonl:1", "has no rows", "fill it")), id="a data file without rows"
    ),
    pytest.param(
        Mistake(data(*GOOD[:40], *chats(40)), ("train.jsonl:1", "keep one format")),
        id="rows of two formats",
    ),
    pytest.param(
        Mistake(
            raw_line(b'{"prompt": "caf\xe9 do-not-print-me", "completion": "x"}'),
            ("train.jsonl:21", "is not UTF-8", "iconv"),
        ),
        id="a row that is not UTF-8",
    ),
    pytest.param(
        Mistake(
            raw_line(json.dumps({"prompt": SECRET}).encode()),
            ("train.jsonl:21", "has no answer", 'fill "completion"'),
        ),
        id="a row without an answer",
    ),
    pytest.param(
        Mistake(repeated_ids, ("train.jsonl:31", "has the id of train.jsonl:8", "must be unique")),
        id="two rows of one id",
    ),
    pytest.param(
        Mistake(data(*rows(12)), ("spec.dataset", "the test split has", "add rows")),
        id="a test split that can decide nothing",
    ),
    pytest.param(
        Mistake(
            base_without("tokenizer.json"),
            ("spec.baseModel", "has no tokenizer.json", "save_pretrained"),
        ),
        id="a base model without a tokenizer",
    ),
    pytest.param(
        Mistake(chat_without_template, ("spec.baseModel", "no chat template", "instruction-tuned")),
        id="conversations for a base model without a chat template",
    ),
    pytest.param(
        Mistake(pickled_weights, ("spec.baseModel", "pickle", "safe_serialization=True")),
        id="weights that are only there as pickle",
    ),
]


def below_a_file(desk: Desk) -> None:
    (desk.root / "occupied").write_text("a file")
    desk.edit_job("file://./output", "file://./occupied/output")


def below_proc(desk: Desk) -> None:
    desk.edit_job("file://./output", "file:///proc/tunekeeper")


OUTPUT_MISTAKES = [
    pytest.param(
        Mistake(below_a_file, ("occupied", "not a directory", "choose another place")),
        id="an output below a file",
    ),
    pytest.param(
        Mistake(below_proc, ("/proc/tunekeeper", "choose another place")),
        id="an output where nobody may write",
    ),
]


@pytest.fixture
def used_desk(desk: Desk, first_run: Desk) -> Desk:
    """A desk with the results of an earlier run."""
    shutil.copytree(first_run.output, desk.output)
    return desk


@pytest.mark.parametrize("mistake", SPEC_MISTAKES)
def test_a_mistake_in_the_job_file_starts_nothing(desk: Desk, mistake: Mistake) -> None:
    mistake.arrange(desk)
    ended = desk.tunekeeper("run", "job.yaml")
    the_message(ended, 2, mistake)
    assert desk.stages() == []
    assert not desk.output.exists()


@pytest.mark.parametrize("mistake", DATA_MISTAKES)
def test_a_mistake_in_data_or_model_leaves_earlier_results_alone(
    used_desk: Desk, mistake: Mistake
) -> None:
    mistake.arrange(used_desk)
    before = contents(used_desk.output)
    ended = used_desk.tunekeeper("run", "job.yaml")
    the_message(ended, 2, mistake)
    after = contents(used_desk.output)
    assert {name: after.get(name) for name in before} == before
    assert set(after) - set(before) <= {"staging/data-report.json"}
    assert used_desk.stages() == ["prepare"]


@pytest.mark.parametrize("mistake", OUTPUT_MISTAKES)
def test_an_output_that_cannot_be_written_is_the_users_to_change(
    desk: Desk, mistake: Mistake
) -> None:
    mistake.arrange(desk)
    the_message(desk.tunekeeper("run", "job.yaml"), 2, mistake)
    assert desk.stages() == ["prepare"]


def test_an_output_of_another_job_is_not_touched(used_desk: Desk) -> None:
    used_desk.edit_job("name: tiny", "name: other")
    before = contents(used_desk.output)
    ended = used_desk.tunekeeper("run", "job.yaml")
    mistake = Mistake(below_proc, ("spec.output.uri", "belongs to job default/tiny", "choose"))
    the_message(ended, 2, mistake)
    assert contents(used_desk.output) == before


@pytest.fixture(scope="session")
def _may_mount(tmp_path_factory) -> None:
    place = tmp_path_factory.mktemp("mount")
    tried = subprocess.run(  # noqa: S603 - our own command
        [*on_small_disk(place, tmp_path_factory.mktemp("left")), "true"],
        capture_output=True,
        check=False,
    )
    if tried.returncode:
        pytest.skip("this machine lets nobody mount a small disk of their own")


DISKS = [
    pytest.param("output", 2, "prepare", id="from the start"),
    pytest.param("output", 10, "prepare", id="when the prepared rows are published"),
    pytest.param("output", 50, "train", id="when the adapter is trained"),
    pytest.param("state", 4, "prepare", id="where the stages work"),
]


@pytest.mark.usefixtures("_may_mount")
@pytest.mark.parametrize(("place", "free_pages", "stage"), DISKS)
def test_a_full_disk_is_not_the_users_error_and_leaves_earlier_results_alone(
    used_desk: Desk, tmp_path_factory, place: str, free_pages: int, stage: str
) -> None:
    used_desk.write_job(lora={"rank": 3})
    left = tmp_path_factory.mktemp("left")
    disk = used_desk.root / place
    disk.mkdir(exist_ok=True)
    before = contents(used_desk.output)
    ended = used_desk.tunekeeper("run", "job.yaml", before=on_small_disk(disk, left, free_pages))
    remedy = "free or add disk space, then run it again"
    error = the_message(ended, 1, Mistake(below_proc, (f"{stage}: ", remedy)))
    assert str(disk) in (error if place == "output" else ended.stderr)
    after = contents(left if place == "output" else used_desk.output)
    assert {name: after.get(name) for name in before} == before
    new = set(after) - set(before)
    published = {name.rpartition("/")[2] for name in new} & {"plan.json", "manifest.json"}
    assert published == ({"plan.json"} if stage == "train" else set())


def the_message(ended, code: int, mistake: Mistake) -> str:
    """The one error that was printed, with everything that it has to say."""
    printed = ended.stdout + ended.stderr
    assert ended.returncode == code, printed
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, printed
    (error,) = errors
    assert [part for part in mistake.said if part not in error] == [], error
    assert ended.stderr.count(error.removeprefix("error: prepare: ")) == 1, printed
    assert "Traceback" not in printed
    assert SECRET not in printed
    assert ended.stdout == ""
    return error
