"""Cloudflare Workers AI behind an AI Gateway: the native format at the gateway's own host.

A gateway may answer from its cache, word for word what it answered before to the same body: no measurement of the model. So it
is told not to (`cf-aig-skip-cache`), unless the target's headers say otherwise, and an answer that came from there all the
same is flagged (`decoding`).
"""

from __future__ import annotations

from msgspec.structs import replace

from harness.model import EncodedRequest, Request, Target
from harness.providers.base import Decoder
from harness.providers.cloudflare import native

SKIP_CACHE = ("cf-aig-skip-cache", "true")


class CloudflareGateway:
    """The provider `cloudflare-gateway`."""

    name = "cloudflare-gateway"
    default_address: str | None = (
        "https://gateway.ai.cloudflare.com/v1/${CLOUDFLARE_ACCOUNT_ID}/${CLOUDFLARE_GATEWAY_ID}/workers-ai"
    )
    default_api_key_env: str | None = native.provider.default_api_key_env
    default_max_tokens: int | None = native.DEFAULT_MAX_TOKENS

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /{model}` at the gateway. Raises ValueError as the native format does."""
        wire = native.encode_native(target, request, native.model_path("/", target.model))
        headers = dict([SKIP_CACHE, *wire.headers])
        return replace(wire, headers=tuple(headers.items()))

    def make_decoder(self, target: Target, request: Request) -> Decoder:
        """A fresh decoder for one attempt at `request`."""
        return native.make_decoder(target, request)


provider = CloudflareGateway()
