"""Loading a base model's tokenizer: from its own files, without code, without torch."""

import json
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from trainer.contract.failures import FailureClass
from trainer.errors import StageError


def load_tokenizer(directory: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a base model directory.

    Raises:
        StageError: there is none that can be loaded, or it has no fast implementation.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # the libraries below raise whatever they like
        message = (
            f"spec.baseModel: the tokenizer in {directory} cannot be loaded "
            f"({type(error).__name__}); save it again with tokenizer.save_pretrained()"
        )
        raise StageError(FailureClass.INVALID_SPEC, message) from error
    if not tokenizer.is_fast:
        message = (
            f"spec.baseModel: {directory} has no tokenizer.json; load it once with "
            f"AutoTokenizer and save it again with save_pretrained()"
        )
        raise StageError(FailureClass.INVALID_SPEC, message)
    return tokenizer


def end_ids(directory: Path, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Tokens at which the model is known to stop: the tokenizer's and generation_config's."""
    ids = {tokenizer.eos_token_id}
    path = directory / "generation_config.json"
    if path.is_file():
        configured = json.loads(path.read_bytes()).get("eos_token_id")
        ids |= set(configured if isinstance(configured, list) else [configured])
    return frozenset(one for one in ids if isinstance(one, int))
