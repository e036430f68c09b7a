"""What counts as the same end."""

from faults.endstate import differences, end_state, without_attempts, without_runs


def a_job(attempt: int = 1, number: int = 1, time: str = "2026-01-01T00:00:00Z") -> dict:
    run = {"number": number, "stage": "train", "attempt": attempt, "startTime": time}
    message = f"intents-{'abcde' if attempt == 1 else 'fghij'}-r1-train-1 has not ended yet"
    conditions = [{"type": "Finished", "message": message, "lastTransitionTime": time}]
    return {"status": {"run": run, "conditions": conditions, "history": [{"run": number}]}}


def a_child(attempt: int = 1, kind: str = "Complete") -> dict:
    told = {"run": "1", "stage": "train", "attempt": str(attempt)}
    labels = {f"tunekeeper.dev/{name}": value for name, value in told.items()}
    conditions = [{"type": kind, "status": "True", "reason": "why"}]
    return {"metadata": {"labels": labels}, "status": {"conditions": conditions}}


def test_times_and_the_hash_in_a_childs_name_make_no_difference() -> None:
    later = a_job(time="2027-01-01T00:00:00Z")
    later["status"]["conditions"][0]["message"] = "intents-zzzzz-r1-train-1 has not ended yet"
    assert differences(end_state(a_job(), [], []), end_state(later, [], [])) == []


def test_another_attempt_is_a_difference_unless_it_is_allowed() -> None:
    once = end_state(a_job(), [a_child()], [])
    twice = end_state(a_job(2), [a_child(1, "Failed"), a_child(2)], [])
    assert any("attempt" in said for said in differences(once, twice))
    assert differences(without_attempts(once), without_attempts(twice)) == []


def test_an_attempt_that_ended_otherwise_is_always_a_difference() -> None:
    good, bad = (end_state(a_job(), [a_child(1, kind)], []) for kind in ("Complete", "Failed"))
    assert differences(without_attempts(good), without_attempts(bad)) != []


def test_another_run_number_is_a_difference_unless_it_is_allowed() -> None:
    first, second = (end_state(a_job(number=number), [], []) for number in (1, 2))
    assert differences(first, second) != []
    assert differences(without_runs(first), without_runs(second)) == []
