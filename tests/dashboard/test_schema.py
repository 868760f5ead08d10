"""The dashboard's API keeps to its own OpenAPI document, whatever it is asked."""

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

pytestmark = pytest.mark.asyncio(loop_scope="module")
CASES = 12
"""For each operation."""


async def test_any_question_gets_an_answer_that_the_document_describes(running: Any) -> None:
    await asyncio.to_thread(_ask_everything, f"{running.url}/api/v1/openapi.json")


def _ask_everything(url: str) -> None:
    schema = schemathesis.openapi.from_url(url)
    # The stream has no end, and reads until the client goes.
    for found in schema.exclude(path="/api/v1/changes").get_all_operations():

        @settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(case=found.ok().as_strategy())
        def question(case: Any) -> None:
            case.call_and_validate(headers={"Authorization": "Bearer viewers-token"})

        question()
