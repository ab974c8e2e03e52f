"""Cloudflare Workers AI: native, in OpenAI's format, behind an AI Gateway, and in batches."""
