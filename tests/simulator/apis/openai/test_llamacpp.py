"""The simulated llama-server."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}


@pytest.mark.parametrize(
    ("fields", "is_read"),
    [
        ({"response_format": {"type": "json_object", "schema": SCHEMA}}, True),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
            True,
        ),
        ({"json_schema": SCHEMA}, True),
        ({"response_format": {"type": "json_schema", "schema": SCHEMA}}, False),
    ],
)
def test_where_a_schema_is_read(
    client: httpx.Client, fields: dict[str, Any], is_read: bool
) -> None:
    body = {
        "model": "70b",
        "messages": [{"role": "user", "content": "The total was $12.50."}],
        "temperature": 0,
        **fields,
    }
    answer = client.post("/llamacpp/v1/chat/completions", json=body).json()
    content = answer["choices"][0]["message"]["content"]
    assert (json.loads(content) == {"total": 12.5}) is is_read


def test_an_error_has_its_status_as_its_code(client: httpx.Client) -> None:
    response = client.post("/llamacpp/v1/chat/completions", json={"model": "m", "messages": []})
    assert response.status_code == response.json()["error"]["code"] == 400
