"""Cloudflare Workers AI behind OpenAI's format: `POST /ai/v1/chat/completions`, another door to the same models.

What surprises: an answer is OpenAI's, but an error may come in Cloudflare's envelope, the bill is in neurons, and a stream may
end with a frame of the native format. So answers are read as those of the native door are: that reader knows both.
"""

from __future__ import annotations

from harness.model import EncodedRequest, Request, Target
from harness.providers.base import Decoder
from harness.providers.cloudflare import native
from harness.providers.openai import chat_completions

PATH = "/ai/v1/chat/completions"


class CloudflareChat:
    """The provider `cloudflare-chat`."""

    name = "cloudflare-chat"
    default_address: str | None = native.provider.default_address
    default_api_key_env: str | None = native.provider.default_api_key_env
    default_max_tokens: int | None = native.DEFAULT_MAX_TOKENS

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /ai/v1/chat/completions`. Raises ValueError for what only the native format has."""
        limited = {**request.sampling, "max_tokens": native.effective_max_tokens(request)}
        return chat_completions.encode_chat_completion(target, request, PATH, limited)

    def make_decoder(self, target: Target, request: Request) -> Decoder:
        """A fresh decoder for one attempt at `request`."""
        return native.make_decoder(target, request)


provider = CloudflareChat()
