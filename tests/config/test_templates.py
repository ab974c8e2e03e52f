"""Templates: text in, text out; values stay values; and nothing a template says costs more than a
render may."""

import re
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config.diagnostics import Place
from harness.config.templates import (
    TemplateError,
    Verbatim,
    compile_template,
    find_comments,
    render_arguments,
)


def test_variables_are_filled_in_and_the_trailing_newline_stays() -> None:
    assert compile_template("Hello {{ name }}!\n").render({"name": "Ann"}) == "Hello Ann!\n"


def test_plain_text_is_itself() -> None:
    assert compile_template("{ no template } % #").render({}) == "{ no template } % #"


def test_if_for_and_filters_work() -> None:
    template = compile_template(
        "{% for x in items if x > 1 %}{{ loop.index }}:{{ x }} {% endfor %}{{ name | upper }}"
    )
    assert template.render({"items": [1, 2, 3], "name": "ann"}) == "1:2 2:3 ANN"


def test_tojson_writes_json_a_model_can_read() -> None:
    assert (
        compile_template("{{ order | tojson }}").render({"order": {"name": "Bär & <Söhne>"}})
        == '{"name": "Bär & <Söhne>"}'
    )


@given(st.text())
def test_data_is_never_read_as_a_template(text: str) -> None:
    assert compile_template("{{ x }}").render({"x": text}) == text
    assert (
        compile_template("{{ x }}|{{ y | default('') }}").render({"x": text, "y": text})
        == f"{text}|{text}"
    )


@pytest.mark.parametrize(
    "hostile", ["{{ 7 * 7 }}", "{0.__class__}", "{% for x in y %}", "{# #}", "%s"]
)
def test_template_syntax_in_data_stays_text(hostile: str) -> None:
    assert compile_template("{{ answer }}").render({"answer": hostile}) == hostile
    assert render_arguments({"value": "{{ expected }}"}, {}, hostile) == {"value": hostile}


@pytest.mark.parametrize("value", [None, True, 3, 2.5, "text", ["a", 1], {"k": [1, {"x": None}]}])
def test_an_argument_that_is_one_expression_passes_the_value_itself(value: Any) -> None:
    assert render_arguments({"value": "{{ expected }}"}, {}, value)["value"] == value
    assert (
        render_arguments({"value": "{{ order['x'] }}"}, {"order": {"x": value}}, None)["value"]
        == value
    )


def test_an_argument_with_more_than_the_expression_is_text() -> None:
    assert render_arguments({"value": "<{{ expected }}>"}, {}, 3) == {"value": "<3>"}


def test_arguments_are_filled_in_at_any_depth_but_not_in_what_came_from_a_file() -> None:
    arguments = {"list": [{"deep": "{{ n }}"}], "schema": Verbatim({"pattern": "{{ n }}"})}
    assert render_arguments(arguments, {"n": 1}, None) == {
        "list": [{"deep": 1}],
        "schema": {"pattern": "{{ n }}"},
    }


def test_a_template_knows_its_variables_and_which_may_be_missing() -> None:
    template = compile_template(
        "{{ a }} {% if b is defined %}{{ b }}{% endif %} {{ c | default('x') }} {% for d in a %}{{ d }}{% endfor %}"
    )
    assert template.variables == {"a"}
    assert template.optional == {"b", "c"}
    assert template.render({"a": ""}) == "  x "


def test_an_undefined_variable_is_a_sentence_with_its_line() -> None:
    template = compile_template("one\ntwo {{ tickt }}\n", Place("prompt.md", 10))
    with pytest.raises(TemplateError) as caught:
        template.render({"ticket": "x"})
    assert (
        str(caught.value)
        == "prompt.md:11: in the template: 'tickt' is undefined; did you mean `ticket`?"
    )


def test_an_undefined_attribute_is_a_sentence_too() -> None:
    with pytest.raises(TemplateError, match=r"p\.md:2: in the template: there is no key `zip`"):
        compile_template("\n{{ user.zip }}", Place("p.md", 1)).render({"user": {}})
    with pytest.raises(TemplateError, match="'nothing' is undefined"):
        compile_template("{{ nothing }}").value({})


def test_a_syntax_error_is_told_where_it_stands() -> None:
    with pytest.raises(TemplateError, match=r"^p\.md:6: in the template: Expected an expression"):
        compile_template("one\n{% for x in %}", Place("p.md", 5))
    with pytest.raises(TemplateError, match="No filter named 'uper'"):
        compile_template("{{ x | uper }}")


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ x.__init__.__globals__ }}",
        "{{ x | attr('__class__') }}",
        "{{ '%s' % x }}",
        "{{ '{0.__class__}'.format(x) }}",
        "{{ x.append(1) }}",
        "{{ cycler.__init__.__globals__ }}",
        "{% include '/etc/passwd' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for a in x recursive %}{{ loop(x) }}{% endfor %}",
        "{% set x %}{{ x }}{% endset %}",
    ],
)
def test_what_leads_out_of_plain_data_is_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        compile_template(text).render({"x": ["data"]})


BOMBS = [
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
    "{% for i in range(10**9) %}{% endfor %}",
    "{{ 'x' * 10**9 }}",
    "{{ [0] * 10**9 }}",
    "{{ 9 ** (9 ** 9) }}",
    "{{ 'x' | indent(10**9) }}",
    "{{ 'a\nb' | indent('x' * 90000) | indent('x' * 10000000) }}",
    "{{ ('x' * 90000) | replace('x', 'y' * 90000) }}",
    "{{ ('x' * 90000).replace('x', 'y' * 90000) }}",
    "{{ ('x' * 90000) | join('y' * 90000) }}",
    "{{ ('y' * 90000).join('x' * 90000) }}",
    "{{ 'x'.ljust(10**9) }}",
    "{{ 'x'.center(10**9) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '{:>1000000000}'.format(1) }}",
    "{{ 5 | round(-10**9) }}",
    "{{ x | center(10**9) }}",
    "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a ~ a ~ a ~ a %}" * 40 + "{{ a }}",
    "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a + a %}" * 40 + "{{ a }}",
    "{% set a = [1] %}" + "{% set a = [a, a, a] %}" * 40 + "{{ a }}",
    "{% set a = [1] %}" + "{% set a = {'x': a, 'y': a} %}" * 40 + "{{ a == a }}",
    "{% set a = 3 %}" + "{% set a = a * a %}" * 60 + "{{ a }}",
    "{% for i in x %}{% for j in x %}{% for k in x %}{% for l in x %}{{ i }}{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for i in range(90000) %}{{ big }}{% endfor %}",
    "{{ big }}" * 100,
    "{{ x | tojson(indent=10**9) if false else ('y' * 10**8) }}",
    "{% for i in range(90000) %}{% if 'zz' in big %}{% endif %}{% endfor %}",
    "{% for i in range(90000) %}{% if big == other %}{% endif %}{% endfor %}",
    "{% for i in range(90000) %}{% set a = big[1:] %}{% endfor %}",
    "{% for i in range(90000) %}{% set a = range(99999) | join %}{% endfor %}",
    "{% for i in range(90000) %}{% set a = x | select('in', big) | list %}{% endfor %}",
    "{% for i in range(90000) %}{{ i | string | upper | lower | trim }}{% endfor %}",
    "{% for i in range(90000) %}{{ i }}" + "{{ i + 1 }}" * 500 + "{% endfor %}",
    "{{ big | title }}{{ big | title }}",
    "{{ big | urlencode }}{{ big | wordcount }}{{ big | urlencode }}",
    "{{ range(99999) | map('string') | map('title') | join }}",
    "{{ nested | tojson(indent=8) }}",
    "{{ q }}" * 10_000,
    "{{ 1" + " + 1" * 15_000 + " }}",
    "{{ 1" + "0" * 100_000 + " }}",
    "{% for i in range(90000) %}{{ long_number // 3 }}{% endfor %}",
    "{% for i in range(90000) %}{% set a = long_number | string %}{% endfor %}",
    "{% for i in range(90000) %}{% for j in x %}{{ loop.cycle(1, 2) }}{% endfor %}{% endfor %}",
    "{% for i in range(90000) %}{{ loop.changed(big) }}{% endfor %}",
    "{% for i in range(200) %}{% set a = words | sort %}{% endfor %}",
    "{% for i in range(200) %}{% set a = words | unique | list %}{% endfor %}",
    "{% for i in range(200) %}{% set a = rows | groupby('n') %}{% endfor %}",
    "{% for i in range(200) %}{% set a = rows | tojson %}{% endfor %}",
    "{% for i in range(200) %}{% set a = lines | indent(8) %}{% endfor %}",
    "{{ lines | indent(10**6) }}",
    "{{ big.replace('', big) }}",
    "{{ [big] * 1000 | int }}",
    "{{ lines | wordwrap(1) }}",
    "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
    "{% for i in x recursive %}{{ loop(x) }}{% endfor %}",
    "{% for a in x %}" * 90 + "{% endfor %}" * 90,
    "{{ big is in(other) }}" * 30,
]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("text", BOMBS, ids=range(len(BOMBS)))
def test_a_bomb_is_refused_before_it_goes_off(text: str) -> None:
    big, nested = "x" * 1_000_000, [list(range(9_000))]
    for _ in range(300):
        nested = [nested]
    more = {
        "long_number": 10**4_000,
        "words": [str(number) for number in range(50_000)],
        "rows": [{"n": number % 100} for number in range(10_000)],
        "lines": "a\n" * 300_000,
    }
    began = process_time()
    with pytest.raises(TemplateError) as told:
        compile_template(text, Place("suite.yaml", 7)).render(
            {
                "x": list(range(200)),
                "q": "",
                "big": big,
                "other": "x" * 1_000_000,
                "nested": nested,
                **more,
            }
        )
    assert str(told.value).startswith("suite.yaml:")
    assert process_time() - began < 5  # about a second; the rest is for a slow machine


def test_a_bomb_in_an_expression_that_passes_its_value_is_refused_too() -> None:
    with pytest.raises(TemplateError, match="more work than a template may"):
        compile_template("{{ 'x' * 10**9 }}").value({})


TAKEN = {
    "order": {"items": ["lamp", 2], "keys": True, "update": None, "size": {"w": 1.5}},
    "empty": {},
    "yes": True,
    "none": None,
    "rows": [{"copy": "a", "count": 1}, {"copy": "b", "count": 2}],
}


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("{{ order.items }}", '["lamp", 2]'),
        ("{{ order['items'] }} {{ order.items[0] }} {{ order.update }}", '["lamp", 2] lamp null'),
        ("{% for name in order.keys() %}{{ name }},{% endfor %}", "items,keys,update,size,"),
        ("{% for key, value in empty.items() %}x{% endfor %}{{ order.size.w }}", "1.5"),
        ("{{ rows | map(attribute='copy') | join('+') }}", "a+b"),
        ("{{ rows | selectattr('count', '>', 1) | list }}", '[{"copy": "b", "count": 2}]'),
        (
            "{% for g in rows | groupby('count') %}{{ g.grouper }}{{ g.list }}{% endfor %}",
            '1[{"copy": "a", "count": 1}]2[{"copy": "b", "count": 2}]',
        ),
        ("{% if empty.items is defined %}x{% endif %}{{ empty.pop | default('none') }}", "none"),
        ("{{ yes }} {{ none }} {{ order.size }}", 'true null {"w": 1.5}'),
        ("{{ 'is ' ~ yes ~ none ~ [1, none] }}", "is truenull[1, null]"),
        ("{{ [yes, none, 1.0, 'a'] | join('|') }} {{ yes | upper }}", "true|null|1.0|a TRUE"),
        ("{{ order.keys | string }} {{ rows | map(attribute='count') }}", "true [1, 2]"),
        ("{{ range(3) }} {{ empty.keys() }} {{ 'a b'.split() }}", '[0, 1, 2] [] ["a", "b"]'),
        ("{% for x in rows %}{{ loop.index }}/{{ loop.length }} {% endfor %}", "1/2 2/2 "),
    ],
)
def test_keys_win_over_methods_and_what_is_written_is_json(text: str, rendered: str) -> None:
    assert compile_template(text).render(TAKEN) == rendered


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ order.title }}", "there is no key `title`; the keys are `items`, `keys`, `update`"),
        (
            "{% for x in empty.items %}{% endfor %}",
            "there is no key `items`; the mapping is empty; for the method, write `items()`",
        ),
        ("{{ 'text'.upper }}", '"text" has no `upper`; for the method, write `upper()`'),
        ("{{ rows[0].name }}", "there is no key `name`; the keys are `copy`, `count`"),
        ("{{ rows[5] }}", "there is no item 5: the list has 2, counted from 0"),
        ("{{ range }}", "cannot be written as text"),
        ("{% for x in rows %}{{ loop }}{% endfor %}", "cannot be written as text"),
        ("{{ [rows[0].nope] }}", "there is no key `nope`"),
        ("{{ none.name }}", "null has no `name`"),
        ("{% for x in none %}{% endfor %}", "`for` needs a list, not null"),
        ("{{ yes + 'x' }}", "the template failed: TypeError"),
        ("{{ 1 // 0 }}", "the template failed: ZeroDivisionError"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(text: str, said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(text).render(TAKEN)
    assert said in caught.value.message


def test_an_argument_that_is_lazy_is_passed_as_a_list() -> None:
    assert compile_template("{{ xs | map('upper') }}").value({"xs": ["a"]}) == ["A"]


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("Rules: {#a} is red and {#b#} blue", [(1, "{#a} is red and {#b#}")]),
        ("one\n{# Set} x {#end#}\n{# a comment #}{#- another -#}", [(2, "{# Set} x {#end#}")]),
        ("{% raw %}{#a#}{% endraw %}{{ '{#a#}' }}", []),
        ("{#a} never ends", []),
    ],
)
def test_a_comment_that_was_hardly_meant_is_found(text: str, cut: list[tuple[int, str]]) -> None:
    assert list(find_comments(text)) == cut


def test_a_text_that_is_no_template_learns_how_to_be_sent_as_it_is() -> None:
    for text in ('{{"a": 1}}', "{#a} never ends", "\\frac{{a}}{{b}", "{% x %}"):
        with pytest.raises(TemplateError, match=r"put them between `{% raw %}` and `{% endraw %}`"):
            compile_template(text)


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(TemplateError, match="nested too deeply"):
        compile_template("{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}")


def test_honest_work_fits_the_budget() -> None:
    document = "word " * 100_000
    assert (
        len(
            compile_template("{{ document }}\n{{ document | upper }}").render(
                {"document": document}
            )
        )
        == 1_000_001
    )
    rows = [{"n": n} for n in range(5_000)]
    assert (
        compile_template("{% for row in rows %}{{ row.n }},{% endfor %}")
        .render({"rows": rows})
        .startswith("0,1,2,")
    )
    assert (
        compile_template("{{ names | map('upper') | join(', ') }}").render({"names": ["a", "b"]})
        == "A, B"
    )


def test_each_render_has_an_account_of_its_own() -> None:
    template = compile_template("{{ x | upper }}")
    for _ in range(50):
        assert len(template.render({"x": "y" * 1_000_000})) == 1_000_000


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("order.id", 7, "7"),
        ("order['two words']", None, "null"),
        ("order.items[0].sku", "é", "é"),
        ("order.items[-1]", {"sku": "b"}, '{"sku": "b"}'),
        ("order.id.real", "7 has no `real`", ""),
        ("order.items.sku", "has no `sku`", ""),
        ("order.keys", "there is no key `keys`; the keys are `id`, `two words`, `items`", ""),
        ("order.items[2]", "there is no item 2: the list has 2, counted from 0", ""),
    ],
)
def test_parts_of_variables_are_read_without_jinja(path: str, value: object, text: str) -> None:
    order = {"id": 7, "two words": None, "items": [{"sku": "é"}, {"sku": "b"}]}
    alone, within = compile_template(f"{{{{ {path} }}}}"), compile_template(f"<{{{{ {path} }}}}>")
    assert not alone.is_plain
    if text:
        assert alone.value({"order": order}) == value
        assert (alone.render({"order": order}), within.render({"order": order})) == (
            text,
            f"<{text}>",
        )
        return
    for fill in (alone.value, alone.render, within.render):
        for _ in range(2):
            with pytest.raises(TemplateError, match=re.escape(str(value))):
                fill({"order": order})
