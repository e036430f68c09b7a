"""From a listing to a model on this machine: what is there already is checked, the rest fetched."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trainer.sources.base import Transfer
from trainer.sources.cached import check_room, note
from trainer.sources.counted import check_contents, is_weight
from trainer.sources.fetch import fetch
from trainer.sources.listing import Listed, Remote, sha256_if_whole
from trainer.store.paths import storage_errors


@dataclass(frozen=True)
class Shelf:
    """One model's directory in the cache, and what its source lists for it.

    ``listing`` has the counted files, ``names`` all that the source has.
    """

    directory: Path
    remote: Remote
    listing: Mapping[str, Listed]
    names: Collection[str]
    transfer: Transfer


def stock(shelf: Shelf, *, weights: bool) -> dict[str, str]:
    """``gather`` where the listing vouches for each file, with a record for later stages."""
    files = gather(shelf, weights=weights)
    note(shelf.directory, files)
    return files


def gather(shelf: Shelf, *, weights: bool) -> dict[str, str]:
    """Have the files on the shelf, with or without the weights; the sha256 of each counted one.

    The small files come first, because they tell whether the weights are worth fetching. A
    weight that the source gives no sha256 for is fetched even when none are wanted.

    Raises:
        StageError: something is missing at the source, or cannot be fetched.
    """
    with storage_errors(shelf.directory):
        shelf.directory.mkdir(parents=True, exist_ok=True)
    listing = shelf.listing
    wanted = [n for n in listing if weights or not is_weight(n) or not listing[n].sha256]
    shelf.transfer.on_size(sum(listing[name].size for name in wanted))
    there = found(shelf, wanted)
    missing = [name for name in wanted if name not in there]
    check_room(shelf.directory, {name: listing[name].size for name in missing})
    small = bring(shelf, (name for name in missing if not is_weight(name)))
    check_contents(shelf.remote.place, shelf.directory, shelf.names)
    large = bring(shelf, (name for name in missing if is_weight(name)))
    vouched = {name: listed.sha256 for name, listed in listing.items()}
    return vouched | there | small | large


def found(shelf: Shelf, names: Iterable[str]) -> dict[str, str]:
    """The sha256 of those that lie here as they are listed; each is read in full."""
    digests = {
        name: sha256_if_whole(shelf.directory / name, shelf.listing[name], shelf.transfer)
        for name in names
        if shelf.listing[name].has_digest
    }
    return {name: digest for name, digest in digests.items() if digest}


def bring(shelf: Shelf, names: Iterable[str]) -> dict[str, str]:
    """Fetch the files, one after the other; the sha256 of each."""
    return {
        name: fetch(shelf.remote, name, shelf.listing[name], shelf.directory, shelf.transfer)
        for name in names
    }
