"""Which trials a resumed run asks again, by the error they ended in."""

from __future__ import annotations

import pytest

from harness.model import Error, Grade, Record
from harness.providers.errors import embedded_error, empty_error, http_error, unreadable_error
from harness.providers.json_text import UnreadableJSONError
from harness.runs.resume_state import is_final

OWED = {
    "500": http_error(500, {}, b""),
    "501": http_error(501, {}, b""),
    "500 that asks for no retry": http_error(500, {"x-should-retry": "false"}, b""),
    "an outage behind a gateway": http_error(503, {}, b"{}"),
    "429": http_error(429, {}, b""),
    "an error inside a 200": embedded_error({"error": {"message": "failed"}}),
    "an empty answer": empty_error("without content"),
    "an unreadable answer": unreadable_error(UnreadableJSONError("not JSON")),
    "a refused API key": http_error(401, {}, b""),
    "the budget": Error("budget", "exhausted", "spent"),
    "an interrupt": Error("transport", "interrupted", "given up"),
}
FINAL = {
    "400": http_error(400, {}, b""),
    "422": http_error(422, {}, b""),
    "too long a prompt": http_error(400, {}, b'{"error":{"code":"context_length_exceeded"}}'),
    "a grader that ran out of time": Error("grader", "timeout", "too slow"),
}


@pytest.mark.parametrize("error", OWED.values(), ids=OWED)
def test_what_may_succeed_later_is_asked_again(error: Error) -> None:
    assert not is_final(ended(error))
    assert not is_final(judged(error)), "a judge's error"


@pytest.mark.parametrize("error", FINAL.values(), ids=FINAL)
def test_what_would_only_repeat_is_asked_again_when_told_to(error: Error) -> None:
    assert is_final(ended(error)) and is_final(judged(error))
    assert not is_final(ended(error), retry_errors=True)


def ended(error: Error | None, *grades: Grade) -> Record:
    return Record("key", "e", "c", "p", "t", {}, 0, "s", error=error, grades=grades)


def judged(error: Error) -> Record:
    return ended(None, Grade("judge", None, error=error))
