"""Requests of the Gemini API, `POST /v1beta/models/{model}:generateContent` and
`:streamGenerateContent`.

What surprises: the path says whether to stream, and the query in which form (`alt=sse`, else one
JSON array); JSON mode is a media type.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from harness.simulator.apis.gemini.checks import (
    Range,
    check_enum,
    check_ranges,
    invalid_request,
    invalid_value,
    parse_flag,
    parse_json_object,
    parse_list,
    parse_message,
    parse_text,
)
from harness.simulator.apis.gemini.contents import (
    parse_functions,
    parse_json_schema,
    parse_tool_choice,
    parse_turns,
)
from harness.simulator.model.tokenizer import count_prompt
from harness.simulator.model.types import Prompt, Sampling

CONTEXT = 1_048_576
DEFAULT_TEMPERATURE = 1.0
MAX_STOPS = 5

ResponseForm = Literal["whole", "events", "array"]

TOP = (
    *(
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
        "safetySettings",
        "cachedContent",
        "labels",
    ),
    *("serviceTier", "store", "model"),
)
RANGES: dict[str, Range] = {
    "temperature": Range("TYPE_FLOAT", 0, 2),
    "topP": Range("TYPE_FLOAT", 0, 1),
    "topK": Range("TYPE_INT32", 1),
    "candidateCount": Range("TYPE_INT32", 1, 8),
    "maxOutputTokens": Range("TYPE_INT32", 1),
    "seed": Range("TYPE_INT32", -(2**31), 2**31 - 1),
    "presencePenalty": Range("TYPE_FLOAT", -2, 2, open_end=True),
    "frequencyPenalty": Range("TYPE_FLOAT", -2, 2, open_end=True),
    "logprobs": Range("TYPE_INT32", 0, 20),
}
GENERATION = (
    *RANGES,
    *(
        "stopSequences",
        "responseLogprobs",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "thinkingConfig",
    ),
    *("responseModalities", "mediaResolution"),
)
MIME_TYPES = ("text/plain", "application/json")
LEVELS = ("MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH")


class Request(NamedTuple):
    """A parsed request: what to answer, how often, and in which form; `thoughts` includes the
    thoughts."""

    prompt: Prompt
    choices: int
    form: ResponseForm
    thoughts: bool


def parse_request(content: bytes, model: str, form: ResponseForm) -> Request:
    """Validate a body; raises `ApiError`."""
    body = parse_message(parse_json_object(content), TOP, "")
    config = parse_message(body.get("generationConfig", {}), GENERATION, "generation_config")
    check_ranges(config, RANGES, "generation_config")
    thinks, shown = _parse_thinking(config)
    prompt = Prompt(
        model,
        parse_turns(body, thinking=thinks),
        _parse_sampling(config),
        _response_schema(config),
        functions=(offered := parse_functions(body)),
        tool_choice=parse_tool_choice(body, offered),
        reasoning=thinks,
        logprobs=_parse_logprobs(config),
    )
    count = count_prompt(prompt.turns, prompt.functions)
    if count > CONTEXT:
        raise invalid_request(
            f"The input token count ({count}) exceeds the maximum number of tokens allowed"
            f" ({CONTEXT})."
        )
    return Request(prompt, int(config.get("candidateCount", 1)), form, shown)


def _parse_sampling(config: dict[str, Any]) -> Sampling:
    stops = parse_list(config.get("stopSequences"), "generation_config.stop_sequences")
    if len(stops) > MAX_STOPS:
        raise invalid_value(
            "generation_config.stop_sequences",
            f"the number of stop sequences must not exceed {MAX_STOPS}.",
        )
    if not all(stops):
        raise invalid_value("generation_config.stop_sequences", "stop sequences must not be empty.")
    return Sampling(
        temperature=float(config.get("temperature", DEFAULT_TEMPERATURE)),
        top_k=_to_integer(config.get("topK")),
        top_p=config.get("topP"),
        seed=_to_integer(config.get("seed")),
        max_tokens=_to_integer(config.get("maxOutputTokens")),
        stop=tuple(parse_text(stop, "generation_config.stop_sequences") for stop in stops),
        frequency_penalty=float(config.get("frequencyPenalty", 0)),
        presence_penalty=float(config.get("presencePenalty", 0)),
    )


def _to_integer(value: float | None) -> int | None:
    return None if value is None else int(value)


def _response_schema(config: dict[str, Any]) -> dict[str, Any] | None:
    mime = (
        parse_text(config.get("responseMimeType"), "generation_config.response_mime_type")
        or MIME_TYPES[0]
    )
    if mime not in MIME_TYPES:
        raise invalid_value(
            "generation_config.response_mime_type",
            f"allowed mimetypes are {', '.join(MIME_TYPES)}.",
        )
    given = [
        (name, config[name]) for name in ("responseSchema", "responseJsonSchema") if name in config
    ]
    if len(given) > 1:
        raise invalid_request("Only one of response_schema and response_json_schema may be set.")
    if given and mime != "application/json":
        raise invalid_value(
            "generation_config.response_schema",
            "only allowed when response_mime_type is `application/json`.",
        )
    if mime != "application/json":
        return None
    return parse_json_schema(given[0][1], "generation_config.response_schema") if given else {}


def _parse_thinking(config: dict[str, Any]) -> tuple[bool, bool]:
    """Whether to think, and whether to include the thoughts."""
    place = "generation_config.thinking_config"
    fields = parse_message(
        config.get("thinkingConfig", {}),
        ("includeThoughts", "thinkingBudget", "thinkingLevel"),
        place,
    )
    check_ranges(fields, {"thinkingBudget": Range("TYPE_INT32", -1, 32768)}, place)
    if "thinkingBudget" in fields and "thinkingLevel" in fields:
        raise invalid_request("You can only set one of thinking budget and thinking level.")
    if "thinkingLevel" in fields:
        check_enum(
            fields["thinkingLevel"],
            LEVELS,
            f"{place}.thinking_level",
            "ThinkingConfig.ThinkingLevel",
        )
    thinks = bool(fields) and fields.get("thinkingBudget") != 0
    shown = parse_flag(fields.get("includeThoughts"), f"{place}.include_thoughts")
    if shown and not thinks:
        raise invalid_request(
            "Thinking_config.include_thoughts is only enabled when thinking is enabled."
        )
    return thinks, shown


def _parse_logprobs(config: dict[str, Any]) -> int | None:
    """How many alternatives to report for each token; None without log probabilities."""
    asked = parse_flag(config.get("responseLogprobs"), "generation_config.response_logprobs")
    if "logprobs" in config and not asked:
        raise invalid_value(
            "generation_config.logprobs", "only allowed when response_logprobs is true."
        )
    return int(config.get("logprobs", 0)) if asked else None
