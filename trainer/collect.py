"""``python -m trainer collect``: the durable copy of a stage's last word, on standard output.

For whoever started the stage and got only a part of its message, or none.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from trainer.contract import request as contract
from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.errors import StageError
from trainer.lastword import secret_files
from trainer.stage import read_request
from trainer.store import layout
from trainer.store.base import MissingError
from trainer.store.open import open_store


def collect(environ: Mapping[str, str]) -> int:
    """Print it; the request is the stage's own with its run's id. Returns the exit code."""
    try:
        data = stored_outcome(environ)
    except StageError as error:
        sys.stderr.write(f"{error.message}\n")
        return EXIT_CODES[error.failure]
    sys.stdout.buffer.write(data)
    return 0


def stored_outcome(environ: Mapping[str, str]) -> bytes:
    """Both lines, uncut.

    Raises:
        StageError: the stage left none, or the output cannot be read.
    """
    request = read_request(environ)
    output = request.spec.output
    file_root = Path(environ.get(contract.FILE_ROOT_ENV, contract.DEFAULT_FILE_ROOT))
    secrets = secret_files(environ)
    store = open_store(output.uri, output.storage, file_root=file_root, secrets=secrets)
    key = layout.outcome(request.run_id, request.stage.value)
    try:
        return store.read(key)
    except MissingError:
        message = f"{store.uri}/{key} does not exist; the stage ended before it knew its run"
        raise StageError(FailureClass.NOT_FOUND, message) from None
