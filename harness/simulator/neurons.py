"""What Cloudflare bills for a text model, in neurons per million tokens in and out.

Scout's two figures are the published integers; the others are the published dollars per million tokens at $0.011 per
1,000 neurons. (Workers AI pricing page, 28 August 2026.) A model that is not here is answered without neurons.
"""

from __future__ import annotations

USD_PER_NEURON = 0.000011

NEURONS_PER_MTOK: dict[str, tuple[float, float]] = {"@cf/meta/llama-4-scout-17b-16e-instruct": (24_545, 77_273)}

USD_PER_MTOK: dict[str, tuple[float, float]] = {
    "@cf/meta/llama-3.3-70b-instruct-fp8-fast": (0.293, 2.253),
    "@cf/meta/llama-3.1-70b-instruct-fp8-fast": (0.293, 2.253),
    "@cf/meta/llama-3.1-8b-instruct": (0.282, 0.827),
    "@cf/meta/llama-3.1-8b-instruct-fp8": (0.152, 0.287),
    "@cf/meta/llama-3.1-8b-instruct-fp8-fast": (0.045, 0.384),
    "@cf/meta/llama-3.1-8b-instruct-awq": (0.123, 0.266),
    "@cf/meta/llama-3-8b-instruct": (0.282, 0.827),
    "@cf/meta/llama-3.2-1b-instruct": (0.027, 0.201),
    "@cf/meta/llama-3.2-3b-instruct": (0.051, 0.335),
    "@cf/meta/llama-3.2-11b-vision-instruct": (0.049, 0.676),
    "@cf/google/gemma-3-12b-it": (0.345, 0.556),
    "@cf/mistralai/mistral-small-3.1-24b-instruct": (0.351, 0.555),
    "@cf/mistral/mistral-7b-instruct-v0.1": (0.110, 0.190),
    "@cf/qwen/qwq-32b": (0.660, 1.000),
    "@cf/qwen/qwen2.5-coder-32b-instruct": (0.660, 1.000),
    "@cf/ibm-granite/granite-4.0-h-micro": (0.017, 0.112),
}


def billed(model: str, prompt_tokens: int, completion_tokens: int) -> float | None:
    """Neurons for one request, to four decimals; None for a model without a price."""
    if model in NEURONS_PER_MTOK:
        into, out = NEURONS_PER_MTOK[model]
    elif model in USD_PER_MTOK:
        into, out = (usd / USD_PER_NEURON for usd in USD_PER_MTOK[model])
    else:
        return None
    return round((prompt_tokens * into + completion_tokens * out) / 1e6, 4)
