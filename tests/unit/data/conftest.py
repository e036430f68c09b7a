"""A directory with a tiny base model in it."""

import pytest
from builders.preparing import a_base


@pytest.fixture
def root(tmp_path):
    a_base(tmp_path)
    return tmp_path
