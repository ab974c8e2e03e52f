"""The shipped evals hold what they claim: every expected answer is derived a second time, from the
question alone.

Reads the files itself, without the suite loader, so that a fault in the loader cannot hide one in
the data.
"""

import ast
import json
import re
from collections import Counter
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import jinja2
import jsonschema
import pytest
import yaml

EVALS = Path(__file__).parents[2] / "evals"
COUNTS = {"arithmetic": 120, "triage": 60, "extraction": 40, "shapes": 57}
QUEUES = {"billing", "shipping", "returns", "technical", "account", "sales"}

Case = dict[str, Any]


def load_cases(name: str) -> list[Case]:
    lines = (EVALS / name / "cases.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def load_eval(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((EVALS / name / "eval.yaml").read_text("utf-8"))
    return loaded


def texts(case: Case) -> list[str]:
    return [value for value in case["vars"].values() if isinstance(value, str)]


def every_case(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "case", [pytest.param(case, id=case["id"]) for case in load_cases(name)]
    )


# Every eval


@pytest.mark.parametrize("name", COUNTS)
def test_every_file_an_eval_names_is_there(name: str) -> None:
    spec = load_eval(name)
    named = [prompt["file"] for prompt in spec["prompts"]] + spec["cases"]
    named += [grader["json_schema"] for grader in spec["graders"] if "json_schema" in grader]
    named += [spec["response_format"]["schema"]] if "response_format" in spec else []
    assert all((EVALS / name / file).is_file() for file in named)


@pytest.mark.parametrize("name", COUNTS)
def test_an_eval_has_its_number_of_cases_each_with_its_own_id_and_its_own_question(
    name: str,
) -> None:
    cases = load_cases(name)
    assert len(cases) == COUNTS[name]
    assert len({case["id"] for case in cases}) == len(cases)
    assert len({json.dumps(case["vars"]) for case in cases}) == len(cases)


@pytest.mark.parametrize("name", COUNTS)
def test_a_case_has_only_the_known_keys_and_at_least_one_tag(name: str) -> None:
    for case in load_cases(name):
        assert (
            {"id", "vars", "expected", "tags"}
            <= case.keys()
            <= {"id", "vars", "expected", "tags", "metadata"}
        )
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", case["id"])
        assert case["tags"]
        assert len(set(case["tags"])) == len(case["tags"]), case["id"]


@pytest.mark.parametrize("name", COUNTS)
def test_some_cases_are_tagged_hard_and_most_are_not(name: str) -> None:
    hard = [case for case in load_cases(name) if "hard" in case["tags"]]
    assert 0.1 <= len(hard) / COUNTS[name] <= 0.4


@pytest.mark.parametrize("name", COUNTS)
def test_the_readme_states_every_tag_and_how_many_cases_carry_it(name: str) -> None:
    section = (EVALS / "README.md").read_text("utf-8").split(f"\n## {name}\n")[1].split("\n## ")[0]
    stated = {tag: int(n) for tag, n in re.findall(r"`([a-z0-9-]+)` (\d+)", section)}
    assert stated == Counter(tag for case in load_cases(name) for tag in case["tags"])


@pytest.mark.parametrize("name", COUNTS)
def test_every_prompt_renders_with_every_case_and_shows_the_whole_question(name: str) -> None:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    prompts = load_eval(name)["prompts"]
    assert len(prompts) == 2
    for prompt in prompts:
        template = environment.from_string((EVALS / name / prompt["file"]).read_text("utf-8"))
        for case in load_cases(name):
            rendered = template.render(case["vars"])
            assert all(value in rendered for value in texts(case))


@pytest.mark.parametrize("name", COUNTS)
def test_a_prompt_ends_in_the_one_user_turn_and_no_case_could_open_another(name: str) -> None:
    turn = re.compile(r"^# (system|user|assistant)$", re.MULTILINE)
    for prompt in load_eval(name)["prompts"]:
        text = (EVALS / name / prompt["file"]).read_text("utf-8")
        assert turn.findall(text) in (["user"], ["system", "user"])
        assert text.startswith("# ")
    assert not any(turn.search(value) for case in load_cases(name) for value in texts(case))


# arithmetic

BARE_EXPRESSION = re.compile(
    r"(?:(?:What is|Compute|Calculate|Evaluate|Work out) )?([-+×÷*/().,\d\s]+?)[?.=\s]*"
)
# Numbers that a question gives in words, or takes for granted.
WORDS = {
    "dozen": 12,
    "%": 100,
    "percentage": 100,
    "minutes": 60,
    "three coffees": 3,
    "Monday, Wednesday and Friday": 3,
    "Mei, Tariq and Luca": 3,
}


def evaluate(expression: str) -> Fraction:
    """The exact value of an expression of numbers, + - * / × ÷ and parentheses, by Python's own
    precedence."""
    plain = expression.replace("×", "*").replace("÷", "/").replace(",", "")
    return value_of(ast.parse(plain.strip(), mode="eval").body)


def value_of(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int() | float() as number):
            return Fraction(repr(number))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -value_of(operand)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return value_of(left) + value_of(right)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return value_of(left) - value_of(right)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return value_of(left) * value_of(right)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return value_of(left) / value_of(right)
    raise ValueError(f"not arithmetic: {ast.unparse(node)}")


def numbers_in(text: str) -> set[Fraction]:
    return {Fraction(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:\.\d+)?", text)}


def is_bare_expression(case: Case) -> bool:
    return BARE_EXPRESSION.fullmatch(case["vars"]["question"]) is not None


def test_the_evaluator_knows_precedence_and_exact_decimals() -> None:
    assert evaluate("2 + 3 × 4") == 14
    assert evaluate("81 ÷ 9 × 3") == 27
    assert evaluate("-6.5 - (-2.25)") == Fraction(-17, 4)
    assert evaluate("0.1 + 0.2") == Fraction(3, 10)


@every_case("arithmetic")
def test_an_arithmetic_answer_is_what_its_question_or_its_working_comes_to(case: Case) -> None:
    bare = BARE_EXPRESSION.fullmatch(case["vars"]["question"])
    expression = bare[1] if bare else case["metadata"]["working"]
    assert Fraction(repr(case["expected"])) == evaluate(expression)


@pytest.mark.parametrize(
    "case",
    [c for c in load_cases("arithmetic") if not is_bare_expression(c)],
    ids=lambda c: c["id"],
)
def test_the_working_of_a_question_in_words_uses_only_numbers_the_question_gives(
    case: Case,
) -> None:
    question, working = case["vars"]["question"], case["metadata"]["working"]
    given = numbers_in(question) | {
        Fraction(value) for word, value in WORDS.items() if word in question
    }
    whole = {Fraction(1)}  # as in 1 + 20 / 100, "increased by 20%"
    assert numbers_in(working) <= given | whole


def test_most_arithmetic_questions_are_checked_without_trusting_a_written_working() -> None:
    bare = [case for case in load_cases("arithmetic") if is_bare_expression(case)]
    assert len(bare) >= 80
    assert not any("metadata" in case for case in bare)


@every_case("arithmetic")
def test_an_arithmetic_tag_tells_the_truth(case: Case) -> None:
    numbers = [case["vars"]["question"], str(case["expected"])]
    has_decimals = any(re.search(r"\d\.\d", text) for text in numbers)
    assert ("decimal" in case["tags"]) == has_decimals
    if "large" in case["tags"]:
        assert max(numbers_in(" ".join(numbers))) >= 1000
    if "negative" in case["tags"]:
        assert any(re.search(r"(^|\D)-\d", text) for text in numbers)


# triage


def test_every_queue_has_ten_tickets_two_of_them_hard() -> None:
    cases = load_cases("triage")
    assert Counter(case["expected"] for case in cases) == dict.fromkeys(QUEUES, 10)
    assert Counter(case["expected"] for case in cases if "hard" in case["tags"]) == dict.fromkeys(
        QUEUES, 2
    )


@every_case("triage")
def test_a_ticket_is_tagged_with_its_own_queue_and_with_no_other(case: Case) -> None:
    assert QUEUES & set(case["tags"]) == {case["expected"]}
    assert case["id"].startswith(case["expected"] + "-")


@pytest.mark.parametrize("prompt", ["terse.md", "v2.md"])
def test_a_triage_prompt_names_every_queue(prompt: str) -> None:
    text = (EVALS / "triage" / prompt).read_text("utf-8")
    assert all(re.search(rf"\b{queue}\b", text) for queue in QUEUES)


def test_the_graders_queues_are_the_datas_queues() -> None:
    named = [
        set(grader["one_of"]) for grader in load_eval("triage")["graders"] if "one_of" in grader
    ]
    assert named == [QUEUES]


# extraction

SCHEMA: dict[str, Any] = json.loads((EVALS / "extraction" / "schema.json").read_text("utf-8"))
CURRENCY_SIGNS = {
    "EUR": ("EUR", "€", "euro"),
    "USD": ("USD", "$", "dollar"),
    "GBP": ("GBP", "£"),
    "CHF": ("CHF",),
    "JPY": ("JPY", "¥", "yen"),
    "CAD": ("CAD", "C$"),
}


def date_forms(day: date) -> set[str]:
    """The ways our texts write a date, in lower case: 2025-03-09, 09.03.2025, 9 March 2025, Mar 9,
    2025 and the like."""
    forms = {day.isoformat(), f"{day:%Y/%m/%d}", f"{day:%d.%m.%Y}", f"{day:%d/%m/%Y}"}
    months = [f"{day:%B}", f"{day:%b}", {7: "juillet"}.get(day.month, f"{day:%B}")]
    for month in months:
        forms |= {f"{day.day} {month} {day.year}", f"{day.day}th of {month} {day.year}"}
        forms |= {f"{month} {day.day}, {day.year}", f"{month} {day.day} {day.year}"}
    return {form.lower() for form in forms}


def amount_forms(amount: float) -> set[str]:
    """The ways our texts write an amount: 1,349.00, 1349.00 and 1.349,00, and 1,349 where there are
    no cents."""
    grouped = f"{amount:,.2f}"
    forms = {grouped, grouped.replace(",", ""), grouped.translate(str.maketrans(",.", ".,"))}
    return forms | {form[:-3] for form in forms if form.endswith("00")}


def currencies_in(text: str) -> set[str]:
    """Every currency a text has a sign of; the dollar of C$ is not a US dollar."""
    found = {
        code
        for code, signs in CURRENCY_SIGNS.items()
        if code != "USD" and any(sign in text for sign in signs)
    }
    without_canadian = text.replace("C$", "")
    return found | {"USD" for sign in CURRENCY_SIGNS["USD"] if sign in without_canadian}


def stands_alone(form: str, text: str) -> bool:
    return re.search(rf"(?<![\w.,]){re.escape(form)}(?!\w|[.,]\d)", text) is not None


def test_the_schema_itself_is_valid_and_closed() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["additionalProperties"] is False
    assert set(SCHEMA["required"]) == set(SCHEMA["properties"])


@every_case("extraction")
def test_an_expected_order_fits_the_schema(case: Case) -> None:
    jsonschema.validate(case["expected"], SCHEMA)


@every_case("extraction")
def test_an_expected_name_product_and_order_number_stand_in_the_text(case: Case) -> None:
    text, expected = case["vars"]["text"], case["expected"]
    first, _, last = expected["name"].rpartition(" ")
    assert expected["name"] in text or f"{last}, {first}" in text
    assert expected["product"] in text
    assert expected["order_id"] is None or stands_alone(expected["order_id"], text)


@every_case("extraction")
def test_an_expected_email_stands_in_the_text_perhaps_spelled_out(case: Case) -> None:
    text, email = case["vars"]["text"], case["expected"]["email"]
    spelled_out = text.replace(" at ", "@").replace(" dot ", ".")
    if email is None:
        assert "@" not in text
    else:
        assert stands_alone(email, text) or stands_alone(email, spelled_out)
        assert email.endswith(".example"), "a reserved domain: nobody can own the address"


@every_case("extraction")
def test_an_expected_date_stands_in_the_text_or_follows_from_a_date_in_it(case: Case) -> None:
    text, metadata = case["vars"]["text"].lower(), case.get("metadata", {})
    stated = expected = date.fromisoformat(case["expected"]["date"])
    if "relative-date" in case["tags"]:
        stated = date.fromisoformat(metadata["anchor"])
        assert stated + timedelta(days=metadata["days"]) == expected
        assert metadata["phrase"].lower() in text
    assert any(stands_alone(form, text) for form in date_forms(stated))


@every_case("extraction")
def test_no_date_in_a_text_can_be_read_with_day_and_month_swapped(case: Case) -> None:
    for day, month in re.findall(r"\b(\d\d)[/.](\d\d)[/.]\d{4}\b", case["vars"]["text"]):
        assert int(day) > 12 or day == month


@every_case("extraction")
def test_an_expected_amount_and_its_currency_stand_in_the_text(case: Case) -> None:
    text, expected = case["vars"]["text"], case["expected"]
    assert any(stands_alone(form, text) for form in amount_forms(expected["amount"]))
    assert currencies_in(text) == {expected["currency"]}


@every_case("extraction")
def test_a_text_is_tagged_missing_exactly_where_a_value_is_null(case: Case) -> None:
    assert ("missing" in case["tags"]) == (None in case["expected"].values())


def test_the_texts_are_of_three_kinds_and_cover_every_currency() -> None:
    cases = load_cases("extraction")
    kinds = [{"email", "receipt", "chat"} & set(case["tags"]) for case in cases]
    assert all(len(kind) == 1 for kind in kinds)
    assert {case["expected"]["currency"] for case in cases} == set(
        SCHEMA["properties"]["currency"]["enum"]
    )
