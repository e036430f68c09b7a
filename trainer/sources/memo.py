"""What one look at a source tells the next: which single files have which content.

The text travels through a termination message and a status, so it is small and not believed to
be well formed: what cannot be read is nothing, which costs reading those files again. What it
says is no proof either. It is the word of an earlier look at the same object, and a run hashes
what it fetches against the digest that came of it.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from trainer.contract.errand import MAX_MEMO

VERSION = "1"
KEY_BYTES = 8
DIGEST_BYTES = sha256().digest_size
ENTRY_BYTES = KEY_BYTES + 1 + DIGEST_BYTES
MAX_ENTRIES = (MAX_MEMO - len(VERSION)) // 4 * 3 // ENTRY_BYTES


@dataclass(frozen=True)
class Entry:
    """A file's content, by the start of a hash of its identity."""

    key: bytes
    magnitude: int
    """Bits that its size takes: enough to keep the large ones."""
    digest: bytes


class Memo:
    """sha256 by identity: a text of what changes whenever the file does.

    The room goes to what this look put there, the largest first; what it only found there
    keeps the rest.
    """

    def __init__(self, text: str = "") -> None:
        self._old = {entry.key: entry for entry in entries(text)}
        self._new: dict[bytes, Entry] = {}

    def get(self, identity: str) -> str | None:
        """The file's sha256 in hexadecimal; None: not known."""
        key = key_of(identity)
        entry = self._new.get(key) or self._old.get(key)
        return entry.digest.hex() if entry is not None else None

    def put(self, identity: str, sha256_hex: str, size: int) -> None:
        """Remember a file of that many bytes."""
        key = key_of(identity)
        magnitude = min(size.bit_length(), 255)
        self._new[key] = Entry(key, magnitude, bytes.fromhex(sha256_hex))

    def text(self) -> str:
        """For the next look, at most ``MAX_MEMO`` characters of ASCII."""
        old = [entry for key, entry in self._old.items() if key not in self._new]
        kept = [*largest_first(self._new.values()), *largest_first(old)][:MAX_ENTRIES]
        if not kept:
            return ""
        data = b"".join(each.key + bytes([each.magnitude]) + each.digest for each in kept)
        return VERSION + base64.urlsafe_b64encode(data).decode()


def largest_first(found: Iterable[Entry]) -> list[Entry]:
    """In an order that does not depend on who came first."""
    return sorted(found, key=lambda entry: (-entry.magnitude, entry.key))


def key_of(identity: str) -> bytes:
    """Short, for there is little room; whoever makes two files collide only fools himself."""
    return sha256(identity.encode(errors="surrogatepass")).digest()[:KEY_BYTES]


def entries(text: str) -> Iterator[Entry]:
    """What an earlier look wrote; nothing, where another version or nobody of ours did."""
    if not text.startswith(VERSION) or len(text) > MAX_MEMO:
        return
    try:
        data = base64.b64decode(text[len(VERSION) :], altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return
    if len(data) % ENTRY_BYTES:
        return
    for at in range(0, len(data), ENTRY_BYTES):
        entry = data[at : at + ENTRY_BYTES]
        yield Entry(entry[:KEY_BYTES], entry[KEY_BYTES], entry[KEY_BYTES + 1 :])
