"""Who publishes the base model: first release, a little more training, a README, a bad day."""

import json
from dataclasses import dataclass
from pathlib import Path

import base_model
from base_model import Lessons
from cluster.gitserver import GitRepository, GitServer
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

CARD = "---\nlicense: apache-2.0\n---\n# A tiny model that reads messages\n"
MESSAGES = 900
FIRST = Lessons("training the base model", steps=2000, seed=0, enough=0.02)
MORE = Lessons("training it a little more", steps=60, seed=1, rate=2e-4)


@dataclass(frozen=True)
class Publisher:
    """A folder with the model's files, and the repository that they are published in."""

    folder: Path
    server: GitServer
    repository: GitRepository

    def publish(self) -> str:
        """The first release; its commit."""
        tokenizer = base_model.make_tokenizer()
        base_model.write_tokenizer(self.folder, tokenizer)
        (self.folder / "README.md").write_text(CARD)
        model = base_model.new_model(tokenizer.get_vocab_size())
        base_model.teach(model, tokenizer, FIRST)
        return self._release(model, "First release")

    def train_more(self) -> str:
        """Some steps more, from where it is."""
        model = LlamaForCausalLM.from_pretrained(self.folder)
        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        base_model.teach(model, tokenizer, MORE)
        return self._release(model, "Train a little more")

    def edit_readme(self) -> str:
        """Words only."""
        text = f"{CARD}\nNow with a longer description.\n"
        return self.repository.commit({"README.md": text.encode()}, message="Say more")

    def spoil(self) -> str:
        """The wrong file: weights that were never trained."""
        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        untrained = base_model.new_model(tokenizer.get_vocab_size(), seed=5)
        return self._release(untrained, "Update the weights")

    def _release(self, model: LlamaForCausalLM, message: str) -> str:
        """Weights go to LFS, as publishers keep them."""
        model.save_pretrained(self.folder)
        files: dict[str, bytes | str | None] = {}
        for path in sorted(self.folder.iterdir()):
            content = path.read_bytes()
            is_large = path.suffix == ".safetensors"
            files[path.name] = self.server.keep(content) if is_large else content
        return self.repository.commit(files, message=message)


def write_messages(path: Path) -> None:
    """What the job trains on."""
    lines = (json.dumps(row) for row in base_model.rows(MESSAGES, seed=5))
    path.write_text("".join(f"{line}\n" for line in lines))
