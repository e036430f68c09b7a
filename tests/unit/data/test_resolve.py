"""Every Auto follows its rule."""

import pytest

from trainer.contract.spec import Lora
from trainer.data import resolve
from trainer.data.estimate import answer_count, step_count

EPOCHS = [
    pytest.param(10, 10, id="ten rows are seen ten times"),
    pytest.param(60, 5, id="sixty rows: 300 // 60"),
    pytest.param(99, 3, id="just under a hundred"),
    pytest.param(100, 3, id="a hundred"),
    pytest.param(25_000, 3, id="twenty-five thousand"),
    pytest.param(30_000, 2, id="thirty thousand: 75,000 // 30,000"),
    pytest.param(1_000_000, 1, id="a million is seen once"),
]


@pytest.mark.parametrize(("rows", "expected"), EPOCHS)
def test_epochs_follow_the_number_of_rows(rows, expected):
    assert resolve.epochs(rows).value == expected


BATCHES = [
    pytest.param(100_000, 3, 200, 3000, id="about a hundred steps"),
    pytest.param(1000, 3, 200, 200, id="never less than the longest row"),
    pytest.param(10_000_000, 3, 200, 16_384, id="never more than 16,384"),
    pytest.param(10_000_000, 3, 20_000, 20_000, id="but a longer row fits"),
]


@pytest.mark.parametrize(("tokens", "passes", "longest", "expected"), BATCHES)
def test_a_batch_is_a_hundredth_of_the_work(tokens, passes, longest, expected):
    assert resolve.batch_tokens(tokens, passes, longest).value == expected


RATES = [
    pytest.param({"model_type": "llama", "hidden_size": 4096}, {}, "SFT", 2e-4, id="8B"),
    pytest.param({"model_type": "llama", "hidden_size": 8192}, {}, "SFT", 2e-4, id="70B"),
    pytest.param({"model_type": "llama", "hidden_size": 576}, {}, "SFT", 9.3e-4, id="135M"),
    pytest.param({"model_type": "qwen3", "hidden_size": 1024}, {}, "SFT", 2.2e-4, id="Qwen"),
    pytest.param({"model_type": "other", "hidden_size": 1024}, {}, "SFT", 2.2e-4, id="unknown"),
    pytest.param({"model_type": "llama", "hidden_size": 4096}, {}, "DPO", 2e-5, id="DPO"),
    pytest.param({}, {}, "SFT", 2e-4, id="no width known"),
    pytest.param(
        {"model_type": "gpt2", "n_embd": 768}, {}, "SFT", 2.3e-4, id="GPT-2's name for it"
    ),
    pytest.param(
        {"model_type": "llama", "text_config": {"hidden_size": 4096}}, {}, "SFT", 2e-4, id="nested"
    ),
    pytest.param(
        {"model_type": "llama", "hidden_size": 4096},
        {"variant": "RSLoRA", "rank": 16},
        "SFT",
        5e-5,
        id="rsLoRA's larger scale",
    ),
]


@pytest.mark.parametrize(("config", "lora", "method", "expected"), RATES)
def test_the_rate_follows_width_variant_and_method(config, lora, method, expected):
    rate = resolve.learning_rate(config, Lora.model_validate(lora), method).value
    assert rate == pytest.approx(expected)


LABELS = [
    pytest.param({"a": 5, "b": 5}, ["a", "b"], id="two labels"),
    pytest.param({str(n): 2 for n in range(50)}, sorted(map(str, range(50))), id="fifty twice"),
    pytest.param({str(n): 2 for n in range(51)}, [], id="fifty-one are open"),
    pytest.param({"a": 2, "b": 1}, [], id="too few rows to call it closed"),
    pytest.param({"a": 100}, [], id="one answer is no choice"),
    pytest.param({"a": 50, "b" * 201: 50}, [], id="texts are no labels"),
    pytest.param({}, [], id="nothing"),
]


@pytest.mark.parametrize(("counts", "expected"), LABELS)
def test_a_closed_set_is_small_short_and_repeated(counts, expected):
    assert resolve.closed_labels(counts) == expected


METRICS = [
    pytest.param(["a", "b"], ["a"], "ExactMatch", id="a closed set"),
    pytest.param([], ['{"a": 1}', "[1]"], "JsonMatch", id="JSON"),
    pytest.param([], ['{"a": 1}', "no"], "TokenF1", id="not all JSON"),
    pytest.param([], ["1", "2"], "TokenF1", id="numbers are no JSON documents"),
    pytest.param([], ["word " * 10], "TokenF1", id="ten words"),
    pytest.param([], ["word " * 11], "RougeL", id="eleven words"),
]


@pytest.mark.parametrize(("labels", "answers", "expected"), METRICS)
def test_the_metric_follows_the_answers(labels, answers, expected):
    assert resolve.metric(labels, answers).value == expected


def test_answers_get_a_quarter_more_room_than_nearly_all_need():
    assert resolve.max_new_tokens([10] * 99 + [1000]).value == 13
    assert resolve.max_new_tokens([7]).value == 9
    assert resolve.max_new_tokens([]).value == 2


def test_every_rule_fits_its_field():
    labels = [str(n) for n in range(50)]
    choices = [
        resolve.few_shot_examples(labels),
        resolve.batch_tokens(10**9, 10, 10**6),
        resolve.learning_rate({}, Lora(variant="RSLoRA"), "DPO"),
    ]
    assert all(len(choice.rule) <= 200 for choice in choices)
    assert choices[0].resolved("x").value == "5"


def test_steps_are_bounded_by_the_user():
    assert step_count(1001, 10, None) == 101
    assert step_count(1001, 10, 7) == 7


def test_only_arms_that_ask_a_model_cost_answers():
    assert answer_count(["ZeroShot", "MajorityLabel", "NearestRow"], 100) == 200
