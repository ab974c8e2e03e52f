"""One model by its many names, as servers really echo them."""

from __future__ import annotations

import pytest

from harness.providers.served_model import is_same_model


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("gpt-4.1", "gpt-4.1"),
        ("gpt-4.1", "gpt-4.1-2025-04-14"),
        ("gpt-4.1-2025-04-14", "gpt-4.1"),
        ("gpt-4", "gpt-4-0613"),
        ("openai/gpt-4.1", "gpt-4.1"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
        ("mistral-large-latest", "mistral-large-2411"),
        ("gemini-2.0-flash", "models/gemini-2.0-flash-001"),
        ("llama3.3", "llama3.3:latest"),
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B@main"),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", "/models/llama-4-scout-17b-16e-instruct"),
        ("@cf/meta/llama-4-scout-17b-16e-instruct", "llama-4-scout-17b-16e-instruct"),
        ("tiny", "/srv/models/tiny.gguf"),
    ],
)
def test_another_name_of_the_same_model(asked: str, served: str) -> None:
    assert is_same_model(asked, served)


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("gpt-4.1", "gpt-4.1-mini"),
        ("gpt-4.1-mini", "gpt-4.1"),
        ("gpt-4.1", "gpt-4o-2024-08-06"),
        ("gpt-4.1-2025-04-14", "gpt-4.1-2024-12-01"),
        ("claude-3-5-sonnet-20240620", "claude-3-5-sonnet-20241022"),
        ("llama-3.1-8b", "llama-3.1-70b"),
        ("@cf/meta/llama-4-scout-17b-16e-instruct", "@cf/meta/llama-3.1-8b-instruct"),
        ("tiny", "default"),
        ("tiny", ""),
    ],
)
def test_another_model(asked: str, served: str) -> None:
    assert not is_same_model(asked, served)
