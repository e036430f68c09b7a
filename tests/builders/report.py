"""Reports for tests: a realistic one, changed by keyword."""

import math
from typing import Any

from trainer.contract.outcome import Cost, DataError, DataReport, Estimate, ResolvedValue
from trainer.contract.verdict import (
    ArmScore,
    Comparison,
    ForgettingResult,
    Guard,
    Judgement,
    OverfittingResult,
    Verdict,
)
from trainer.data.plan import PreparedPlan
from trainer.report.model import ChangedAnswer, LossPoint, Report
from trainer.store.manifest import BaseBinding, Lineage, TrainingSummary

DIGEST = "sha256:" + "ab" * 32

PROMPTS = [
    "hi, I'd like to move my booking from the 3rd of June to the 9th, two adults and a child",
    "why was I charged 25 pounds on Tuesday when I paid by debit card?",
    "can I get a room for 3 nights starting tomorrow evening, around 7pm",
    "please cancel the standing order of £120 to John Smith",
    "is the gym open before 6:30 in the morning at the Marriott?",
]
ANSWERS = [
    (
        '{"date_from": "3rd of June", "date_to": "9th", "adults": "two", "kids": "a"}',
        '{"date": "June", "people": "two adults and a child"}',
    ),
    ('{"amount_of_money": "25 pounds", "date": "Tuesday"}', '{"amount_of_money": "25"}'),
    (
        '{"rooms": "a", "number_of_days": "3", "time": "7pm"}',
        'Sure! Here is the JSON you asked for: {"nights": 3}',
    ),
    ('{"amount_of_money": "£120", "person_name": "John Smith"}', '{"person_name": "John"}'),
    ('{"time": "6:30"}', "{}"),
]


def a_judgement(**fields: Any) -> Judgement:
    """Promoted: clearly better than every base arm."""
    arms = [
        ("Tuned", 0.533, 0.444, 0.620, False),
        ("ZeroShot", 0.0, 0.0, 0.031, True),
        ("FewShot", 0.067, 0.034, 0.126, True),
        ("RetrievedFewShot", 0.183, 0.124, 0.262, True),
        ("NearestRow", 0.092, 0.052, 0.157, False),
    ]
    comparisons = [
        ("ZeroShot", 0.533, 0.43, 0.62, 64, 0),
        ("FewShot", 0.467, 0.36, 0.56, 58, 2),
        ("RetrievedFewShot", 0.35, 0.24, 0.45, 47, 5),
    ]
    document = {
        "metric": "JsonMatch",
        "arms": [
            ArmScore(name=name, score=score, ci_low=low, ci_high=high, n=120, gate=gate)
            for name, score, low, high, gate in arms
        ],
        "comparisons": [
            Comparison(
                arm=arm,
                require="Better",
                threshold=0.0,
                delta=delta,
                ci_low=low,
                ci_high=high,
                method="Tango",
                passed=True,
                p_value=1e-6,
                wins=wins,
                losses=losses,
            )
            for arm, delta, low, high, wins, losses in comparisons
        ],
        "delta": 0.35,
        "ci_low": 0.24,
        "ci_high": 0.45,
        "confidence_percent": 96.96,
        "minimum_detectable_effect": 0.11,
        "guards": [
            Guard(
                name="invalid answers",
                value=-0.14,
                limit=0.02,
                passed=True,
                message="0.8 % of the tuned answers are not JSON, 15.0 % of the base's",
            ),
            Guard(
                name="answer length",
                value=1.02,
                limit=1.5,
                passed=True,
                message="tuned answers are 1.02 times as long as the references",
            ),
            Guard(
                name="forgetting",
                value=0.008,
                limit=0.2,
                passed=True,
                message="the loss on general text rose by 0.021 nats per token",
            ),
        ],
        "forgetting": ForgettingResult(
            base_nats=3.412,
            increase=0.021,
            ci_low=0.008,
            ci_high=0.034,
            max_increase=0.2,
            tokens=20000,
            passed=True,
        ),
        "overfitting": OverfittingResult(
            best_validation_loss=0.214,
            last_validation_loss=0.231,
            train_loss=0.12,
            best_step=70,
            steps=100,
        ),
        "verdict": Verdict.PROMOTE,
        "reason": "Tuned is better than every arm: by 35.0 points (24.0 to 45.0) over the "
        "strongest, Retrieved few-shot, and no guard is broken.",
        "notes": ["First look at this test split."],
    }
    return Judgement.model_validate(document | fields)


def a_report(**fields: Any) -> Report:
    """The quickstart's report: small model, hotel and bank messages to JSON."""
    document = {
        "namespace": "default",
        "name": "hotel-and-bank-slots",
        "run": 1,
        "run_id": "0f3c9a17be52d844",
        "evaluation_id": "8be1f02c77d940aa",
        "created": "2026-11-24T00:30:12+00:00",
        "first_line": "Tuning helped: the tuned model answers 53.3 % of 120 test messages "
        "right, the best untuned arm 18.3 %.",
        "judgement": a_judgement(),
        "data": a_data_report(),
        "resolved": [
            ResolvedValue(field="training.epochs", value="3", rule="3 for 100 to 25,000 rows"),
            ResolvedValue(
                field="training.learningRate",
                value="5e-4",
                rule="2e-4 at rank 16, scaled for models under 1 B parameters",
            ),
            ResolvedValue(
                field="training.batchTokens",
                value="1024",
                rule="clamp(trainTokens x epochs / 100, longest row, 16,384)",
            ),
            ResolvedValue(
                field="evaluation.metric", value="JsonMatch", rule="every answer is a JSON object"
            ),
        ],
        "base": a_binding(),
        "adapter_uri": "file:///home/ada/tunekeeper/examples/quickstart/build/output/runs/"
        "0f3c9a17be52d844/e1/adapter",
        "method": "SFT, LoRA rank 16, alpha 32, all linear layers, FP32",
        "losses": some_losses(),
        "changed": some_changes(),
        "cost": Cost(gpu_seconds=0, wall_seconds=283.4, tokens_per_second=412.0, amount="0.00"),
        "peak_memory_bytes": 3_120_000_000,
        "trainable_parameters": 4_884_480,
        "promoted": True,
        "usage": "from trainer.model.adapter import open_tuned\n"
        'model, tokenizer = open_tuned("/srv/base", "build/output/runs/0f3c9a17be52d844")\n'
        'print(model.answer(tokenizer, "can I get a room for 3 nights?"))',
        "versions": {
            "torch": "2.15.0",
            "transformers": "5.2.0",
            "peft": "0.21.0",
            "python": "3.11.2",
            "tunekeeper": "0.1.0",
        },
    }
    return Report.model_validate(document | fields)


def an_untrained_report() -> Report:
    """NotNeeded with Stop: base arms only, nothing trained."""
    judgement = a_judgement(
        verdict=Verdict.NOT_NEEDED,
        arms=a_judgement().arms[1:],
        comparisons=[],
        guards=[],
        delta=None,
        ci_low=None,
        ci_high=None,
        forgetting=None,
        overfitting=None,
        reason="Retrieved few-shot reaches the target of 85 % without tuning.",
    )
    return a_report(
        judgement=judgement,
        adapter_uri="",
        losses=[],
        changed=[],
        promoted=False,
        usage="",
        first_line="You do not need to tune: the nearest training row's answer is as good.",
        trainable_parameters=0,
        cost=Cost(wall_seconds=61.0),
    )


def a_data_report(**fields: Any) -> DataReport:
    """1,251 rows, a few of them odd."""
    document = {
        "format": "PromptCompletion",
        "rows": 520,
        "train_rows": 352,
        "validation_rows": 48,
        "test_rows": 120,
        "test_groups": 118,
        "tokens": 31211,
        "supervised_tokens": 8120,
        "truncated_rows": 2,
        "invalid_rows": 1,
        "error_count": 1,
        "errors": [
            DataError(
                place="train.jsonl:41",
                field="slots",
                message="the answer is empty; give one or drop the row",
            )
        ],
        "duplicate_rows": 4,
        "near_duplicate_rows": 7,
        "contradictory_rows": 1,
        "overlap_rows": 3,
        "warnings": ["2 rows were cut at 2,048 tokens."],
    }
    return DataReport.model_validate(document | fields)


def a_binding() -> BaseBinding:
    """A directory as the base."""
    return BaseBinding(
        source="directory /srv/models/smollm2-135m-instruct",
        revision="abababababab",
        content_digest=DIGEST,
        config_sha256="1" * 64,
        tokenizer_sha256="2" * 64,
        template_sha256="3" * 64,
        vocabulary_size=49152,
    )


def some_losses(steps: int = 100) -> list[LossPoint]:
    """A falling, noisy training loss and a validation loss that turns at step 70."""
    return [
        LossPoint(
            step=step,
            epoch=3 * step / steps,
            train_loss=1.9 * math.exp(-step / 14) + 0.1 + 0.05 * math.sin(step * 2.3),
            eval_loss=None
            if step % 10
            else 1.8 * math.exp(-step / 16) + 0.2 + 0.0006 * max(0, step - 70),
            learning_rate=5e-4,
            tokens=step * 930,
            seconds=step * 2.2,
        )
        for step in range(1, steps + 1)
    ]


def some_changes() -> list[ChangedAnswer]:
    """Ten answers: right only after tuning, but the last, which tuning broke."""
    return [
        ChangedAnswer(
            id=f"row-{number:04}",
            prompt=PROMPTS[number % 5],
            reference=ANSWERS[number % 5][0],
            base_arm="RetrievedFewShot",
            base_answer=ANSWERS[number % 5][number != 9],
            base_score=float(number == 9),
            tuned_answer=ANSWERS[number % 5][number == 9],
            tuned_score=float(number != 9),
        )
        for number in range(10)
    ]


def a_plan(**fields: Any) -> PreparedPlan:
    """What prepare decided for the report's run."""
    document = {
        "format": "PromptCompletion",
        "metric": "JsonMatch",
        "has_template": True,
        "template_date": "2026-01-01",
        "labels": [],
        "epochs": 3,
        "learning_rate": 5e-4,
        "batch_tokens": 1024,
        "max_sequence_tokens": 2048,
        "few_shot_examples": 5,
        "max_new_tokens": 64,
        "resolved": [],
        "base": a_binding(),
        "split_digests": {"train": DIGEST, "validation": DIGEST, "test": DIGEST},
        "dataset_digest": DIGEST,
        "data": a_data_report(),
        "estimate": Estimate(
            train_tokens=93633, steps=100, answer_count=480, peak_memory_bytes=3 * 10**9
        ),
    }
    return PreparedPlan.model_validate(document | fields)


def a_summary() -> TrainingSummary:
    """How the report's run was trained."""
    report = a_report()
    assert report.judgement.overfitting
    return TrainingSummary(
        overfitting=report.judgement.overfitting,
        tokens_per_second=412.0,
        wall_seconds=283.4,
        gpu_seconds=0,
        trained_tokens=93633,
        trainable_parameters=report.trainable_parameters,
        precision="FP32",
        peak_memory_bytes=report.peak_memory_bytes,
        versions=report.versions,
    )


def a_lineage(**fields: Any) -> Lineage:
    """What the report's run was made from and with."""
    document = {
        "namespace": "default",
        "name": "hotel-and-bank-slots",
        "run": 1,
        "created": "2026-11-24T00:28:00Z",
        "spec_hash": DIGEST,
        "identity_hash": DIGEST,
        "generation_hash": DIGEST,
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
        "image": f"registry.example/trainer@{DIGEST}",
        "image_digest": DIGEST,
        "dataset_digest": DIGEST,
        "split_digests": {"train": DIGEST, "validation": DIGEST, "test": DIGEST},
        "seeds": {"training": 17},
        "versions": {"python": "3.11.2", "torch": "2.15.0"},
        "plan_sha256": "ab" * 32,
        "spec": {"method": "SFT", "lora.rank": 16},
    }
    return Lineage.model_validate(document | fields)
