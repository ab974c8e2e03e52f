"""Workers AI's native text generation, `POST …/ai/run/{model}`, by Llama 4 Scout's schema; and its
price in neurons.

What surprises: `max_tokens` defaults to 256, and a truncated answer has no finish reason; seed 0
and negative penalties are refused; JSON mode answers with an object; every streamed frame is padded
with a meaningless `p`; success and failure share one envelope.

Scout's prices are the published neurons; the others are the published dollars per million tokens at
$0.011 per 1,000 neurons. (Workers AI pricing page, 28 August 2026.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from harness.simulator.apis.cloudflare import messages as body_messages
from harness.simulator.apis.cloudflare.schema import check_body, parse_json_object
from harness.simulator.apis.http import ApiError, ApiResponse, StreamFrame
from harness.simulator.model.rng import random_octets, stable_digest
from harness.simulator.model.tokenizer import count_prompt
from harness.simulator.model.types import Completion, Prompt, Reply, Sampling, token_events

CONTEXT = 131_000
DEFAULT_MAX_TOKENS = 256
DEFAULT_TEMPERATURE = 0.15
PADDING = "abdefghijklmnoprstuvxyz1234567890"
DONE = b"data: [DONE]\n\n"


class Request(NamedTuple):
    """A parsed request: what to answer, and in which form."""

    prompt: Prompt
    stream: bool
    json_as_text: bool


def parse_request(content: bytes, model: str) -> Request:
    """Validate a body against the schema; raises `ApiError` with the service's code and message."""
    if not model.startswith("@cf/"):
        raise ApiError(400, 5007, f"AiError: No such model {model} or task")
    return parse_body(parse_json_object(content), model)


def parse_body(body: dict[str, Any], model: str) -> Request:
    """Validate one request, alone or of a batch; raises `ApiError`."""
    check_body(body)
    turns, offered = body_messages.parse_turns(body), body_messages.parse_functions(body)
    prompt = Prompt(
        model,
        turns,
        _parse_sampling(body),
        _response_schema(body),
        offered,
        body_messages.parse_tool_choice(body),
    )
    _check_context(prompt)
    return Request(prompt, body.get("stream") is True, "guided_json" in body)


def render_response(request: Request, reply: Reply) -> ApiResponse:
    """The answer as one JSON object in the envelope. Raises `ApiError` where JSON mode was
    truncated."""
    result = render_result(request, reply) | {"usage": usage_fields(request.prompt.model, reply)}
    return ApiResponse(200, response_headers(request.prompt.model, reply), wrap_result(result))


def render_result(request: Request, reply: Reply) -> dict[str, Any]:
    """The answer without usage; has no `response` if functions are called. Raises as
    `render_response`."""
    completion = reply.completions[0]
    if completion.calls:
        return {
            "tool_calls": [
                _tool_call(reply, place, call.name, call.arguments)
                for place, call in enumerate(completion.calls)
            ]
        }
    if request.prompt.schema is None:
        return {"response": completion.text, "tool_calls": []}
    try:
        parsed = orjson.loads(completion.text)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, 3030, "AiError: JSON Mode couldn't be met") from error
    return {"response": completion.text if request.json_as_text else parsed, "tool_calls": []}


def render_stream(request: Request, reply: Reply) -> ApiResponse:
    """The answer as frames: an empty one, one per token, the usage, `[DONE]`."""
    pads = map(padding_text, random_octets("padding", reply.request_id))
    tokens = [(0, {"response": "", "tool_calls": []}), *_token_chunks(reply, reply.completions[0])]
    frames = [
        StreamFrame(step, _stream_event(data | {"p": pad}))
        for (step, data), pad in zip(tokens, pads, strict=False)
    ]
    frames.append(
        StreamFrame(
            reply.steps,
            _stream_event({"response": "", "usage": usage_fields(request.prompt.model, reply)}),
        )
    )
    frames.append(StreamFrame(reply.steps, DONE))
    return ApiResponse(200, response_headers(request.prompt.model, reply), frames=tuple(frames))


def _token_chunks(reply: Reply, completion: Completion) -> Iterator[tuple[int, dict[str, Any]]]:
    """(step, frame) of each token; calls come in pieces by index and end with an empty one."""
    for event in token_events(completion):
        if event.kind == "text":
            yield event.step, {"response": event.piece, "tool_calls": []}
        elif event.kind == "call":
            call = _tool_call(reply, event.place, event.piece, "") | {"index": event.place}
            yield event.step, {"tool_calls": [call]}
        else:
            piece = {
                "index": event.place,
                "type": "function",
                "function": {"arguments": event.piece},
            }
            yield event.step, {"tool_calls": [piece]}
    if completion.calls:
        nothing = {
            "id": None,
            "type": "function",
            "index": 0,
            "function": {"name": None, "arguments": None},
        }
        yield reply.steps, {"tool_calls": [nothing]}


def _tool_call(reply: Reply, place: int, name: str, arguments: str) -> dict[str, Any]:
    identifier = f"chatcmpl-tool-{stable_digest('call', reply.request_id, place).hex()[:32]}"
    return {
        "id": identifier,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def usage_fields(model: str, reply: Reply) -> dict[str, Any]:
    """Token counts and, for a model with a price, neurons."""
    figures: dict[str, Any] = {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    billed = compute_neurons(model, reply.prompt_tokens, reply.completion_tokens)
    return figures if billed is None else figures | {"neurons": billed}


def response_headers(model: str, reply: Reply) -> tuple[tuple[str, str], ...]:
    """The headers of an answer: the edge's ray, the request id, the neurons."""
    billed = compute_neurons(model, reply.prompt_tokens, reply.completion_tokens)
    bill = () if billed is None else (("cf-ai-neurons", str(billed)),)
    return (*edge_headers(reply.request_id), ("cf-ai-req-id", reply.request_id), *bill)


def edge_headers(request_id: str) -> tuple[tuple[str, str], ...]:
    """The headers of every response, also of one that never reached a model."""
    return (
        ("cf-ray", f"{stable_digest('ray', request_id).hex()[:16]}-SIM"),
        ("server", "cloudflare"),
    )


def render_error(api_error: ApiError, request_id: str) -> ApiResponse:
    """An error in the envelope. An authentication error has a null result and no request id of a
    model."""
    reached = api_error.status not in (401, 403, 404)
    message = f"{api_error.message} ({request_id})" if reached else api_error.message
    body: dict[str, Any] = {
        "errors": [{"message": message, "code": api_error.code}],
        "success": False,
        "result": {} if reached else None,
        "messages": [],
    }
    if api_error.code == 3040:
        body["internalCode"] = 3040
    reached_headers = (("cf-ai-req-id", request_id),) if reached else ()
    return ApiResponse(
        api_error.status, (*edge_headers(request_id), *reached_headers), orjson.dumps(body)
    )


def error_for_status(status: int, code: str | None, message: str | None) -> ApiError:
    """The error of an injected status."""
    known_code, text = FAILURES.get(status, (3030, "AiError: upstream error"))
    return ApiError(status, int(code) if code and code.isdigit() else known_code, message or text)


FAILURES: dict[int, tuple[int, str]] = {
    400: (5006, "AiError: Bad input: Error: injected"),
    401: (10000, "Authentication error"),
    403: (10000, "Authentication error"),
    404: (7003, "Could not route to the given path, perhaps your object identifier is invalid?"),
    405: (7001, "Method not available for that URI."),
    408: (3007, "AiError: Request timed out"),
    413: (3006, "AiError: Request is too large"),
    429: (3040, "AiError: Capacity temporarily exceeded, please try again."),
    500: (3030, "AiError: Internal server error"),
}


def wrap_result(result: Any) -> bytes:
    """A success in the envelope of the REST interface."""
    return orjson.dumps({"result": result, "success": True, "errors": [], "messages": []})


def padding_text(octet: int) -> str:
    """A meaningless text of 5 to 33 characters."""
    return PADDING[: 5 + octet % (len(PADDING) - 4)]


def _stream_event(data: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"


def _parse_sampling(body: dict[str, Any]) -> Sampling:
    return Sampling(
        temperature=float(body.get("temperature", DEFAULT_TEMPERATURE)),
        top_k=body.get("top_k"),
        top_p=body.get("top_p"),
        seed=body.get("seed"),
        max_tokens=body.get("max_tokens", DEFAULT_MAX_TOKENS),
        frequency_penalty=body.get("frequency_penalty", 0.0),
        presence_penalty=body.get("presence_penalty", 0.0),
        repetition_penalty=body.get("repetition_penalty", 1.0),
    )


def _response_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    if "guided_json" in body:
        return dict(body["guided_json"])
    response_format = body.get("response_format")
    if response_format is None:
        return None
    schema = response_format.get("json_schema") or {}
    # OpenAI's envelope {name, schema} is accepted too: some clients send it, and the service's
    # schema does not constrain the key.
    inner = schema.get("schema", schema) if isinstance(schema, dict) else {}
    return dict(inner) if isinstance(inner, dict) else {}


def _check_context(prompt: Prompt) -> None:
    wanted = count_prompt(prompt.turns, prompt.functions) + (prompt.sampling.max_tokens or 0)
    if wanted > CONTEXT:
        raise ApiError(
            413,
            5021,
            f"AiError: The estimated number of input and maximum output tokens ({wanted}) exceeded"
            f" this model context window limit ({CONTEXT}).",
        )


USD_PER_NEURON = 0.000011

NEURONS_PER_MTOK: dict[str, tuple[float, float]] = {
    "@cf/meta/llama-4-scout-17b-16e-instruct": (24_545, 77_273)
}

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

PRICED_MODELS = (*NEURONS_PER_MTOK, *USD_PER_MTOK)


def compute_neurons(model: str, prompt_tokens: int, completion_tokens: int) -> float | None:
    """Neurons for one request, to four decimals; None for a model without a price."""
    if model in NEURONS_PER_MTOK:
        into, out = NEURONS_PER_MTOK[model]
    elif model in USD_PER_MTOK:
        into, out = (usd / USD_PER_NEURON for usd in USD_PER_MTOK[model])
    else:
        return None
    return round((prompt_tokens * into + completion_tokens * out) / 1e6, 4)
