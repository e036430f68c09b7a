"""When the source is looked at, and what comes of what is found."""

import re
from dataclasses import replace

import pytest
from builders.base_models import UID, WRITE_BACK, BaseScene, a_base_model, content

from controller.core.actions import StopStage
from controller.core.children import ChildState
from controller.core.watching.due import jitter
from controller.core.watching.observed import WatchSettings
from trainer.contract.errand import Cause, Errand
from trainer.contract.failures import FailureClass

DAY_S = 86400


def resolved(**spec) -> BaseScene:
    return BaseScene(base=a_base_model(**spec)).settled().found("a")


def test_the_errand_is_in_the_stored_status_before_it_is_started():
    recorded = BaseScene().stepped()
    assert (recorded.status.errand.number, recorded.status.errand.errand) == (1, Errand.RESOLVE)
    assert recorded.children == ()
    started = recorded.stepped()
    assert re.fullmatch(r"tiny-[a-z2-7]{5}-resolve-1", started.live.name)
    assert started.started[0].image == "tunekeeper:1"


def test_the_first_revision_counts_at_once():
    scene = resolved()
    assert scene.latest == "rev-a"
    assert scene.status.latest.content_digest == content("a")
    assert scene.ready == ("True", "Resolved")
    assert scene.events == ["Resolved"]
    assert scene.status.history == []


def test_a_look_costs_two_writes_of_the_status():
    scene = resolved()
    before = scene.writes
    assert scene.looked("a").writes == before + 2


def test_an_edited_readme_changes_nothing_but_the_time_of_the_check():
    before = resolved()
    after = before.looked("a2")
    assert after.latest == "rev-a"
    assert after.status.last_check_time > before.status.last_check_time
    assert (after.events, after.status.history) == (before.events, [])
    assert after.status.conditions == before.status.conditions


def test_the_next_look_is_a_poll_period_later_give_or_take_a_tenth():
    scene = resolved()
    assert scene.decided().requeue_after_s == pytest.approx(3600 * jitter(UID), abs=1)
    assert not scene.passed(3600 * jitter(UID) - 5).has_live
    assert scene.passed(3600 * jitter(UID) + 1).has_live


def test_objects_made_at_once_spread_out():
    factors = [jitter(f"uid-{n}") for n in range(1000)]
    assert all(0.9 <= factor <= 1.1 for factor in factors)
    tenths = [sum(1 for f in factors if low <= f < low + 0.02) for low in (0.9, 0.98, 1.06)]
    assert min(tenths) > 50


def test_a_new_content_waits_until_it_has_settled():
    seen = resolved().looked("b")
    assert seen.latest == "rev-a"
    assert seen.ready == ("True", "Settling")
    assert "rev-b" in seen.message
    assert "2026-03-01T" in seen.message
    assert seen.decided().requeue_after_s == pytest.approx(600, abs=1)
    counted = seen.passed(600).found("b")
    assert counted.latest == "rev-b"
    assert [entry.revision for entry in counted.status.history] == ["rev-a"]
    assert counted.events == ["Resolved", "NewRevisionAvailable"]
    assert "rev-b follows rev-a" in counted.told[-1].message
    assert counted.ready == ("True", "Resolved")


def test_a_look_that_comes_early_does_not_make_it_count():
    early = resolved().looked("b").passed(300).annotated("now").settled().found("b")
    assert early.latest == "rev-a"
    assert early.passed(300).found("b").latest == "rev-b"


def test_a_look_that_began_early_and_took_long_does_not_either():
    slow = resolved().looked("b").passed(590).annotated("now").settled()
    assert slow.passed(60).found("b").latest == "rev-a"


def test_another_new_content_in_between_restarts_the_clock():
    scene = resolved().looked("b").passed(600).found("c")
    assert scene.latest == "rev-a"
    assert scene.status.candidate.revision == "rev-c"
    assert scene.passed(600).found("c").latest == "rev-c"


def test_a_source_that_flaps_back_leaves_no_trace():
    scene = resolved().looked("b").passed(600).found("a")
    assert scene.status.candidate is None
    assert (scene.latest, scene.events, scene.status.history) == ("rev-a", ["Resolved"], [])
    assert scene.ready == ("True", "Resolved")


def test_without_a_time_to_settle_a_new_content_counts_when_it_is_seen():
    assert resolved(settleSeconds=0).looked("b").latest == "rev-b"


def test_the_history_keeps_the_last_ten_newest_first():
    scene = resolved(settleSeconds=0)
    for n in range(12):
        scene = scene.looked("abcdef"[(n + 1) % 6])
    assert len(scene.status.history) == 10
    assert scene.status.history[0].revision == "rev-f"


def test_a_new_value_of_the_check_annotation_is_a_look_now_and_only_one():
    scene = resolved().annotated("please").settled()
    assert scene.has_live
    after = scene.found("a")
    assert after.status.last_handled_check == "please"
    assert not after.has_live
    assert not after.annotated("please").settled().has_live


def test_another_place_is_looked_at_now_and_its_first_revision_counts_at_once():
    moved = resolved().edited(source={"huggingFace": {"repo": "acme/other"}}).settled()
    assert moved.live.number == 2
    assert moved.started[-1].request.known is None
    counted = moved.found("b")
    assert counted.latest == "rev-b"
    assert counted.events[-1] == "NewRevisionAvailable"


def test_the_same_content_in_another_place_has_its_name_there_and_is_no_news():
    moved = resolved().edited(source={"huggingFace": {"repo": "acme/mirror"}}).settled()
    after = moved.found("a9")
    assert (after.latest, after.status.history, after.events) == ("rev-a9", [], ["Resolved"])


def test_another_secret_is_no_other_source():
    source = {"huggingFace": {"repo": "acme/tiny", "secretRef": {"name": "hf"}}}
    scene = resolved().edited(source=source).settled()
    assert not scene.has_live
    assert scene.looked("b").latest == "rev-a"  # it settles as always


def test_an_errand_about_a_source_that_was_changed_is_stopped_and_its_word_not_heard():
    scene = BaseScene().settled().edited(source={"huggingFace": {"repo": "acme/other"}}).settled()
    assert scene.live.state is ChildState.STOPPING
    assert scene.status.errand.end_time is not None
    late = scene.ended(
        exit_code=0, **scene.word(found={"revision": "x", "contentDigest": content("a")})
    )
    assert late.latest == ""
    assert late.live.number == 2


def test_a_wiped_status_repairs_itself_without_using_a_number_twice():
    scene = resolved().waited()
    assert scene.live.number == 2
    wiped = scene.wiped().settled()
    assert wiped.live.state is ChildState.STOPPING
    again = wiped.ended().settled()
    assert again.live.number == 3
    assert again.found("a").latest == "rev-a"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"source_hash": content("e")}, id="about another source"),
        pytest.param({"errand": Errand.WRITE_BACK}, id="of another kind"),
        pytest.param({"number": 7}, id="of another number"),
    ],
)
def test_a_child_that_is_not_the_recorded_errand_is_stopped_never_adopted(other):
    scene = BaseScene().settled().reporting(**other)
    assert StopStage(scene.live.name, "not the recorded errand") in scene.decided().actions
    after = scene.settled().ended(exit_code=0)
    assert after.latest == ""
    assert after.live.number > scene.live.number


def test_a_child_that_was_lost_is_started_again():
    scene = BaseScene().settled()
    again = scene.vanished().settled()
    assert again.live.name == scene.live.name


def test_a_word_of_another_errand_is_no_word():
    scene = BaseScene().settled()
    word = scene.word(found={"revision": "x", "contentDigest": content("a")}, number=9)
    assert scene.ended(exit_code=0, **word).ready == ("False", "Unexpected")


def test_an_end_without_a_revision_is_no_success():
    assert BaseScene().settled().succeeded().ready == ("False", "Unexpected")


def test_the_next_look_is_told_what_the_last_one_found():
    scene = (
        resolved()
        .settled()
        .waited()
        .succeeded(memo="m1", found={"revision": "rev-b", "contentDigest": content("b")})
    )
    request = scene.waited().started[-1].request
    assert (request.known.revision, request.memo) == ("rev-b", "m1")


def test_the_newest_two_errands_stay_for_their_logs():
    scene = resolved()
    for _ in range(4):
        scene = scene.looked("a")
    assert [child.number for child in scene.children] == [4, 5]


def test_nothing_is_written_while_nothing_happens():
    scene = resolved()
    assert scene.passed(60).writes == scene.writes
    looking = scene.waited()
    assert looking.passed(60).writes == looking.writes


def test_suspended_nothing_is_looked_at_and_what_was_ready_stays_so():
    scene = resolved().edited(suspend=True).settled()
    assert scene.ready == ("True", "Suspended")
    assert scene.conditions == {"Ready": "True"}
    assert scene.passed(DAY_S - 1).children == scene.children
    tidied = scene.passed(DAY_S)
    assert (tidied.children, tidied.decided().requeue_after_s) == ((), None)
    assert tidied.base.status == scene.base.status
    assert not scene.annotated("now").settled().has_live
    resumed = scene.edited(suspend=False).settled()
    assert resumed.ready == ("True", "Resolved")


def test_suspending_ends_the_look_under_way_without_a_failure():
    scene = BaseScene().settled().edited(suspend=True).settled()
    assert scene.live.state is ChildState.STOPPING
    over = scene.ended(exit_code=23)
    assert over.ready == ("Unknown", "Suspended")
    assert over.status.look_failure is None
    assert over.edited(suspend=False).settled().live.number == 2


def test_a_directory_is_for_local_runs():
    scene = BaseScene(base=a_base_model(source={"directory": {"path": "/m"}})).settled()
    assert scene.conditions == {"Ready": "False", "Stalled": "True"}
    assert scene.message.startswith("spec.source.directory: ")
    assert (scene.children, scene.events) == ((), ["InvalidSpec"])
    local = replace(scene, settings=WatchSettings(is_local=True)).settled()
    assert local.found("a").ready == ("True", "Resolved")


def test_a_clock_that_was_set_back_does_not_stop_the_looks():
    assert resolved().passed(-86400).has_live


AHEAD_S = 400 * 86400


def test_a_clock_that_was_set_back_makes_no_pause_longer_than_any():
    failed = BaseScene().passed(AHEAD_S).failed(FailureClass.UNAVAILABLE)
    assert failed.passed(-AHEAD_S).has_live


def test_a_clock_that_was_set_back_makes_no_pause_of_a_write_back_longer_than_any():
    scene = resolved(writeBack=WRITE_BACK).passed(AHEAD_S).failed(FailureClass.UNAVAILABLE)
    looked = scene.passed(-AHEAD_S).found("a")
    assert looked.live.errand is Errand.WRITE_BACK


def test_a_candidate_of_a_clock_that_was_set_back_settles_from_now_on():
    scene = resolved().passed(AHEAD_S).found("b").passed(-AHEAD_S).found("b")
    assert (scene.latest, scene.status.candidate.first_seen) == ("rev-a", scene.now)
    assert scene.passed(599).has_live is False
    assert scene.passed(600).found("b").latest == "rev-b"


def test_a_failure_with_the_write_back_does_not_stop_the_looks():
    scene = resolved(writeBack=WRITE_BACK).failed(FailureClass.NOT_FOUND, Cause.MARKER_NOT_FOUND)
    assert scene.annotated("now").settled().live.errand is Errand.RESOLVE
