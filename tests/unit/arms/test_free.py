from builders.arms import a_row

from trainer.arms.free import majority_label, nearest_row

TRAIN = [
    a_row("t0", "card lost", "lost"),
    a_row("t1", "pin change", "pin"),
    a_row("t2", "my card was stolen", "lost"),
]


def test_the_majority_label_is_the_commonest_answer_for_all():
    assert majority_label(TRAIN, TRAIN[:2]) == ["lost", "lost"]


def test_of_equally_common_labels_the_first_in_order_wins():
    assert majority_label([TRAIN[1], TRAIN[0]], TRAIN[:1]) == ["lost"]


def test_the_nearest_row_answers_with_what_the_most_similar_training_row_says():
    test = [a_row("q0", "change the pin", "?"), a_row("q1", "stolen", "?")]
    assert nearest_row(TRAIN, test) == ["pin", "lost"]


def test_the_nearest_row_is_never_of_the_same_group():
    assert nearest_row(TRAIN, [a_row("q", "pin change", "?", group="t1")]) == ["lost"]


def test_without_training_rows_the_free_answers_are_empty():
    assert majority_label([], TRAIN[:1]) == [""]
    assert nearest_row([], TRAIN[:1]) == [""]
