import dataclasses

import pytest
from builders.arms import a_row, rules

from trainer.arms.prompts import arm_prompts, fixed_shots
from trainer.arms.retrieve import Retriever

TRAIN = [
    a_row("t0", "where is my card", "card_arrival"),
    a_row("t1", "my card has not come", "card_arrival"),
    a_row("t2", "change my pin please", "change_pin"),
    a_row("t3", "how do I change the pin of my card", "change_pin"),
    a_row("t4", "give me my money back", "refund"),
    a_row("t5", "the money has not come back", "refund"),
]
LABELS = ["card_arrival", "change_pin", "refund"]
TEST = [a_row("q0", "has my card come", "card_arrival"), a_row("q1", "a new pin", "change_pin")]


def texts(arm, the_rules, train=TRAIN, test=TEST):
    """What each prompt says, as words."""
    return [the_rules.renderer.text(ids) for ids in arm_prompts(arm, the_rules, train, test)]


def shown(prompt):
    """The answers among the examples of a prompt."""
    turns = prompt.split("<turn>")
    return [
        turn.split()[1] for turn in turns if turn.split()[:1] == ["assistant"] and "<end>" in turn
    ]


@pytest.mark.parametrize("arm", ["ZeroShot", "Tuned"])
def test_a_question_without_examples_is_the_prepared_prompt(arm):
    assert texts(arm, rules())[0] == (
        "<turn> system Be brief. <end> <turn> user has my card come <end> <turn> assistant"
    )


@pytest.mark.parametrize("arm", ["ZeroShot", "FewShot", "RetrievedFewShot"])
def test_the_extra_system_text_goes_before_the_instruction_of_every_base_arm(arm):
    for prompt in texts(arm, rules(system_prompt="You know banks.")):
        assert prompt.startswith("<turn> system You know banks. Be brief. <end>")


def test_the_tuned_arm_never_gets_the_extra_system_text():
    assert texts("Tuned", rules(system_prompt="You know banks.")) == texts("Tuned", rules())


def test_extra_system_text_makes_a_system_turn_where_there_was_none():
    bare = [a_row("q", "hello", "x", system="")]
    assert texts("ZeroShot", rules(system_prompt="Hi."), test=bare)[0].startswith(
        "<turn> system Hi. <end> <turn> user hello"
    )


def test_fixed_examples_are_the_same_for_every_question():
    beginnings = {prompt.rsplit("<turn> user", 1)[0] for prompt in texts("FewShot", rules())}
    assert len(beginnings) == 1


def test_fixed_examples_cover_every_label_even_when_fewer_examples_were_resolved():
    for prompt in texts("FewShot", rules(labels=LABELS, shots=1)):
        assert sorted(shown(prompt)) == LABELS


def test_more_examples_than_labels_are_spread_evenly():
    shots = fixed_shots(rules(labels=LABELS, shots=5), TRAIN, TEST)
    counts = sorted([row.reference for row in shots].count(label) for label in LABELS)
    assert counts == [1, 2, 2]


def test_a_number_of_examples_that_the_user_asked_for_is_kept():
    shots = fixed_shots(rules(labels=LABELS, shots=2, few_shot_examples=2), TRAIN, TEST)
    assert len(shots) == 2


def test_examples_of_an_open_set_are_unlike_each_other():
    twins = [a_row(f"t{at}", "the very same words", "x") for at in range(20)]
    odd = a_row("odd", "something else entirely", "y")
    shots = fixed_shots(rules(shots=2), [*twins, odd], TEST)
    assert "odd" in {row.id for row in shots}


def test_another_seed_takes_other_examples():
    many = [a_row(f"t{at}", f"message number {at}", f"answer{at}") for at in range(30)]
    here = rules(shots=4)
    there = dataclasses.replace(here, seed=18)
    picked = [[row.id for row in fixed_shots(each, many, TEST)] for each in (here, there)]
    assert picked[0] != picked[1]
    assert picked[0] == [row.id for row in fixed_shots(here, many, TEST)]


def test_fixed_examples_never_share_a_group_with_a_test_row():
    train = [*TRAIN, a_row("leak", "has my card come", "card_arrival", group="q0")]
    shots = fixed_shots(rules(shots=20), train, TEST)
    assert "leak" not in {row.id for row in shots}
    assert len(shots) == len(TRAIN)


def test_the_most_similar_retrieved_example_comes_last():
    prompt = texts("RetrievedFewShot", rules(shots=2))[0]
    asked = [turn.split("<end>")[0].split() for turn in prompt.split("<turn> user")[1:]]
    assert asked[-2:] == [["my", "card", "has", "not", "come"], ["has", "my", "card", "come"]]


def test_a_retrieved_example_is_never_of_the_question_s_own_group():
    train = [*TRAIN, a_row("leak", "has my card come", "LEAK", group="q0")]
    assert "LEAK" not in texts("RetrievedFewShot", rules(shots=7), train=train)[0]
    other = a_row("q2", "has my card come", "card_arrival")
    assert "LEAK" in texts("RetrievedFewShot", rules(shots=7), train=train, test=[other])[0]


def test_system_text_does_not_take_part_in_retrieval():
    train = [
        a_row("a", "alpha", "A", system="beta beta beta"),
        a_row("b", "beta", "B", system="nothing"),
    ]
    assert Retriever.over(train).nearest(a_row("q", "beta", "?"), 1)[0].id == "b"


@pytest.mark.parametrize("arm", ["FewShot", "RetrievedFewShot"])
def test_too_many_examples_for_the_context_drop_the_least_similar_first(arm):
    whole, tight = rules(shots=4), rules(shots=4, context=60)
    for full, cut in zip(texts(arm, whole), texts(arm, tight), strict=True):
        assert 0 < len(shown(cut)) < 4
        assert len(cut.split()) <= 60 - 8
        assert full.endswith(cut.removeprefix("<turn> system Be brief. <end> "))


def test_a_question_longer_than_the_context_loses_its_beginning():
    long = [a_row("q", " ".join(f"w{at}" for at in range(50)), "x")]
    for arm in ("ZeroShot", "FewShot", "Tuned"):
        (prompt,) = texts(arm, rules(context=30), test=long)
        assert len(prompt.split()) == 22
        assert prompt.endswith("<end> <turn> assistant")


def test_questions_without_any_known_word_are_answered_all_the_same():
    train = [a_row("t", "!!!", "x")]
    assert shown(texts("RetrievedFewShot", rules(), train=train)[0]) == ["x"]
    assert shown(texts("RetrievedFewShot", rules(), train=[])[0]) == []


def test_an_arm_without_a_model_has_no_prompts():
    with pytest.raises(ValueError, match="arm NearestRow has no prompts"):
        arm_prompts("NearestRow", rules(), TRAIN, TEST)
