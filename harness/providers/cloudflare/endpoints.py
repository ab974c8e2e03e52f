"""Workers AI's endpoints, each a provider: native, in OpenAI's format, and behind an AI Gateway.

The OpenAI-compatible endpoint answers in OpenAI's format, but an error may come in Cloudflare's envelope, the bill is in
neurons, and a stream may end with a frame of the native format. So all three are decoded by the native decoder, which knows
both formats.
"""

from __future__ import annotations

from msgspec.structs import replace

from harness.model import EncodedRequest, Request, Target
from harness.providers.base import Decoder
from harness.providers.cloudflare import native
from harness.providers.cloudflare.batch_api import CloudflareBatches
from harness.providers.openai.chat_completions import encode_chat_completion

ACCOUNT_ADDRESS = "https://api.cloudflare.com/client/v4/accounts/${CLOUDFLARE_ACCOUNT_ID}"
GATEWAY_ADDRESS = "https://gateway.ai.cloudflare.com/v1/${CLOUDFLARE_ACCOUNT_ID}/${CLOUDFLARE_GATEWAY_ID}/workers-ai"
API_KEY_ENV = "CLOUDFLARE_AUTH_TOKEN"

SKIP_CACHE = ("cf-aig-skip-cache", "true")
"""Tells a gateway not to answer from its cache, which repeats word for word what it answered before to the same body."""


class Cloudflare:
    """The provider `cloudflare`: the native format."""

    name = "cloudflare"
    default_address: str | None = ACCOUNT_ADDRESS
    default_api_key_env: str | None = API_KEY_ENV
    default_max_tokens: int | None = native.DEFAULT_MAX_TOKENS

    def __init__(self) -> None:
        self.batch_api = CloudflareBatches(native.make_decoder)

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /ai/run/{model}`. Raises ValueError where a prompt and messages are given together: the schema takes one."""
        return native.encode_native(target, request, native.model_path("/ai/run/", target.model))

    def make_decoder(self, target: Target, request: Request) -> Decoder:
        """A new decoder for one attempt at `request`."""
        return native.make_decoder(target, request)


class CloudflareChat:
    """The provider `cloudflare-chat`: the OpenAI-compatible endpoint to the same models."""

    name = "cloudflare-chat"
    default_address: str | None = ACCOUNT_ADDRESS
    default_api_key_env: str | None = API_KEY_ENV
    default_max_tokens: int | None = native.DEFAULT_MAX_TOKENS

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /ai/v1/chat/completions`. Raises ValueError for what only the native format has."""
        sampling = {**request.sampling, "max_tokens": native.effective_max_tokens(request)}
        return encode_chat_completion(target, request, "/ai/v1/chat/completions", sampling)

    def make_decoder(self, target: Target, request: Request) -> Decoder:
        """A new decoder for one attempt at `request`."""
        return native.make_decoder(target, request)


class CloudflareGateway:
    """The provider `cloudflare-gateway`: the native format at an AI Gateway's own host.

    Cached answers are no measurement of the model, so the gateway is told not to use its cache, unless the target's headers
    say otherwise; one that came from the cache all the same is flagged (`decoder.CACHE_STATUS`).
    """

    name = "cloudflare-gateway"
    default_address: str | None = GATEWAY_ADDRESS
    default_api_key_env: str | None = API_KEY_ENV
    default_max_tokens: int | None = native.DEFAULT_MAX_TOKENS

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /{model}` at the gateway. Raises ValueError as the native format does."""
        encoded = native.encode_native(target, request, native.model_path("/", target.model))
        headers = dict([SKIP_CACHE, *encoded.headers])
        return replace(encoded, headers=tuple(headers.items()))

    def make_decoder(self, target: Target, request: Request) -> Decoder:
        """A new decoder for one attempt at `request`."""
        return native.make_decoder(target, request)


native_endpoint = Cloudflare()
chat_endpoint = CloudflareChat()
gateway_endpoint = CloudflareGateway()
