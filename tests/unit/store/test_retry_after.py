"""When a service wants to be asked again, in either form of the header."""

import pytest

from trainer.store.retry_after import MAX_S, retry_after_s

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"

HEADERS = [
    pytest.param({"Retry-After": "55"}, 55, id="seconds"),
    pytest.param({"retry-after": " 0 "}, 0, id="now"),
    pytest.param({"Retry-After": "Wed, 21 Oct 2026 07:30:00 GMT", "Date": DATE}, 120, id="a date"),
    pytest.param({"Retry-After": "Wed, 21 Oct 2026 07:00:00 GMT", "Date": DATE}, 0, id="past"),
    pytest.param({"Retry-After": DATE}, None, id="a date, but nobody says what time it is"),
    pytest.param({"Retry-After": "Wed, 21 Oct 2026 07:30:00", "Date": DATE}, None, id="no zone"),
    pytest.param({"Retry-After": "9" * 20000}, MAX_S, id="a number out of all reason"),
    pytest.param({"Retry-After": "999999"}, MAX_S, id="longer than a day"),
    pytest.param({"Retry-After": "-5"}, None, id="negative"),
    pytest.param({"Retry-After": "٣"}, None, id="a digit of another script"),
    pytest.param({"Retry-After": "soon"}, None, id="a word"),
    pytest.param({}, None, id="nothing said"),
]


@pytest.mark.parametrize(("headers", "seconds"), HEADERS)
def test_the_header_is_read_in_both_forms_and_never_believed_too_far(headers, seconds):
    assert retry_after_s(headers) == seconds
