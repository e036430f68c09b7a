"""The image of the container that holds a pod's network namespace, made here.

A node needs one and there is no registry to take it from: a program that only waits, as a docker
archive.
"""

import io
import json
import platform
import struct
import tarfile
from hashlib import sha256
from pathlib import Path

NAME = "localhost/pause:1"

# The machine's number in an ELF header, Go's name for it, and the code of an endless wait.
MACHINES = {
    # mov eax, 34 (pause); syscall; jmp back
    "x86_64": (62, "amd64", bytes.fromhex("b822000000 0f05 ebf7".replace(" ", ""))),
    # mov x8, 73 (ppoll); mov x0..x3, 0; svc 0; b back
    "aarch64": (
        183,
        "arm64",
        bytes.fromhex("280980d2 000080d2 010080d2 020080d2 030080d2 010000d4 faffff17"),
    ),
}
LOADED_AT = 0x400000
HEADERS = 64 + 56


def program(machine: str) -> bytes:
    """A static ELF executable without a library, for x86_64 or aarch64."""
    number, _, code = MACHINES[machine]
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    entry = LOADED_AT + HEADERS
    header = struct.pack("<HHIQQQIHHHHHH", 2, number, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = HEADERS + len(code)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, LOADED_AT, LOADED_AT, size, size, 0x1000)
    return ident + header + segment + code


def write_archive(path: Path) -> Path:
    """Write the image; returns the path."""
    machine = platform.machine()
    layer = _tar({"pause": program(machine)}, mode=0o755)
    config = json.dumps(
        {
            "architecture": MACHINES[machine][1],
            "os": "linux",
            "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]},
        }
    ).encode()
    index = [{"Config": "config.json", "RepoTags": [NAME], "Layers": ["layer.tar"]}]
    files = {"config.json": config, "layer.tar": layer, "manifest.json": json.dumps(index).encode()}
    path.write_bytes(_tar(files))
    return path


def _tar(files: dict[str, bytes], mode: int = 0o644) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
