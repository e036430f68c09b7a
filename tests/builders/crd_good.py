"""Documents that an API server must take: the least, the most, and what lies at a limit."""

from typing import Any

from builders.api import a_base_model_document, a_job_document
from builders.crd_cases import Document, changed

EVERYTHING: Document = {
    "baseModel": {
        "huggingFace": {"repo": "acme/base-1.5B", "branch": "main", "secretRef": {"name": "hub"}},
        "revision": "0123456789abcdef0123456789abcdef01234567",
    },
    "method": "SFT",
    "dataset": {
        "train": {"uri": "s3://acme-data/intents/train.jsonl", "sha256": "a" * 64},
        "validation": {"uri": "s3://acme-data/intents/validation.jsonl"},
        "test": {"uri": "s3://acme-data/intents/test.jsonl"},
        "format": "PromptCompletion",
        "fields": {"prompt": "text", "completion": "category", "id": "row"},
        "instruction": "Nenne die Absicht: höflich, 你好, 🙂 $(HOME) {{ x }}",
        "split": {"validationPercent": 10, "testPercent": 30, "groupBy": "customer"},
        "maxInvalidPercent": 5,
        "storage": {
            "secretRef": {"name": "data.keys"},
            "endpoint": "https://minio.internal:9000",
            "region": "eu-central-1",
            "caBundle": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
            "pathStyle": True,
        },
    },
    "lora": {
        "rank": 512,
        "alpha": 2048,
        "dropout": "0.99",
        "targetModules": ["q_proj", "v_proj"],
        "variant": "DoRA",
    },
    "quantization": "NF4",
    "training": {
        "epochs": 3,
        "maxSteps": 1000,
        "learningRate": "2e-4",
        "batchTokens": 4096,
        "maxSequenceTokens": 1048576,
        "scheduler": "Linear",
        "warmupPercent": 0,
        "weightDecay": "0.01",
        "maxGradNorm": "0",
        "seed": 2147483647,
        "precision": "BF16",
        "earlyStopping": {"patience": 0, "minDelta": "0.001"},
        "checkpointPeriodSeconds": 1,
        "stallSeconds": 30,
        "trainOn": "Everything",
        "dpoBeta": "0.5",
    },
    "evaluation": {
        "metric": "Grader",
        "grader": {"command": ["python", "grade.py"]},
        "systemPrompt": "Be brief.",
        "arms": [
            {"name": "ZeroShot"},
            {"name": "FewShot"},
            {"name": "RetrievedFewShot", "require": "NotWorse", "margin": "0.05"},
            {"name": "MajorityLabel"},
            {"name": "NearestRow"},
        ],
        "fewShotExamples": 4,
        "maxNewTokens": 64,
        "confidencePercent": 99,
        "minDelta": "0.01",
        "smallestEffect": "0.02",
        "targetScore": "0.9",
        "whenNotNeeded": "Stop",
        "againstPromoted": "NotWorse",
        "looks": "Report",
        "forgetting": {"maxIncrease": "0.1", "tokens": 512, "uri": "s3://acme-data/general.txt"},
    },
    "promotion": {"policy": "Manual", "pin": "0123456789abcdef"},
    "retrain": {
        "policy": "Auto",
        "concurrencyPolicy": "Replace",
        "minPeriodSeconds": 0,
        "warmStart": "Adapter",
    },
    "output": {
        "uri": "s3://acme-models/support-intents",
        "storage": {"secretRef": {"name": "output-keys"}},
        "merged": True,
        "keepRuns": 100,
    },
    "compute": {
        "image": "registry.example/trainer@sha256:" + "b" * 64,
        "gpus": 8,
        "gpuResourceName": "amd.com/gpu",
        "nodes": 2,
        "resources": {
            "requests": {"cpu": 4, "memory": "16Gi"},
            "limits": {"cpu": "500m", "memory": "1.5Gi"},
        },
        "cpuStageResources": {"requests": {"cpu": "1"}},
        "nodeSelector": {"example.com/zone": "a"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}},
        "priorityClassName": "high",
        "runtimeClassName": "nvidia",
        "imagePullSecrets": [{"name": "pull"}],
        "serviceAccountName": "trainer",
        "queueName": "gpu",
        "cacheVolumeClaim": "cache",
        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}, {"name": "_X1"}],
        "podLabels": {"team": "ml"},
        "podAnnotations": {"example.com/note": "x" * 4096},
    },
    "budget": {"maxGpuSeconds": 3600, "pricePerGpuHour": "2.50", "currency": "USD"},
    "retry": {"maxAttempts": 100},
    "suspend": True,
    "ttlSecondsAfterFinished": 600,
    "activeDeadlineSeconds": 60,
    "historyLimit": 0,
}
"""A spec in which every field is set, most of them at a limit."""


def _job(about: str, **edits: Any) -> tuple[str, Document]:
    document = a_job_document()
    for path, value in edits.items():
        document = changed(document, path.replace("__", "."), value)
    return about, document


GOOD: tuple[tuple[str, Document], ...] = (
    _job("the least there can be"),
    _job("every field", spec=EVERYTHING),
    _job("a base model by name", spec__baseModel={"name": "smollm2", "revision": "v1"}),
    _job("a base model from a bucket", spec__baseModel={"s3": {"uri": "s3://models/base"}}),
    _job("a base model from Git", spec__baseModel={"git": {"url": "https://git.example/m"}}),
    _job("a name of 63 characters", metadata__name="d" * 63),
    _job("a name with dots", metadata__name="support.intents.v2"),
    _job("data and output side by side", spec__output__uri="file:///data/train.jsonl.results"),
    _job("a data prefix beside the output", spec__dataset__train__uri="file:///results2/"),
    _job("a negative exponent", spec__training__learningRate="5e-4"),
    _job("a rate of one", spec__training__learningRate="1"),
    _job("on the CPU", spec__compute={"gpus": 0}),
    _job("as long an instruction as can be", spec__dataset__instruction="ü" * 16384),
    ("the least base model", a_base_model_document()),
    (
        "every field of a base model",
        a_base_model_document(
            source={"huggingFace": {"repo": "a/b", "branch": "v2", "secretRef": {"name": "hub"}}},
            pollPeriodSeconds=300,
            settleSeconds=0,
            suspend=True,
            writeBack={
                "git": {
                    "url": "https://git.example/fleet",
                    "branch": "main",
                    "pushBranch": "tunekeeper",
                    "path": "apps",
                    "secretRef": {"name": "git"},
                    "authorName": "Bot",
                    "authorEmail": "bot@example.com",
                    "message": "Move base models",
                }
            },
        ),
    ),
)
