"""Cloudflare Workers AI's native text generation, `POST …/ai/run/{model}`, as Llama 4 Scout's schema has it.

What surprises: `max_tokens` is 256 unless sent, and a cut answer carries no finish reason; seed 0 and negative penalties
are refused; JSON mode answers with an object; every streamed frame is padded with a meaningless `p`; only failures say
why in `errors`, and a success has the same envelope. Async batches (`requests`) are not simulated.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from harness.simulator import neurons
from harness.simulator.chance import digest, octets
from harness.simulator.nouns import Body, Frame, Prompt, Refusal, Reply, Sampling, Turn
from harness.simulator.pictures import of_data_uri
from harness.simulator.tokens import count_prompt

CONTEXT = 131_000
DEFAULT_MAX_TOKENS = 256
DEFAULT_TEMPERATURE = 0.15
PADDING = "abdefghijklmnoprstuvxyz1234567890"
DONE = b"data: [DONE]\n\n"
ID_CHARACTERS = 9


class Range(NamedTuple):
    """What the schema allows for a number; None is unbounded."""

    kind: str
    low: float | None
    high: float | None


RANGES: dict[str, Range] = {
    "max_tokens": Range("integer", None, None),
    "temperature": Range("number", 0, 5),
    "top_p": Range("number", 0, 2),
    "top_k": Range("integer", 1, 50),
    "seed": Range("integer", 1, 9_999_999_999),
    "repetition_penalty": Range("number", 0, 2),
    "frequency_penalty": Range("number", 0, 2),
    "presence_penalty": Range("number", 0, 2),
}
OTHER_TYPES: dict[str, str] = {
    "guided_json": "object",
    "response_format": "object",
    "raw": "boolean",
    "stream": "boolean",
    "tools": "array",
    "functions": "array",
    "messages": "array",
    "prompt": "string",
}
FORMATS = ("json_object", "json_schema")


class Request(NamedTuple):
    """One native request: what to answer, and how the answer is wrapped."""

    prompt: Prompt
    stream: bool
    json_as_text: bool


def read(content: bytes, model: str) -> Request:
    """Check a body against the schema; raises `Refusal` with the service's code and words."""
    if not model.startswith("@cf/"):
        raise Refusal(400, 5007, f"AiError: No such model {model} or task")
    body = _object(content)
    _check_branch(body)
    _check_types(body)
    _check_ranges(body)
    turns = _turns(body)
    prompt = Prompt(model, turns, _sampling(body), _schema(body))
    _check_context(prompt)
    return Request(prompt, body.get("stream") is True, "guided_json" in body)


def whole(request: Request, reply: Reply) -> Body:
    """The answer in one piece, in the envelope. Raises `Refusal` where JSON mode was cut short."""
    text = reply.answers[0].text
    response: Any = text
    if request.prompt.schema is not None:
        try:
            parsed = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise Refusal(400, 3030, "AiError: JSON Mode couldn't be met") from error
        response = text if request.json_as_text else parsed
    result = {"response": response, "tool_calls": [], "usage": usage(request.prompt.model, reply)}
    return Body(200, headers(request.prompt.model, reply), envelope(result))


def streamed(request: Request, reply: Reply) -> Body:
    """The answer as frames: an empty one, one a token, the usage, `[DONE]`."""
    pieces = reply.answers[0].pieces
    pads = map(padding, octets("padding", reply.request_id))
    frames = [
        Frame(step, _frame({"response": piece, "tool_calls": [], "p": pad}))
        for (step, piece), pad in zip(enumerate(("", *pieces)), pads, strict=False)
    ]
    frames.append(Frame(len(pieces), _frame({"response": "", "usage": usage(request.prompt.model, reply)})))
    frames.append(Frame(len(pieces), DONE))
    return Body(200, headers(request.prompt.model, reply), frames=tuple(frames))


def usage(model: str, reply: Reply) -> dict[str, Any]:
    """Tokens and, where the model has a price, neurons."""
    figures: dict[str, Any] = {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    billed = neurons.billed(model, reply.prompt_tokens, reply.completion_tokens)
    return figures if billed is None else figures | {"neurons": billed}


def headers(model: str, reply: Reply) -> tuple[tuple[str, str], ...]:
    """What comes with an answer of a model: the edge's ray, the request's id, the bill."""
    billed = neurons.billed(model, reply.prompt_tokens, reply.completion_tokens)
    bill = () if billed is None else (("cf-ai-neurons", str(billed)),)
    return (*edge_headers(reply.request_id), ("cf-ai-req-id", reply.request_id), *bill)


def edge_headers(request_id: str) -> tuple[tuple[str, str], ...]:
    """What comes with every answer, also one that never reached a model."""
    return (("cf-ray", f"{digest('ray', request_id).hex()[:16]}-SIM"), ("server", "cloudflare"))


def refused(refusal: Refusal, request_id: str) -> Body:
    """An error in the envelope. An authentication error has no model's request id and a null result."""
    reached = refusal.status not in (401, 403, 404)
    message = f"{refusal.message} ({request_id})" if reached else refusal.message
    body: dict[str, Any] = {
        "errors": [{"message": message, "code": refusal.code}],
        "success": False,
        "result": {} if reached else None,
        "messages": [],
    }
    if refusal.code == 3040:
        body["internalCode"] = 3040
    reached_headers = (("cf-ai-req-id", request_id),) if reached else ()
    return Body(refusal.status, (*edge_headers(request_id), *reached_headers), orjson.dumps(body))


def failure(status: int, code: str | None, message: str | None) -> Refusal:
    """The error an injected status stands for."""
    known_code, text = FAILURES.get(status, (3030, "AiError: upstream error"))
    return Refusal(status, int(code) if code and code.isdigit() else known_code, message or text)


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


def envelope(result: Any) -> bytes:
    """A success as the REST interface wraps it."""
    return orjson.dumps({"result": result, "success": True, "errors": [], "messages": []})


def padding(octet: int) -> str:
    """A meaningless string, between 5 and 33 long."""
    return PADDING[: 5 + octet % (len(PADDING) - 4)]


def _frame(data: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"


def _object(content: bytes) -> dict[str, Any]:
    if not content:
        raise Refusal(400, 3003, "AiError: Missing headers or body")
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise _bad_input(f"failed to decode JSON: {error}") from error
    if not isinstance(body, dict):
        raise _bad_input(f"Type mismatch of '/', '{_type_name(body)}' not in 'object'")
    return body


def _bad_input(text: str) -> Refusal:
    return Refusal(400, 5006, f"AiError: Bad input: Error: {text}")


def _check_branch(body: dict[str, Any]) -> None:
    """The root is one of a prompt body and a messages body, told apart by the required key."""
    matches = ("prompt" in body) + ("messages" in body)
    if matches == 0:
        raise _bad_input(
            "oneOf at '/' not met, 0 matches: required properties at '/' are 'prompt',"
            " required properties at '/' are 'messages'"
        )
    if matches == 2:
        raise _bad_input("oneOf at '/' not met, 2 matches")


def _check_types(body: dict[str, Any]) -> None:
    for key, expected in OTHER_TYPES.items():
        if key in body:
            _check_type(body[key], f"/{key}", expected)
    if body.get("prompt") == "":
        raise _bad_input("Length of '/prompt' must be >= 1")
    form = body.get("response_format", {})
    if form and form.get("type") not in FORMATS:
        raise _bad_input("'/response_format/type' not in 'json_object','json_schema'")
    for index, tool in enumerate(body.get("tools", [])):
        _check_tool(tool, f"/tools/{index}")


def _check_ranges(body: dict[str, Any]) -> None:
    for key, allowed in RANGES.items():
        if key not in body:
            continue
        value = body[key]
        _check_type(value, f"/{key}", allowed.kind)
        if allowed.low is not None and value < allowed.low:
            raise _bad_input(f"'/{key}' must be >= {allowed.low:g}")
        if allowed.high is not None and value > allowed.high:
            raise _bad_input(f"'/{key}' must be <= {allowed.high:.10g}")


def _check_type(value: Any, place: str, expected: str) -> None:
    actual = _type_name(value)
    if actual != expected and not (expected == "number" and actual == "integer"):
        raise _bad_input(f"Type mismatch of '{place}', '{actual}' not in '{expected}'")


def _check_tool(tool: Any, place: str) -> None:
    _check_type(tool, place, "object")
    described = tool.get("function", tool)
    _check_type(described, f"{place}/function", "object")
    missing = [key for key in ("name", "description", "parameters") if key not in described]
    if missing:
        raise _bad_input(
            f"oneOf at '{place}' not met, 0 matches: required properties at '{place}' are 'name,description,parameters',"
            f" required properties at '{place}' are 'type,function'"
        )


def _type_name(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return names.get(type(value), "null")


def _turns(body: dict[str, Any]) -> tuple[Turn, ...]:
    if "prompt" in body:
        return (Turn("user", body["prompt"]),)
    return tuple(_turn(message, f"/messages/{index}") for index, message in enumerate(body["messages"]))


def _turn(message: Any, place: str) -> Turn:
    _check_type(message, place, "object")
    role = message.get("role", "user")
    _check_type(role, f"{place}/role", "string")
    _check_call_id(message.get("tool_call_id"), place)
    content = message.get("content", "")
    if isinstance(content, str):
        return Turn(role, content)
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        raise _bad_input(f"Type mismatch of '{place}/content', '{_type_name(content)}' not in 'string'")
    return _turn_of_parts(role, content, f"{place}/content")


def _turn_of_parts(role: str, parts: list[Any], place: str) -> Turn:
    texts: list[str] = []
    images: list[bytes] = []
    for index, part in enumerate(parts):
        _check_type(part, f"{place}/{index}", "object")
        if isinstance(part.get("image_url"), dict):
            images.append(_image(part["image_url"].get("url", "data:"), f"{place}/{index}/image_url/url"))
        texts += [part["text"]] if isinstance(part.get("text"), str) else []
    return Turn(role, "\n".join(texts), tuple(images))


def _image(url: Any, place: str) -> bytes:
    _check_type(url, place, "string")
    if not url.startswith("data"):
        raise _bad_input(f"'{place}' does not match pattern '^data:*'")
    return of_data_uri(url)


def _check_call_id(call_id: Any, place: str) -> None:
    """The pattern [a-zA-Z0-9]{9} is not anchored: any run of nine will do."""
    if call_id is None:
        return
    _check_type(call_id, f"{place}/tool_call_id", "string")
    runs = "".join(character if character.isascii() and character.isalnum() else " " for character in call_id).split()
    if max(map(len, runs), default=0) < ID_CHARACTERS:
        raise _bad_input(f"'{place}/tool_call_id' does not match pattern '[a-zA-Z0-9]{{9}}'")


def _sampling(body: dict[str, Any]) -> Sampling:
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


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    if "guided_json" in body:
        return dict(body["guided_json"])
    form = body.get("response_format")
    if form is None:
        return None
    schema = form.get("json_schema") or {}
    # OpenAI's envelope {name, schema} is taken too: some callers send it, and the service leaves the key unconstrained.
    inner = schema.get("schema", schema) if isinstance(schema, dict) else {}
    return dict(inner) if isinstance(inner, dict) else {}


def _check_context(prompt: Prompt) -> None:
    wanted = count_prompt(prompt.turns) + (prompt.sampling.max_tokens or 0)
    if wanted > CONTEXT:
        raise Refusal(
            413,
            5021,
            f"AiError: The estimated number of input and maximum output tokens ({wanted}) exceeded this model context"
            f" window limit ({CONTEXT}).",
        )
