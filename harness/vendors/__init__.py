"""What is stated about each built-in provider: address, API key, prices, versions, simulator, and
what its models take.

One entry a provider. The registry, the suite schema, the preflight checks, the price lookup and the
tables in the documentation are derived from it. It is plain data and imports no provider, so that
naming one in a suite loads no code; and it stands below all who read it, since the suite language
needs the names and may not import providers.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from harness.vendors import anthropic, cloudflare, compatible, gemini, openai
from harness.vendors.facts import ProviderFacts

_OWN_CODE = (
    ProviderFacts(
        name="http",
        summary="your own service over HTTP, as the suite describes it",
        implementation="harness.providers.http.service:Service",
        endpoints="",
    ),
    ProviderFacts(
        name="python",
        summary="your own function",
        implementation="harness.providers.callable:FunctionProvider",
    ),
    ProviderFacts(
        name="command",
        summary="your own program",
        implementation="harness.providers.callable:ProgramProvider",
    ),
)

PROVIDERS: Mapping[str, ProviderFacts] = {
    facts.name: facts
    for facts in (
        *cloudflare.PROVIDERS,
        *openai.PROVIDERS,
        *anthropic.PROVIDERS,
        *gemini.PROVIDERS,
        *compatible.PROVIDERS,
        *_OWN_CODE,
    )
}
"""By the name that a suite gives as `provider:`."""

_VENDORS_BY_HOST = {
    host: facts.price_vendor or facts.name for facts in PROVIDERS.values() for host in facts.hosts
}


def price_vendor(provider: str) -> str:
    """Whose prices the models of `provider` have at its own address; for a plug-in's, those under
    its name."""
    facts = PROVIDERS.get(provider)
    return facts.price_vendor or facts.name if facts else provider


def price_vendor_at(provider: str, address: str) -> str | None:
    """Whose prices a target of `provider` at `address` has: a known host's vendor's, whatever the
    format.

    None for an unknown server of a format that many speak: a local model called `gpt-4o` has no
    price instead of a wrong one.
    """
    facts = PROVIDERS.get(provider)
    if facts is None or not facts.hosts:
        return price_vendor(provider)
    return _VENDORS_BY_HOST.get(urlsplit(address).hostname or "")


def bills_failures(provider: str, address: str) -> bool:
    """Whether a request to `address` may be billed that ended in a server error (5xx): so it is,
    unless the vendor states otherwise of its own service."""
    facts = PROVIDERS.get(provider)
    if facts is None or not facts.failures_are_free:
        return True
    own = urlsplit(facts.address or "").hostname
    return urlsplit(address).hostname not in {own, *facts.hosts}
