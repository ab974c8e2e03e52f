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
    "@cf/meta/llama-3-8b-instruct-awq": (0.123, 0.266),
    "@cf/meta/llama-3.2-1b-instruct": (0.027, 0.201),
    "@cf/meta/llama-3.2-3b-instruct": (0.051, 0.335),
    "@cf/meta/llama-3.2-11b-vision-instruct": (0.049, 0.676),
    "@cf/meta/llama-2-7b-chat-fp16": (0.556, 6.667),
    "@cf/meta/llama-guard-3-8b": (0.484, 0.030),
    "@cf/openai/gpt-oss-120b": (0.350, 0.750),
    "@cf/openai/gpt-oss-20b": (0.200, 0.300),
    "@cf/google/gemma-4-26b-a4b-it": (0.100, 0.300),
    "@cf/google/gemma-3-12b-it": (0.345, 0.556),
    "@cf/aisingapore/gemma-sea-lion-v4-27b-it": (0.351, 0.555),
    "@cf/mistralai/mistral-small-3.1-24b-instruct": (0.351, 0.555),
    "@cf/mistral/mistral-7b-instruct-v0.1": (0.110, 0.190),
    "@cf/qwen/qwen3-30b-a3b-fp8": (0.051, 0.335),
    "@cf/qwen/qwen3.8-27b": (0.450, 3.200),
    "@cf/qwen/qwq-32b": (0.660, 1.000),
    "@cf/qwen/qwen2.5-coder-32b-instruct": (0.660, 1.000),
    "@cf/deepseek-ai/deepseek-r1-distill-qwen-32b": (0.497, 4.881),
    "@cf/deepseek-ai/deepseek-v4-flash-0731": (0.440, 1.320),
    "@cf/deepseek-ai/deepseek-v4-pro-0813": (1.320, 3.960),
    "@cf/zai-org/glm-4.7-flash": (0.060, 0.400),
    "@cf/zai-org/glm-5.2": (1.400, 4.400),
    "@cf/zai-org/glm-5.3": (1.400, 4.400),
    "@cf/zai-org/glm-5.3-flash": (0.150, 0.500),
    "@cf/moonshotai/kimi-k2.5": (0.600, 3.000),
    "@cf/moonshotai/kimi-k2.6": (0.950, 4.000),
    "@cf/moonshotai/kimi-k2.7-code": (0.950, 4.000),
    "@cf/nvidia/nemotron-3-120b-a12b": (0.500, 1.500),
    "@cf/ibm-granite/granite-4.0-h-micro": (0.017, 0.112),
}


def compute_neurons(model: str, prompt_tokens: int, completion_tokens: int) -> float | None:
    """Neurons for one request, to four decimals; None for a model without a price."""
    if model in NEURONS_PER_MTOK:
        into, out = NEURONS_PER_MTOK[model]
    elif model in USD_PER_MTOK:
        into, out = (usd / USD_PER_NEURON for usd in USD_PER_MTOK[model])
    else:
        return None
    return round((prompt_tokens * into + completion_tokens * out) / 1e6, 4)
