"""Names of everything below ``output.uri``; the only place that spells them."""

OWNER = "owner.json"
POINTER = "promoted.json"
SPLIT = "split.json"
LEDGER = "test-ledger.json"


def run(run_id: str, name: str = "") -> str:
    """Key of a file of a run."""
    return f"runs/{run_id}/{name}"


def claim(run_id: str) -> str:
    """Key of the fence of a run."""
    return run(run_id, "claim.json")


def hardware(run_id: str) -> str:
    """Key of what the run's first attempt found out about its hardware."""
    return run(run_id, "hardware.json")


def prepared(run_id: str, name: str = "") -> str:
    """Key of a prepared file: plan.json, data-report.json, {train,validation,test}.arrow."""
    return run(run_id, f"prepared/{name}")


def epoch(run_id: str, number: int, name: str = "") -> str:
    """Key of a file that one epoch of the claim wrote: checkpoints/, adapter/, metrics.jsonl."""
    return run(run_id, f"e{number}/{name}")


def manifest(run_id: str) -> str:
    """Key of the training manifest; its presence means: trained."""
    return run(run_id, "manifest.json")


def answers_manifest(run_id: str, generation_hash: str) -> str:
    """Key of the manifest of the answers for one set of generation settings."""
    return run(run_id, f"generations/{short(generation_hash)}.json")


def evaluation_manifest(run_id: str, evaluation_id: str) -> str:
    """Key of the manifest of one judgement; written after its verdict."""
    return evaluation(run_id, evaluation_id, "manifest.json")


def evaluation(run_id: str, evaluation_id: str, name: str = "") -> str:
    """Key of a file of one judgement: verdict.json, report.json, report.html."""
    return run(run_id, f"evaluations/{evaluation_id}/{name}")


def outcome(run_id: str, stage: str) -> str:
    """Key of the durable copy of a stage's last word."""
    return run(run_id, f"{stage}-outcome.json")


def short(digest: str) -> str:
    """The first 16 hexadecimal characters of a ``sha256:`` digest."""
    return digest.removeprefix("sha256:")[:16]
