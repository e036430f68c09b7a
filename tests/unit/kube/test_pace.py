"""At once for a few, then so many a second."""

from controller.kube.pace import Pace


class Paced:
    """A pace and its clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.pace = Pace(burst=2, per_s=10, clock=lambda: self.now_s)

    def next_s(self, count: int) -> list[float]:
        return [round(self.pace.next_s(), 3) for _ in range(count)]


def test_a_burst_goes_at_once_and_the_rest_in_its_time() -> None:
    assert Paced().next_s(4) == [0, 0, 0.1, 0.2]


def test_with_time_the_burst_comes_back_and_no_more_than_that() -> None:
    paced = Paced()
    paced.next_s(2)
    paced.now_s = 0.1
    assert paced.next_s(2) == [0, 0.1]
    paced.now_s = 100
    assert paced.next_s(3) == [0, 0, 0.1]
