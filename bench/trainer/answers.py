"""Generated tokens per second of the quickstart's arms, beside transformers one prompt at a time.

Ours answers a whole arm as the train stage does; transformers a sample of the same prompts, spread
evenly, with the same limit and stop tokens. Greedy on both sides; the answers are compared. Prints
Markdown.

    python -m bench.trainer.answers --run DIRECTORY --base DIRECTORY [--sample N] [--threads N]
"""

import argparse
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import GenerationConfig, PreTrainedModel

from bench.trainer.side import Turn
from trainer.arms.generate import CPU_PACE, Decoder, Generated, generate, plan_batches
from trainer.arms.prompts import PromptRules, arm_prompts, zero_shot
from trainer.arms.run import context_tokens
from trainer.contract.spec import Evaluation
from trainer.data.chat import load_renderer
from trainer.data.plan import PreparedPlan
from trainer.data.prepared import PreparedRow, PreparedRows
from trainer.model.adapter import base_of, load_adapter
from trainer.model.load import load_base

ARMS = ("FewShot", "RetrievedFewShot", "Tuned")


@dataclass(frozen=True)
class Paper:
    """The questions of an examination."""

    rules: PromptRules
    train: PreparedRows
    test: Sequence[PreparedRow]


def paper_of(run: Path, base: Path, model: PreTrainedModel) -> Paper:
    """As the train stage reads it."""
    prepared = run / "prepared"
    plan = PreparedPlan.model_validate_json((prepared / "plan.json").read_bytes())
    rules = PromptRules(
        renderer=load_renderer(base, template_date=plan.template_date),
        plan=plan,
        evaluation=Evaluation(),
        seed=17,
        context_tokens=context_tokens(model),
    )
    train, test = (PreparedRows(prepared / f"{name}.arrow") for name in ("train", "test"))
    return Paper(rules, train, list(test))


def ours(
    paper: Paper, model: PreTrainedModel, prompts: Sequence[Sequence[int]]
) -> dict[int, list[int]]:
    """The answers to all prompts, by their places."""
    lengths = [len(ids) for ids in zero_shot(paper.rules, [], paper.test)]
    batches = plan_batches(lengths, [row.id for row in paper.test], rows=CPU_PACE.rows)
    decoder = Decoder(
        model=model,
        stop_ids=paper.rules.renderer.stop_ids,
        max_new_tokens=paper.rules.plan.max_new_tokens,
        stop=threading.Event(),
    )
    answers: dict[int, list[int]] = {}

    def keep(number: int, found: list[Generated]) -> None:
        answers.update(zip(batches[number], (one.ids for one in found), strict=True))

    generate(decoder, prompts, batches, keep)
    return answers


def theirs(paper: Paper, model: PreTrainedModel, prompt: Sequence[int]) -> list[int]:
    """The answer to one prompt by ``generate``."""
    stops = paper.rules.renderer.stop_ids
    settings = GenerationConfig(
        do_sample=False,
        max_new_tokens=paper.rules.plan.max_new_tokens,
        eos_token_id=sorted(stops),
        pad_token_id=min(stops),
    )
    ids = torch.tensor([list(prompt)])
    mask = torch.ones_like(ids)
    with torch.inference_mode():
        found = model.generate(input_ids=ids, attention_mask=mask, generation_config=settings)
    return [token for token in found[0, len(prompt) :].tolist() if token not in stops]


def line(arm: str, paper: Paper, model: PreTrainedModel, sample: int) -> str:
    """One arm's figures."""
    prompts = arm_prompts(arm, paper.rules, paper.train, paper.test)
    places = range(0, len(prompts), max(1, len(prompts) // sample))
    turn = Turn()
    answers = ours(paper, model, prompts)
    own = turn.seconds()
    turn = Turn()
    expected = {at: theirs(paper, model, prompts[at]) for at in places}
    peer = turn.seconds()
    same = sum(answers[at] == expected[at] for at in places)
    count, peer_count = (sum(len(ids) + 1 for ids in each.values()) for each in (answers, expected))
    rates = {clock: (count / own[clock], peer_count / peer[clock]) for clock in own}
    ratio = {clock: fast / slow for clock, (fast, slow) in rates.items()}
    fast, slow = rates["wall_s"]
    return (
        f"| {arm} | {len(answers)} | {fast:.1f} | {len(expected)} | {slow:.1f} "
        f"| **{ratio['wall_s']:.1f}** | {ratio['cpu_s']:.1f} | {same} of {len(expected)} |"
    )


def main() -> None:
    """Arm after arm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="a finished run's folder")
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=8)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--arms", nargs="+", default=ARMS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = load_base(arguments.base, precision="FP32", device="cpu")
    paper = paper_of(arguments.run, arguments.base, model)
    print("| arm | answers | ours, tokens/s | sample | transformers | ratio | of CPU time | same |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for arm in arguments.arms:
        if arm == "Tuned":
            folder = next(arguments.run.glob("e*/adapter"))
            model = base_of(load_adapter(model, folder, binding=paper.rules.plan.base))
        print(line(arm, paper, model, arguments.sample), flush=True)


if __name__ == "__main__":
    main()
