"""The files that make the images agree with each other and with the project."""

import re
import runpy
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
STRIP = runpy.run_path(str(ROOT / "images" / "strip.py"))

ELF_HEADER_BYTES, PROGRAM_HEADER_BYTES = 64, 56


def a_library(*, segment, behind):
    """An ELF file of one segment, with a section table's place behind it."""
    start = ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES
    header = bytearray(ELF_HEADER_BYTES)
    header[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<QQ", header, 32, ELF_HEADER_BYTES, start + len(segment))
    struct.pack_into("<HHHHH", header, 54, PROGRAM_HEADER_BYTES, 1, 64, 7, 6)
    entry = struct.pack("<IIQQQQQQ", 1, 5, start, 0, 0, len(segment), len(segment), 4096)
    return bytes(header) + entry + segment + behind


def test_stripping_cuts_what_lies_behind_the_last_segment():
    whole = a_library(segment=b"code" * 8, behind=b"symbols" * 100)
    cut = STRIP["stripped"](whole)
    assert cut == STRIP["stripped"](a_library(segment=b"code" * 8, behind=b""))
    assert cut.endswith(b"code" * 8)


def test_a_stripped_library_names_no_section_table():
    cut = STRIP["stripped"](a_library(segment=b"code", behind=b"symbols"))
    assert cut[40:48] == bytes(8)
    assert cut[60:64] == bytes(4)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"INPUT(libreal.so.1)\n", id="a linker script"),
        pytest.param(b"\x7fELF\x01\x01" + bytes(60), id="a 32-bit library"),
        pytest.param(b"", id="an empty file"),
    ],
)
def test_what_is_no_such_library_is_left_as_it_is(text):
    assert STRIP["stripped"](text) == text


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no ELF")
def test_a_real_library_keeps_all_that_its_segments_map():
    library = next(Path(np.__file__).parent.rglob("_multiarray_umath*.so")).read_bytes()
    cut = STRIP["stripped"](library)
    assert cut[64:] == library[64 : len(cut)]
    assert STRIP["mapped_end"](library) == len(cut)


def test_uv_is_the_one_that_developers_have():
    [image] = re.findall(r"^ARG UV_VERSION=(\S+)$", DOCKERFILE, re.MULTILINE)
    [make] = re.findall(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert image == make


def test_all_that_is_copied_from_here_is_let_into_the_build():
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    sources = {source for line in lines for source in line.split()[:-1]}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    assert {source.partition("/")[0] for source in sources} == let_in
    assert all((ROOT / source).exists() for source in sources)


def test_both_images_run_as_a_numbered_user():
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["65532:65532"]
    stages = re.findall(r"^FROM (\S+) AS (tunekeeper\S*)$", DOCKERFILE, re.MULTILINE)
    assert stages == [("runtime", "tunekeeper"), ("runtime", "tunekeeper-trainer")]
