"""One thread: the machine is shared, and the tensors are tiny."""

import pytest
import torch
from builders.tiny_weights import make_model

from trainer.model.load import load_base


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def base_directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("base")
    make_model(directory)
    return directory


@pytest.fixture
def base(base_directory):
    return load_base(base_directory, precision="FP32", device="cpu")
