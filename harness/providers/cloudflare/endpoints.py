"""Workers AI's endpoints, each a provider: native, in OpenAI's format, and behind an AI Gateway.

The OpenAI-compatible endpoint answers in OpenAI's format, but an error may come in Cloudflare's
envelope, the bill is in neurons, and a stream may end with a frame of the native format. So all
three are decoded by the native decoder, which knows both formats.
"""

from __future__ import annotations

from msgspec.structs import replace

from harness.model import EncodedRequest, Request, Target
from harness.providers.base import BuiltInProvider, Decoder
from harness.providers.cloudflare import native
from harness.providers.cloudflare.batch_api import CloudflareBatches
from harness.providers.openai.chat_completions import encode_chat_completion
from harness.vendors.facts import ProviderFacts

SKIP_CACHE = ("cf-aig-skip-cache", "true")
"""Tells a gateway not to answer from its cache, which repeats word for word what it answered before
to the same body."""


class Cloudflare(BuiltInProvider):
    """The provider `cloudflare`: the native format."""

    def __init__(self, facts: ProviderFacts) -> None:
        super().__init__(facts)
        self.batch_api = CloudflareBatches(native.make_decoder)

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /ai/run/{model}`. Raises ValueError where a prompt and messages are given together:
        the schema takes one."""
        return native.encode_native(target, request, native.model_path("/ai/run/", target.model))

    def make_decoder(self, target: Target, request: Request) -> Decoder:
        """A new decoder for one attempt at `request`."""
        return native.make_decoder(target, request)


class CloudflareChat(BuiltInProvider):
    """The provider `cloudflare-chat`: the OpenAI-compatible endpoint to the same models."""

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /ai/v1/chat/completions`. Raises ValueError for what only the native format has."""
        sampling = {**request.sampling, "max_tokens": native.effective_max_tokens(request)}
        return encode_chat_completion(target, request, "/ai/v1/chat/completions", sampling)

    def make_decoder(self, target: Target, request: Request) -> Decoder:
        """A new decoder for one attempt at `request`."""
        return native.make_decoder(target, request)


class CloudflareGateway(BuiltInProvider):
    """The provider `cloudflare-gateway`: the native format at an AI Gateway's own host.

    Cached answers are no measurement of the model, so the gateway is told not to use its cache,
    unless the target's headers say otherwise; one that came from the cache all the same is flagged
    (`decoder.CACHE_STATUS`).
    """

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /{model}` at the gateway. Raises ValueError as the native format does."""
        encoded = native.encode_native(target, request, native.model_path("/", target.model))
        headers = dict([SKIP_CACHE, *encoded.headers])
        return replace(encoded, headers=tuple(headers.items()))

    def make_decoder(self, target: Target, request: Request) -> Decoder:
        """A new decoder for one attempt at `request`."""
        return native.make_decoder(target, request)
