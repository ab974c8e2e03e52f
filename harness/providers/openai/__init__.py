"""OpenAI's chat completions and Responses API, and the vendors that speak chat completions."""
