"""OpenAI's chat completions and Responses API, and vendors of chat completions."""
