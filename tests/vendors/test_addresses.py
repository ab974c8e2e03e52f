"""Base addresses: what vendors' SDKs take and what people paste leads to the same endpoint."""

from __future__ import annotations

import pytest

from harness.model import Message, Request, Target
from harness.registry import load_plugin
from harness.vendors import PROVIDERS
from harness.vendors.addresses import complete_address, join_address

SPELLINGS = {
    "https://api.openai.com/v1/chat/completions": (
        "openai",
        ["https://api.openai.com", "https://api.openai.com/v1/"],
    ),
    "https://api.openai.com/v1/responses": (
        "openai-responses",
        ["https://api.openai.com/", "https://api.openai.com/v1/chat/completions"],
    ),
    "http://127.0.0.1:4000/v1/chat/completions": (
        "openai",
        ["http://127.0.0.1:4000", "http://127.0.0.1:4000/v1/models"],
    ),
    "http://127.0.0.1:4000/chat/completions": ("openai", []),  # given whole: nothing is added
    "https://api.perplexity.ai/chat/completions": ("openai", ["https://api.perplexity.ai/"]),
    "https://gateway.example/acme/openai/chat/completions": (
        "openai",
        ["https://gateway.example/acme/openai"],
    ),
    "https://models.example/chat/completions?tenant=a": ("openai", []),
    "https://api.anthropic.com/v1/messages": (
        "anthropic",
        ["https://api.anthropic.com", "https://api.anthropic.com/v1/"],
    ),
    "https://api.deepseek.com/anthropic/v1/messages": (
        "anthropic",
        ["https://api.deepseek.com/anthropic", "https://api.deepseek.com/anthropic/v1"],
    ),
    "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent": (
        "gemini",
        [
            "https://generativelanguage.googleapis.com",
            "https://generativelanguage.googleapis.com/v1beta/",
            "https://generativelanguage.googleapis.com/v1beta/models",
            "https://generativelanguage.googleapis.com/v1beta/openai/",
        ],
    ),
    "https://generativelanguage.googleapis.com/v1/models/m:generateContent": (
        "gemini",
        ["https://generativelanguage.googleapis.com/v1/models/m:generateContent?alt=sse"],
    ),
    "https://api.groq.com/openai/v1/chat/completions": (
        "groq",
        ["https://api.groq.com", "https://api.groq.com/openai", "https://api.groq.com/openai/v1"],
    ),
    "https://api.mistral.ai/v1/chat/completions": ("mistral", ["https://api.mistral.ai"]),
    "https://api.deepseek.com/chat/completions": ("deepseek", ["https://api.deepseek.com/"]),
    "https://api.deepseek.com/v1/chat/completions": ("deepseek", ["https://api.deepseek.com/v1"]),
    "https://openrouter.ai/api/v1/chat/completions": (
        "openrouter",
        ["https://openrouter.ai", "https://openrouter.ai/api"],
    ),
    "https://api.together.xyz/v1/chat/completions": ("together", ["https://api.together.xyz"]),
    "https://api.fireworks.ai/inference/v1/chat/completions": (
        "fireworks",
        ["https://api.fireworks.ai", "https://api.fireworks.ai/inference"],
    ),
    "http://10.0.0.5:8000/v1/chat/completions": ("vllm", ["http://10.0.0.5:8000/"]),
    "http://10.0.0.5:8080/v1/chat/completions": ("llamacpp", ["http://10.0.0.5:8080"]),
    "http://10.0.0.5:11434/v1/chat/completions": (
        "ollama",
        ["http://10.0.0.5:11434", "http://10.0.0.5:11434/api", "http://10.0.0.5:11434/api/chat"],
    ),
    "https://acme.openai.azure.com/openai/deployments/m/chat/completions?api-version=2024-10-21": (
        "azure",
        ["https://acme.openai.azure.com", "https://acme.openai.azure.com/openai/"],
    ),
    "https://acme.openai.azure.com/openai/deployments/m/chat/completions?api-version=2025-04-01": (
        "azure",
        ["https://acme.openai.azure.com/openai/deployments?api-version=2025-04-01"],
    ),
    "https://acme.openai.azure.com/openai/v1/chat/completions": (
        "azure",
        ["https://acme.openai.azure.com/openai/v1/?api-version=preview"],
    ),
    "https://api.cloudflare.com/client/v4/accounts/a1/ai/run/m": (
        "cloudflare",
        [
            "https://api.cloudflare.com/client/v4/accounts/a1/",
            "https://api.cloudflare.com/client/v4/accounts/a1/ai",
            "https://api.cloudflare.com/client/v4/accounts/a1/ai/run/",
            "https://api.cloudflare.com/client/v4/accounts/a1/ai/v1/chat/completions",
        ],
    ),
    "https://api.cloudflare.com/client/v4/accounts/${CLOUDFLARE_ACCOUNT_ID}/ai/v1/chat/completions": (
        "cloudflare-chat",
        [
            "https://api.cloudflare.com",
            "https://api.cloudflare.com/client/v4",
            "https://api.cloudflare.com/client/v4/accounts/${CLOUDFLARE_ACCOUNT_ID}/ai/v1",
        ],
    ),
    "https://gateway.ai.cloudflare.com/v1/a1/g1/workers-ai/m": (
        "cloudflare-gateway",
        [
            "https://gateway.ai.cloudflare.com/v1/a1/g1",
            "https://gateway.ai.cloudflare.com/v1/a1/g1/workers-ai/",
            "https://gateway.ai.cloudflare.com/v1/a1/g1/workers-ai/v1/chat/completions",
            "https://gateway.ai.cloudflare.com/v1/a1/g1/workers-ai/@cf/meta/llama",
        ],
    ),
}


@pytest.mark.parametrize("final", SPELLINGS)
def test_every_spelling_of_an_address_leads_to_its_endpoint(final: str) -> None:
    provider, spellings = SPELLINGS[final]
    own = [final] if provider != "cloudflare-gateway" else []  # `m` is no Workers AI model's id
    assert {
        spelling: _endpoint(provider, spelling) for spelling in [*own, *spellings]
    } == dict.fromkeys([*own, *spellings], final)


@pytest.mark.parametrize("provider", [name for name, facts in PROVIDERS.items() if facts.address])
def test_a_vendors_own_address_stays_as_it_is(provider: str) -> None:
    facts = PROVIDERS[provider]
    assert complete_address(facts, facts.address or "") == (facts.address, None)


def _endpoint(provider: str, declared: str) -> str:
    base, version = complete_address(PROVIDERS[provider], declared)
    target = Target("t", provider, "m", declared, base, api_version=version)
    request = Request((Message("user", "hi"),), sampling={"max_tokens": 1}, stream=False)
    wire = load_plugin("providers", provider).encode(target, request)
    return join_address(base, wire.path)
