"""Credentials as files: what is missing is said by name, what is there is never repeated."""

import pytest

from trainer.contract.base import LocalObjectReference
from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.store.secrets import AMBIENT, SecretFiles

REF = LocalObjectReference(name="acme-data")
KEYS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s3cr3t"}


@pytest.fixture
def volume(tmp_path):
    """A Secret's volume as the kubelet lays it out: links into a directory with a date."""

    def lay_out(**keys: str | bytes) -> SecretFiles:
        dated = tmp_path / "dataset" / "..2026_11_24"
        dated.mkdir(parents=True)
        (tmp_path / "dataset" / "..data").symlink_to("..2026_11_24")
        for name, value in keys.items():
            (dated / name).write_bytes(value if isinstance(value, bytes) else value.encode())
            (tmp_path / "dataset" / name).symlink_to(f"..data/{name}")
        return SecretFiles(tmp_path)

    return lay_out


def values(files, ref=REF, optional=("ca.crt",)):
    return files.values("dataset", ref, field="spec.x", required=tuple(KEYS), optional=optional)


def test_the_keys_of_a_role_are_read(volume):
    assert values(volume(**KEYS, **{"ca.crt": "PEM", "other": "x"})) == KEYS | {"ca.crt": "PEM"}


def test_a_key_that_may_be_absent_may_be_absent(volume):
    assert values(volume(**KEYS)) == KEYS


def test_the_newline_of_an_editor_is_no_part_of_a_key(volume):
    assert values(volume(**{name: f"{value}\n" for name, value in KEYS.items()})) == KEYS


@pytest.mark.parametrize(
    ("files", "ref"),
    [
        pytest.param(AMBIENT, REF, id="nothing is mounted"),
        pytest.param(None, None, id="the spec names no Secret"),
    ],
)
def test_without_a_secret_the_environment_decides(tmp_path, files, ref):
    assert values(files or SecretFiles(tmp_path), ref) is None


LACKS = [
    pytest.param(None, "Secret acme-data is missing or empty", id="no volume"),
    pytest.param({}, "Secret acme-data is missing or empty", id="an empty volume"),
    pytest.param({"AWS_ACCESS_KEY_ID": "AKIA"}, "no key AWS_SECRET_ACCESS_KEY", id="half of it"),
    pytest.param(
        KEYS | {"AWS_ACCESS_KEY_ID": " \n"}, "an empty key AWS_ACCESS_KEY_ID", id="a blank key"
    ),
    pytest.param(
        KEYS | {"AWS_ACCESS_KEY_ID": b"\xff"}, "an empty key AWS_ACCESS_KEY_ID", id="no text"
    ),
    pytest.param({"accessKey": "AKIA"}, "the Secret's keys: accessKey", id="other names"),
]


@pytest.mark.parametrize(("keys", "said"), LACKS)
def test_what_is_missing_is_said_by_name(volume, tmp_path, keys, said):
    files = SecretFiles(tmp_path) if keys is None else volume(**keys)
    with pytest.raises(StageError) as caught:
        values(files)
    assert caught.value.failure is FailureClass.SECRET_NOT_FOUND
    assert caught.value.message.startswith("spec.x: Secret acme-data")
    assert said in caught.value.message
    assert "AKIA" not in caught.value.message
    assert "s3cr3t" not in caught.value.message
