"""The simulated model: tokenizer, skills that propose candidate answers, and a sampler. It knows
neither HTTP nor any API."""
