"""What was computed for an object is remembered for that object, and for few of them."""

from controller.api.memo import KEPT, of_newest


class Asked:
    """A function that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, argument: list[int]) -> int:
        self.calls += 1
        return sum(argument)


def test_the_same_object_is_computed_once_and_an_equal_one_again() -> None:
    asked = Asked()
    remembered = of_newest(asked)
    first, equal = [1, 2], [1, 2]
    assert [remembered(first), remembered(first), remembered(equal)] == [3, 3, 3]
    assert asked.calls == 2


def test_the_oldest_is_forgotten_and_never_mistaken_for_a_new_one() -> None:
    asked = Asked()
    remembered = of_newest(asked)
    assert [remembered([number]) for number in range(3 * KEPT)] == list(range(3 * KEPT))
    assert asked.calls == 3 * KEPT
