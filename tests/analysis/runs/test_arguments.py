"""Arguments in texts, durations, and secrets that are masked wherever they stand."""

import html
import json
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote, quote_plus

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.runs.arguments import ArgumentError, Redactor, filled, references
from analysis.runs.durations import duration


def test_references_are_filled_in_wherever_texts_stand() -> None:
    given = {"query": "up{job='{{args.job}}'} > {{ args.n }}", "list": ["{{args.job}}", 3], "n": None}
    assert filled(given, {"job": "iris", "n": "2"}) == {"query": "up{job='iris'} > 2", "list": ["iris", 3], "n": None}
    assert sorted(references(given)) == ["job", "job", "n"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("{{args.nope}}", "has no value; arguments with a value: job"), ("{{inputs.job}}", "is no argument")],
)
def test_what_cannot_be_filled_in_is_named(text: str, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        filled(text, {"job": "iris"})


def test_what_an_argument_holds_is_not_read_again() -> None:
    assert filled("{{args.a}}", {"a": "{{args.b}}", "b": "secret"}) == "{{args.b}}"


@given(st.text(min_size=1, max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_a_secret_never_stays(secret: str, before: str, after: str) -> None:
    shown = Redactor([secret])(before + secret + after)
    assert not secret.strip() or secret.strip() in "*****" or secret.strip() not in shown.replace("*****", "\0")


def test_a_secret_in_an_address_is_masked() -> None:
    assert Redactor(["a b&c"])("http://x/?k=a%20b%26c and a b&c") == "http://x/?k=***** and *****"


SECRET = "p&ss w/rd?<1>+é"
PLAIN = "p&ss w/rd"


@pytest.mark.parametrize(
    "written",
    [
        f"http://x/a/{quote(SECRET)}",
        f"http://x/?k={quote_plus(SECRET)}",
        f"<p>no {html.escape(SECRET)} here</p>",
        str(httpx.URL("http://x/", params={"k": SECRET})),
        str(httpx.URL(f"http://x/{PLAIN}")),
        str(httpx.URL(f"http://x/?k={PLAIN}")),
    ],
)
def test_a_secret_is_masked_as_addresses_and_pages_write_it(written: str) -> None:
    shown = Redactor([SECRET, PLAIN])(written)
    assert "*****" in shown
    assert "ss" not in shown
    assert "rd" not in shown


@pytest.mark.parametrize("how", [json.dumps, repr, lambda text: json.dumps(text, ensure_ascii=False)])
@given(st.text(min_size=1, max_size=20))
def test_a_secret_is_masked_as_messages_write_it(how: Callable[[str], str], secret: str) -> None:
    written = how(secret)[1:-1]
    shown = Redactor([secret])(f"it said {written} twice")
    assert not secret.strip() or written in "it said ***** twice" or written not in shown


@given(st.text("abcdef123", min_size=8, max_size=40), st.integers(4, 39), st.sampled_from(["", "...", "'", '"']))
def test_the_beginning_of_a_secret_is_masked_where_a_text_was_cut(secret: str, kept: int, cut: str) -> None:
    begun = secret[: min(kept, len(secret) - 1)]
    assert Redactor([secret])(f"the key: {begun}{cut}") == f"the key: *****{cut}"


def test_a_line_of_a_long_secret_is_masked_and_so_is_a_login() -> None:
    redact = Redactor(["-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----"]).also("YWRhOnMzY3JldA==")
    assert redact("no MIIEvQIBADANBg, Basic YWRhOnMzY3JldA==") == "no *****, Basic *****"


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("1h30m", 5400), ("1.5m", 90), ("250ms", 0.25), ("2h", 7200)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "5 m", "-1s", "1d", "87600h1s", "9" * 400 + "h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration|is too long; expected at most 87600h"):
        duration(text)
