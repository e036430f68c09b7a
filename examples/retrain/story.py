"""`make demo-retrain`: a base model moves, and what Tunekeeper makes of it. No cluster, no account.

Two Git repositories on this machine play the publisher of a base model and your repository of
manifests; everything else is the `tunekeeper` command as anyone runs it.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import publisher
import yaml
from repositories import Repository, served
from rich.console import Console
from rich.rule import Rule

HERE = Path(__file__).parent
COMMAND = Path(sys.executable).with_name("tunekeeper")
PUSH_BRANCH = "tunekeeper/base-model"
console = Console(highlight=False)


@dataclass(frozen=True)
class Stage:
    """Where the story takes place."""

    models: Repository
    manifests: Repository

    @property
    def job(self) -> Path:
        """The file that everything is about."""
        return self.manifests.path / "job.yaml"

    @property
    def output(self) -> Path:
        """Where the job's results go."""
        return self.manifests.path / "output"

    def run(self) -> None:
        """Look at the base model, write back what is new, and bring the job to its end."""
        tunekeeper("run", str(self.job))

    def merge(self) -> None:
        """What a person does with the pull request."""
        said = self.manifests.merge(PUSH_BRANCH)
        console.print(f"[dim]merged into main:[/]\n{said.strip()}\n")

    def promoted(self) -> str:
        """The run in use."""
        document = yaml.safe_load((self.output / "promoted.json").read_text())
        return str(document["runId"])

    def pin(self, run: str) -> None:
        """A person's word, as a commit."""
        document = yaml_text(self.job, "  promotion: {}", f"  promotion: {{pin: {run}}}")
        self.manifests.commit({"job.yaml": document}, f"Roll back to {run}")


def main() -> int:
    """Tell the story in a folder that is made anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=HERE / "build")
    folder = parser.parse_args().folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    with served(folder) as address:
        tell(opened(folder, address))
    return 0


def tell(stage: Stage) -> None:
    """The circle."""
    chapter("1. A job is trained and promoted")
    stage.run()
    first = stage.promoted()

    chapter("2. The publisher trains the base model a little more")
    publisher.train_more(stage.models)
    stage.run()
    console.print("The job stays where its file says. The new revision waits on a branch:\n")
    stage.merge()
    stage.run()
    check(stage.promoted() != first, "the new adapter is in use")
    second = stage.promoted()

    chapter("3. The publisher edits the README")
    publisher.edit_readme(stage.models)
    stage.run()
    stage.merge()
    stage.run()
    check(stage.promoted() == second, "nothing was trained, nothing has moved")

    chapter("4. The publisher has a bad day")
    publisher.spoil(stage.models)
    stage.run()
    stage.merge()
    stage.run()
    check(stage.promoted() == second, "the worse adapter is not promoted")

    chapter("5. A person rolls back to the first run")
    stage.pin(first)
    stage.run()
    check(stage.promoted() == first, "the first adapter is in use again")

    chapter("6. What happened")
    page = stage.manifests.path.parent / "history.html"
    tunekeeper("history", str(stage.job), "--html", str(page))
    tunekeeper("history", str(stage.job))
    console.print(f"\nThe same as a page: {page}")


def opened(folder: Path, address: str) -> Stage:
    """Both repositories with their first commits."""
    models = Repository.made(folder / "models")
    manifests = Repository.made(folder / "manifests")
    revision = publisher.publish(models)
    template = (HERE / "job.yaml").read_text()
    text = template.replace("ADDRESS", address).replace("0" * 40, revision)
    files = {"job.yaml": text, ".gitignore": "output/\ntrain.jsonl\n"}
    manifests.commit(files, "Train on support messages")
    publisher.write_messages(manifests.path / "train.jsonl")
    return Stage(models, manifests)


def yaml_text(file: Path, old: str, new: str) -> str:
    """The file's text with one line changed."""
    text = file.read_text()
    if text.count(old) != 1:
        raise SystemExit(f"{file}: expected one line {old!r}")
    return text.replace(old, new)


def tunekeeper(*arguments: str) -> None:
    """The command, shown and run; the story ends where it fails."""
    shown: Sequence[str] = [Path(a).name if a.startswith("/") else a for a in arguments]
    console.print(f"[bold]$ tunekeeper {' '.join(shown)}[/]")
    ended = subprocess.run([str(COMMAND), *arguments], check=False)  # noqa: S603 - our own command
    if ended.returncode:
        raise SystemExit(ended.returncode)


def chapter(title: str) -> None:
    """A line across the screen."""
    console.print(Rule(f"[bold]{title}[/]", align="left"))


def check(holds: bool, claim: str) -> None:
    """The demo is a test as well: what it says is looked at."""
    if not holds:
        raise SystemExit(f"not so: {claim}")
    console.print(f"[green]✓[/] {claim}\n")


if __name__ == "__main__":
    sys.exit(main())
