"""The license that a base model's card names."""

import pytest

from trainer.sources.card import license_in


@pytest.mark.parametrize(
    ("text", "license_"),
    [
        pytest.param(
            "---\nlicense: Apache-2.0\nlanguage: en\n---\n# Model\n", "apache-2.0", id="one"
        ),
        pytest.param("---\r\nlicense: mit\r\n---\r\n", "mit", id="written on Windows"),
        pytest.param("# Model\nlicense: mit\n", "", id="no front matter"),
        pytest.param("---\nlicense: [mit, other]\n---\n", "", id="a list"),
        pytest.param("---\nlicense: 'see *here*\\nfor more'\n---\n", "", id="no identifier"),
        pytest.param("---\n- a\n---\n", "", id="front matter that is no object"),
        pytest.param("---\nlicense: !!python/object:os.system x\n---\n", "", id="not plain YAML"),
        pytest.param("---\nlicense: [\n---\n", "", id="broken YAML"),
    ],
)
def test_the_license_is_read_or_left_open(tmp_path, text, license_):
    (tmp_path / "README.md").write_bytes(text.encode())
    assert license_in(tmp_path / "README.md") == license_


def test_no_card_is_no_license(tmp_path):
    assert license_in(tmp_path / "README.md") == ""


def test_a_link_out_of_the_model_is_not_followed(tmp_path):
    (tmp_path / "elsewhere.md").write_text("---\nlicense: mit\n---\n")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "README.md").symlink_to(tmp_path / "elsewhere.md")
    assert license_in(tmp_path / "model" / "README.md") == ""
