"""`make demo-retrain`: a base model moves, and what Tunekeeper makes of it. No cluster, no account.

Two Git repositories on this machine play the publisher of a base model and your repository of
manifests; everything else is the `tunekeeper` command as anyone runs it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cluster.gitserver import GitRepository, GitServer
from publisher import Publisher, write_messages
from rich.console import Console
from rich.rule import Rule

HERE = Path(__file__).parent
COMMAND = Path(sys.executable).with_name("tunekeeper")
PUSH_BRANCH = "tunekeeper/base-model"
JOB = "job.yaml"
console = Console(highlight=False)


@dataclass(frozen=True)
class Stage:
    """Where the story takes place."""

    publisher: Publisher
    manifests: GitRepository
    desk: Path
    """Your working copy of the manifests, with the data and the results beside it."""

    @property
    def job(self) -> Path:
        """The file that everything is about."""
        return self.desk / JOB

    def run(self) -> None:
        """Look at the base model, write back what is new, and bring the job to its end."""
        self.job.write_bytes(self.manifests.read(JOB))
        answer = json.loads(tunekeeper("run", str(self.job), "--json"))
        for base in answer["baseModels"]:
            console.print(f"base model  revision {base['status']['latest']['revision'][:12]}")
        for job in answer["jobs"]:
            tell_end(job["status"])

    def merge(self) -> None:
        """What a person does with the pull request."""
        self.manifests.move("main", self.manifests.head(PUSH_BRANCH))
        console.print(f"[dim]merged into main:[/]\n{self.manifests.show('%B').strip()}\n")

    def promoted(self) -> str:
        """The run in use."""
        document = yaml.safe_load((self.desk / "output" / "promoted.json").read_text())
        return str(document["runId"])

    def pin(self, run: str) -> None:
        """A person's word, as a commit."""
        text = self.manifests.read(JOB).decode()
        pinned = text.replace("  promotion: {}", f"  promotion: {{pin: {run}}}")
        self.manifests.commit({JOB: pinned.encode()}, message=f"Roll back to {run}")


def main() -> int:
    """Tell the story in a folder that is made anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=HERE / "build")
    folder = parser.parse_args().folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    with opened(folder) as stage:
        tell(stage)
    return 0


def tell(stage: Stage) -> None:
    """The circle."""
    chapter("1. A job is trained and promoted")
    stage.run()
    first = stage.promoted()

    chapter("2. The publisher trains the base model a little more")
    stage.publisher.train_more()
    stage.run()
    console.print("The job stays where its file says. The new revision waits on a branch:\n")
    stage.merge()
    stage.run()
    check(stage.promoted() != first, "the new adapter is in use")
    second = stage.promoted()

    chapter("3. The publisher edits the README")
    stage.publisher.edit_readme()
    stage.run()
    stage.merge()
    stage.run()
    check(stage.promoted() == second, "nothing was trained, nothing has moved")

    chapter("4. The publisher has a bad day")
    stage.publisher.spoil()
    stage.run()
    stage.merge()
    stage.run()
    check(stage.promoted() == second, "the worse adapter is not promoted")

    chapter("5. A person rolls back to the first run")
    stage.pin(first)
    stage.run()
    check(stage.promoted() == first, "the first adapter is in use again")

    chapter("6. What happened")
    page = stage.desk.parent / "history.html"
    tunekeeper("history", str(stage.job), "--html", str(page))
    print(tunekeeper("history", str(stage.job)))
    console.print(f"\nThe same as a page: {page}")


@contextmanager
def opened(folder: Path) -> Iterator[Stage]:
    """Both repositories with their first commits, on a server of their own."""
    desk, files = folder / "desk", folder / "model"
    for directory in (desk, files):
        directory.mkdir(parents=True)
    server = GitServer(folder / "git")
    try:
        publisher = Publisher(files, server, server.repository("models"))
        manifests = server.repository("manifests")
        text = (HERE / JOB).read_text().replace("https://git.example.com", server.url)
        text = text.replace("0" * 40, publisher.publish())
        manifests.commit({JOB: text.encode()}, message="Train on support messages")
        write_messages(desk / "train.jsonl")
        yield Stage(publisher, manifests, desk)
    finally:
        server.close()


def tell_end(status: dict[str, Any]) -> None:
    """What a job came to, in three lines."""
    run, judged = status["run"], status["evaluation"]
    known = any(c["reason"] == "AlreadyTrained" for c in status["conditions"])
    console.print(f"run         {run['id']}{', trained before' if known else ''}")
    console.print(f"verdict     {judged['verdict']}: {judged['reason']}")
    console.print(f"in use      {status.get('promoted', {}).get('runId', 'nothing')}\n")


def tunekeeper(*arguments: str) -> str:
    """The command, shown and run; what it printed. The story ends where it fails."""
    shown = " ".join(Path(a).name if a.startswith("/") else a for a in arguments)
    console.print(f"[bold]$ tunekeeper {shown}[/]")
    # One thread: of so small a model more of them only wait for each other.
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [str(COMMAND), *arguments]
    with console.status("running"):
        ended = subprocess.run(  # noqa: S603 - our own command
            command, env=environ, capture_output=True, text=True, check=False
        )
    if ended.returncode:
        raise SystemExit(f"{ended.stderr}\ntunekeeper {shown} ended with {ended.returncode}")
    return ended.stdout


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
