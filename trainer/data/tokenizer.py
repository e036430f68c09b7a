"""Loading a base model's tokenizer: from its own files, without code, without torch."""

import json
from pathlib import Path

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from trainer.contract.failures import FailureClass
from trainer.errors import StageError


def load_tokenizer(directory: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a base model directory.

    Raises:
        StageError: there is no tokenizer.json, or it cannot be loaded.
    """
    if not (directory / "tokenizer.json").is_file():
        message = (
            f"spec.baseModel: {directory} has no tokenizer.json; load the tokenizer once with "
            f"AutoTokenizer and save it there with save_pretrained()"
        )
        raise StageError(FailureClass.INVALID_SPEC, message)
    try:
        # Not AutoTokenizer: it reads tokenizer.json all the same, but imports the model
        # configurations and with them torch where it is installed (7 s instead of 2 s of CPU).
        tokenizer: PreTrainedTokenizerBase = PreTrainedTokenizerFast.from_pretrained(
            directory, local_files_only=True
        )
    except Exception as error:  # the libraries below raise whatever they like
        message = (
            f"spec.baseModel: the tokenizer in {directory} cannot be loaded "
            f"({type(error).__name__}); save it again with tokenizer.save_pretrained()"
        )
        raise StageError(FailureClass.INVALID_SPEC, message) from error
    return tokenizer


def end_ids(directory: Path, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Tokens at which the model is known to stop: the tokenizer's and generation_config's."""
    ids = {tokenizer.eos_token_id}
    path = directory / "generation_config.json"
    if path.is_file():
        configured = json.loads(path.read_bytes()).get("eos_token_id")
        ids |= set(configured if isinstance(configured, list) else [configured])
    return frozenset(one for one in ids if isinstance(one, int))
