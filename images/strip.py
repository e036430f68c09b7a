# ruff: noqa: INP001
"""``strip.py DIRECTORY``: cuts the symbol tables off shared libraries, which no loader reads.

A loader maps what the program headers name. What lies behind the last byte of that is the
section table, symbols for a debugger and debug information: a fifth of all libraries here. The
names that other libraries link to are in a mapped part and stay. Needs no binutils, which a
small base does not have.
"""

import struct
import sys
from pathlib import Path

ELF64_LITTLE_ENDIAN = b"\x7fELF\x02\x01"
PROGRAM_TABLE = struct.Struct("<Q")  # e_phoff, at 32
PROGRAM_ENTRIES = struct.Struct("<HH")  # e_phentsize and e_phnum, at 54
SEGMENT_EXTENT = struct.Struct("<Q16xQ")  # p_offset and p_filesz, at 8 of an entry
SECTION_TABLE = (40, 8)  # e_shoff
SECTION_ENTRIES = (60, 4)  # e_shnum and e_shstrndx


def stripped(library: bytes) -> bytes:
    """The library without what no segment holds; what is no such library comes back as it is."""
    if not library.startswith(ELF64_LITTLE_ENDIAN):
        return library
    cut = bytearray(library[: mapped_end(library)])
    for offset, size in (SECTION_TABLE, SECTION_ENTRIES):
        cut[offset : offset + size] = bytes(size)
    return bytes(cut)


def mapped_end(library: bytes) -> int:
    """Where the last segment, or the table of segments, ends in the file."""
    (table,) = PROGRAM_TABLE.unpack_from(library, 32)
    entry_size, count = PROGRAM_ENTRIES.unpack_from(library, 54)
    ends = [table + entry_size * count]
    for index in range(count):
        offset, size = SEGMENT_EXTENT.unpack_from(library, table + entry_size * index + 8)
        ends.append(offset + size)
    return max(ends)


def main(directory: str) -> None:
    """Strip every shared library below the directory, in place."""
    for path in Path(directory).rglob("*.so*"):
        if path.is_file() and not path.is_symlink():
            path.write_bytes(stripped(path.read_bytes()))


if __name__ == "__main__":
    main(sys.argv[1])
