"""The simulated model: tokenizer, skills that propose answers, and a real sampler."""
