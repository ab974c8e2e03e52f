"""Cloudflare Workers AI: native format, batches, AI Gateway."""
