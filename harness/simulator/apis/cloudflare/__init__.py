"""Cloudflare Workers AI: its native format and its batches."""
