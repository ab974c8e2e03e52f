"""The role `developer`: OpenAI and one's own code get it, every other format has it as system
text.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness import registry
from harness.model import Message, Request, Target
from harness.vendors import PROVIDERS

KEEPING = {
    "openai": "https://api.openai.com/v1",
    "azure": "https://x.openai.azure.com",
    "openai-responses": "https://api.openai.com/v1",
    "python": "python:app",
    "command": "command:app",
    "http": "http://127.0.0.1:1/ask",
}
REQUEST = Request(
    messages=(Message("developer", "Be brief."), Message("user", "Hi")), sampling={"max_tokens": 9}
)


def body_of(name: str, address: str) -> Any:
    described = {"body": {"messages": "{{ messages }}"}}
    target = Target("t", name, "m", address, address, service=described)
    return json.loads(registry.load_plugin("providers", name).encode(target, REQUEST).body)


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_the_developers_message_arrives_everywhere(name: str) -> None:
    body = body_of(name, KEEPING.get(name, "http://127.0.0.1:1/v1"))
    text = json.dumps(body)
    assert "Be brief." in text
    assert ('"developer"' in text) == (name in KEEPING)


def test_servers_that_only_speak_openais_format_get_it_as_system() -> None:
    body = body_of("openai", "http://127.0.0.1:8000/v1")
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert body_of("anthropic", "http://127.0.0.1:1")["messages"][0]["role"] == "user"
