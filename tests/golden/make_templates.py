"""Writes templates.json: what jinja2 makes of small templates, one or more for
each construct of the language, as tools/render_templates.py sets it up.

Usage: make_templates.py > templates.json

Needs jinja2 of PyPI; the file was made by Python 3.11, whose characters are
those of Unicode 14.
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools"))
from render_templates import NOW, render  # noqa: E402

VARIABLES = {
    "yes": True, "no": False, "nothing": None, "three": 3, "half": 0.5,
    "word": "Hello World", "wide": "Stra\u00dfe \u03a3\u0391\u03a3 \u01c6 \u4f60\u597d \U0001F600",
    "spaces": " \t two  words\u00a0\n", "html": "<a href=\"x\">'&'</a>",
    "numbers": [3, 1, 2, 10], "words": ["b", "A", "c", "a"],
    "empty": [], "mixed": [1, "1", 1.0, True, None, [1, [2]], {"k": "v"}],
    "person": {"name": "Ada", "age": 36, "items": [1], "tags": ["x", "y"]},
    "people": [{"name": "Ada", "age": 36}, {"name": "bob", "age": 20},
               {"name": "Cyd", "age": 20, "job": {"title": "cook"}}],
    "lines": "one\n\n  two\r\nthree\n",
}

# One a line in an expression: `{{ ... }}`.
EXPRESSIONS = r"""
1 + 2 * 3 - 4
7 // 2, -7 // 2, 7 % 3, -7 % 3, 7 / 2, 2 ** 10, 2 ** -1
7.5 // 2, -7.5 % 2, 1e3, 1.5e-7, 1e16, 123456789.123, 0.1 + 0.2
-three, +three, - -three, -2 ** 2
1_000, 0x1F, 0o17, 0b101, 1_0.5
"a" "b" 'c'
"tab\there\n\\ \' \" \x41 \u00e9 \U0001F600 \101 \q"
"a" + "b" ~ 1 ~ none ~ 1.0
"ab" * 3, 2 * "x", [1] * 2, (1, 2) + (3,)
[1, 2] + [3], [], (), (1,), {}, {"a": 1, 'b': [none, true]}
1 < 2 < 3, 1 < 3 < 2, 1 == 1.0, 1 != "1", "a" < "b", [1, 2] < [1, 3]
1 in numbers, 5 not in numbers, "ell" in word, "name" in person, "x" in nothing_at_all
yes and no, yes or no, not yes, nothing or "x", "" and 1, not not 1
"a" if yes else "b", "a" if no else "b", ("a" if no) is defined, "a" if no
word[0], word[-1], word[1:4], word[::-1], word[-5:], word[::2], word[5:1], word[9:2:-3]
wide[0], wide[4], wide[-1], wide[7:10], wide[::-1]
numbers[1], numbers[-1], numbers[1:], numbers[:-1], numbers[::-1], numbers[10:], numbers[-100:2]
numbers.0, numbers[100] is defined, word[100] is defined
person.name, person["name"], person.get("name"), person.get("zip"), person.get("zip", 5)
person.missing, person.missing is defined, person["missing"] is undefined
person.items is defined, person["items"], person.items is mapping
range(5) | list, range(2, 5) | list, range(5, 0, -2) | list, range(0) | list
dict(a=1, b=2), dict([("x", 1)]), dict(person, age=1).age
(1, 2) == (1, 2), [1] == (1,), {"a": 1} == {"a": 1.0}, none == none, missing == other
true, false, none, True, False, None
mixed
wide, [wide], "'", ["'"], ['"'], ["'\""], ["\x00\x7f\u00ad\u200b"]
1.0, 100.0, 1e100, 1e-5, 0.0001, -0.0, 5e-324, 1.7976931348623157e308
" x ".strip() + "|", "xxaxx".strip("x"), "xya".lstrip("xy"), "ayx".rstrip("xy"), spaces.strip()
word.upper(), word.lower(), word.title(), "hELLO".capitalize(), word.swapcase()
wide.upper(), wide.lower(), wide.title(), wide.capitalize(), "\u01c6x".title()
"a,b,,c".split(","), "a,b,c".split(",", 1), "a,b,c".rsplit(",", 1), " a  b ".split(), "a b c".split(none, 1)
" a b  c ".rsplit(none, 1), "".split(), "".split(","), "a--b".split("--")
lines.splitlines(), lines.splitlines(true), "".splitlines()
word.replace("l", "L"), word.replace("l", "L", 1), "abc".replace("", "-"), word.replace("x", "y")
word.startswith("Hell"), word.startswith(("x", "H")), word.endswith("ld"), word.startswith("W", 6), word.endswith("lo", 0, 5)
word.find("o"), word.rfind("o"), word.find("zz"), word.count("l"), word.index("W"), word.find("o", 5), wide.find("\u4f60"), "aaa".count(""), "".find("")
"-".join(words), "".join([]), ",".join("abc")
"{} and {}".format(1, "x"), "{1}{0}".format("a", "b"), "{n:>5}|{n:<5}|{n:^5}".format(n="ab"), "{{}}".format()
"{:05d} {:+d} {:,} {:x} {:#X} {:08.3f} {:.2%} {:e} {!r}".format(42, 7, 1234567, 255, 255, 3.14159, 0.256, 12345.678, "q")
"{0.name} {0[age]}".format(person), "{:*^9}".format("mid"), "{:.2}".format("abcdef")
"%s %d %5.2f %x %% %r" % ("a", 3, 2.345, 255, "b"), "%(a)s" % {"a": 1}, "%s" % "x", "%-5s|%5s" % ("a", "b"), "%05d" % 42, "%+.1e" % 12345.678
"abc".isalpha(), "a1".isalnum(), "12".isdigit(), " ".isspace(), "AB".isupper(), "ab".islower(), "".isalpha(), "\u00e9".isalpha(), "\u00b2".isdigit(), "\u00b2".isdecimal()
"7".zfill(3), "-7".zfill(4), "a".center(4) + "|", "a".ljust(3, ".") , "a".rjust(3, "."), "ab".center(5, "*")
"a=b=c".partition("="), "a=b=c".rpartition("="), "abc".partition("x"), "abc".rpartition("x")
"prefix_x".removeprefix("prefix_"), "x.txt".removesuffix(".txt")
[1, 2, 1].count(1), [1, 2].index(2), person.keys() | list, person.values() | list | length, person.items() | list | first
word | upper, word | lower, "hello-world foo(bar)" | title, word | capitalize, wide | title
" x " | trim, "xxaxx" | trim("x"), 5 | string, none | string, [1, "a"] | string
word | replace("l", "L"), word | replace("l", "L", 1), 11 | replace(1, 2)
word | length, numbers | length, person | count, "" | length, missing | length
numbers | first, numbers | last, empty | first, word | first, word | last, person | first
numbers | sort, words | sort, words | sort(reverse=true), words | sort(case_sensitive=true), people | sort(attribute="age") | map(attribute="name") | list, people | sort(attribute="age,name", reverse=true) | map(attribute="name") | join
numbers | sum, people | sum(attribute="age"), numbers | min, numbers | max, words | max, people | min(attribute="age"), [] | min is defined
numbers | join, numbers | join(", "), people | join("|", attribute="name"), word | join("."), [1, none] | join("-")
numbers | reverse | list, word | reverse, numbers | list | reverse | first
["a", "A", "b", "a"] | unique | list, ["a", "A"] | unique(true) | list, people | unique(attribute="age") | map(attribute="name") | list
numbers | batch(3) | list, numbers | batch(3, "-") | list, numbers | slice(3) | list, numbers | slice(3, 0) | list
numbers | map("string") | join("+"), words | map("upper") | list, people | map(attribute="job", default="none") | list, people | map(attribute="age") | sum
numbers | select("odd") | list, numbers | select(">", 2) | list, numbers | reject("even") | list, [0, 1, "", "a"] | select | list, [0, 1] | reject | list
people | selectattr("age", "equalto", 20) | map(attribute="name") | list, people | selectattr("job") | list | length, people | rejectattr("job", "defined") | list | length, people | selectattr("name", "in", ["Ada"]) | list
person | dictsort, {"b": 1, "A": 2, "a": 0} | dictsort, {"b": 1, "A": 2} | dictsort(true), {"b": 1, "a": 2} | dictsort(by="value"), {"b": 1, "a": 2} | dictsort(reverse=true)
person | items | list | length, {"a": 1} | items | list, missing | items | list
missing | default("d"), nothing | default("d"), "" | default("d"), "" | default("d", true), nothing | d("x", true), 0 | default(5, boolean=true), missing | default
"3" | int, "x" | int, "x" | int(7), "3.9" | int, 3.9 | int, "0x1F" | int(0, 16), " 42 " | int, none | int, "1_000" | int, "ff" | int(base=16), "-5" | int
"3.5" | float, "x" | float, "x" | float(1.5), 3 | float, "1e3" | float, "inf" | float
-3 | abs, 2.5 | round, 3.5 | round, 2.567 | round(2), 2.1 | round(method="ceil"), 2.9 | round(0, "floor"), 5 | round, 1234.5678 | round(1) | int
html | escape, html | e | e, html | safe, (html | safe) + "<b>", "<" ~ (html | safe), ("<i>" | e) + "<b>"
"%s-%s" | format(1, "a"), "%(x)s" | format(x=2), "a" | center(5) ~ "|"
"a\nb\n\nc" | indent, "a\nb" | indent(2, true), "a\n\nb" | indent(1, blank=true), "a\nb" | indent("> ")
"one two three four" | truncate(9), "one two three four" | truncate(9, true), "short" | truncate(3), "one two three four" | truncate(12, false, "~", 0), "a b_c d-e" | wordcount
person | tojson, mixed | tojson, wide | tojson, wide | tojson(ensure_ascii=true), "\x00\x1f\x7f\"\\/\n" | tojson, 1.0 | tojson, none | tojson
person | tojson(indent=2), [] | tojson(indent=2), {"a": {}} | tojson(indent=4), person | tojson(separators=(",", ":")), {"b": 1, "a": [2]} | tojson(sort_keys=true), {1: 2, none: 3, true: 4} | tojson, html | tojson
yes is true, no is false, 1 is true, yes is boolean, 1 is boolean, 1 is integer, yes is integer, 1.0 is float, 1 is number, yes is number, "1" is number
word is string, numbers is string, person is mapping, numbers is mapping, numbers is sequence, word is sequence, person is sequence, missing is sequence, 1 is sequence, numbers is iterable, missing is iterable, 1 is iterable
nothing is none, missing is none, missing is defined, nothing is defined, missing is undefined, 3 is odd, 4 is even, 9 is divisibleby 3, 9 is divisibleby(4)
1 is eq 1, 1 is equalto(2), 1 is ne 2, 1 is lt 2, 1 is le 1, 2 is gt 1, 2 is ge 3, 1 is lessthan 2, 1 is sameas 1, none is sameas none, 1 is in [1], "a" is in "abc", 3 is not in [1]
"abc" is lower, "ABC" is upper, "aB" is lower, range is callable, 1 is callable, missing is callable, "upper" is filter, "odd" is test, "nope" is filter, html is escaped, html | e is escaped
not 1 is odd, 1 is not odd, 1 is odd and 2 is even, (1 is odd) == true
strftime_now("%d %b %Y"), strftime_now("%Y-%m-%d %H:%M:%S %A %B %j %p"), strftime_now("")
word.upper().lower().split(" ")[0][1:] | upper
numbers | map("upper") | list
("a" | attr("upper"))(), person | attr("name") is defined
"\u00df".upper() ~ "\ufb01".upper() ~ "\u0130".lower() ~ "\u1e9e".lower()
[1, 2, 3][1:][0], (1, 2, 3)[::2], "abc"[1:][0]
[[1, 2], [3, 4]] | map("first") | list, [[2, 1]] | map("sort") | list, [[1], []] | map("length") | sum
{"a": 1, "a": 2}, {1: "x"}[1], {1: "x"}[1.0], {(1, 2): 3}[(1, 2)], {"k": 1}.k
"x".__class__ is defined, person._x is defined
numbers.append is defined, "x".nope is defined, 5.x is defined
1 if no else 2 if no else 3
""" .strip("\n").split("\n")

# Expressions that jinja2 refuses.
REFUSED = r"""
missing.attribute
missing["item"]
missing + 1
1 + "a"
"a" + 1
[] + ()
none.x.y
none + none
none | length
5 | length
-"a"
1 < "a"
none < 1
[1, "a"] | sort
1 in 5
1 in "abc"
three[1:]
nothing[1:]
"abc"[::0]
word.nope()
numbers.append(5)
numbers.pop()
person.update({"a": 1})
person.pop("name")
1 // 0
1 % 0
1 / 0
raise_exception("no")
range(100001)
range("a")
range(1, 2, 0)
x | nonsense
1 is nonsense
nothing()
"abc"()
word | upper(1)
word.upper(1)
word.split("")
word.index("zz")
"{}".format()
"{x}".format()
"%d" % "a"
"%s" % ()
"%s" % (1, 2)
"{:d}".format("a")
missing | tojson
range(3) | tojson
[missing] | tojson
missing | int
{[]: 1}
[1, 2] | join(",", attribute="x.y")
people | map("nonsense") | list
people | selectattr | list
people | map | list
numbers | batch
5 | sort
5 | list
5 | join
5 | first
none | upper | items | list
5 | items | list
person | dictsort(by="x")
2.5 | round(1, "up")
(1 for x in y)
[x for x in numbers]
lambda: 1
1 +
(1
[1
{"a" 1}
"abc
a.b.
a..b
a[1
f(a=1, 2)
f(a=1, a=2)
x is y is z
5 5
@
$
x ? y
a && b
not
"\x4"
"\u12"
",".join([1])
"a" * "b"
"abc".startswith(1)
("a" if no).x
dict(1)
namespace(1)
1 is in 5
"x" is divisibleby 2
"x".center("a")
""".strip("\n").split("\n")

TEMPLATES = [
    # White space and comments.
    "a {# no #} b", "a\n{# no #}\nb", "a {#- no -#} b", "  {# x #}\n  b",
    "a\n  {% if yes %}\n  b\n  {% endif %}\nc\n",
    "a\n  {%- if yes -%}\n  b\n  {%- endif -%}\nc\n\n",
    "a\n  {%+ if yes %}\n  b\n  {%+ endif +%}\n c",
    "x  {{- 1 -}}  y", "x\n\n{{ 1 }}\n\ny\n", "x  {{+ 1 }}  y",
    "{% if yes %}\n\n  a{% endif %}\n\nb", "\r\na\rb\r\n{{ 1 }}\r\n",
    "{% raw %}{{ x }} {% if %}{% endraw %}!", "{%- raw -%} {{ x }} {%- endraw -%} !",
    "a {% raw %}\n b {% endraw %}\n c", "{{ '%}' }}{% if '}}' == '}}' %}a{% endif %}",
    "{{ {'a': {'b': 1}} }}", "{", "{ {", "a { b } c %} }}", "{{ '{{' }}", "", "\n", "\n\n",
    "text\u00e9 {{ wide }}\n", "{#\nmany\nlines\n#}x", "{#-#}x", "a\t{% if yes %}b{% endif %}",
    "{% set x = 1 -%}\n\n  {{ x }}", "{{ 1 }}{% if yes %}\n{{ 2 }}\n{% endif %}\n{{ 3 }}",
    "  {% if yes %}a{% endif %}  {% if yes %}b{% endif %}\n  {{ 1 }}",
    "a\u00a0\n\u00a0{% if yes %}b{% endif %}", "{{1}}{%if yes%}a{%endif%}",
    "{% if yes %}a{% endif %}\n\n{% if yes %}b{% endif %}\n\n",
    # Conditions.
    "{% if no %}a{% elif nothing %}b{% elif three %}c{% else %}d{% endif %}",
    "{% if no %}a{% else %}d{% endif %}", "{% if no %}a{% endif %}",
    "{% if missing %}a{% else %}b{% endif %}", "{% if numbers and not empty %}a{% endif %}",
    "{% if yes %}{% set x = 1 %}{% endif %}{{ x }}",
    "{% if no %}{{ x | nonsense }}{% endif %}a", "{% if no %}{{ 1 is nonsense }}{% endif %}a",
    "{{ (x | nonsense) if no else 'b' }}", "{{ 'b' if yes else (x | nonsense) }}",
    "{% if yes: %}a{% endif %}", "{% if 1, %}a{% endif %}",
    "{% if no %}{% for x in [1] %}{{ x | nonsense }}{% endfor %}{% endif %}",
    # Loops.
    "{% for x in numbers %}{{ x }},{% endfor %}", "{% for x in empty %}a{% else %}none{% endfor %}",
    "{% for x in numbers if x > 1 %}{{ loop.index }}:{{ x }} {% else %}none{% endfor %}",
    "{% for x in numbers if x > 100 %}a{% else %}none{% endfor %}",
    "{% for x in numbers %}{{ loop.index }} {{ loop.index0 }} {{ loop.revindex }} {{ loop.revindex0 }} {{ loop.first }} {{ loop.last }} {{ loop.length }} {{ loop.depth }} {{ loop.depth0 }}|{% endfor %}",
    "{% for x in numbers if x > 1 %}{{ loop.length }}{{ loop.revindex }}{{ loop.last }} {% endfor %}",
    "{% for x in numbers %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}",
    "{% for x in numbers %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}",
    "{% for x in numbers %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }} {% endfor %}",
    "{% for k, v in person.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in person %}{{ k }};{% endfor %}", "{% for k, v in person | dictsort %}{{ k }}={{ v }};{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for c in wide %}{{ c }}.{% endfor %}", "{% for x in missing %}a{% else %}b{% endfor %}",
    "{% for x in nothing %}a{% endfor %}", "{% for x in 5 %}a{% endfor %}",
    "{% for a, b in [1] %}a{% endfor %}", "{% for a, b in [(1, 2, 3)] %}a{% endfor %}",
    "{% for x in range(3) %}{% for y in range(2) %}{{ x }}{{ y }}{{ loop.index }} {% endfor %}{{ loop.index }}{% endfor %}",
    "{% for x in numbers %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in numbers %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in numbers %}{% for y in numbers %}{% break %}{% endfor %}{{ x }}{% endfor %}",
    "{% for x in numbers %}{% set y %}{{ x }}{% if x == 2 %}{% break %}{% endif %}{% endset %}{{ y }}{% endfor %}",
    "{% set x = 5 %}{% for x in numbers %}{{ x }}{% endfor %}{{ x }}",
    "{% set t = 0 %}{% for x in numbers %}{% set t = t + x %}{{ t }} {% endfor %}{{ t }}",
    "{% for x in numbers %}{% if loop.first %}{% set a = x %}{% endif %}{{ a }},{% endfor %}",
    "{% for x in [[1, [2, []]], [3]] recursive %}{{ loop.depth }}{% if x is iterable %}[{{ loop(x) }}]{% else %}{{ x }}{% endif %}{% endfor %}",
    "{% for x in numbers %}{{ loop(numbers) }}{% endfor %}", "{{ loop }}", "{{ loop is defined }}",
    "{% for x in numbers | select('odd') %}{{ x }}{{ loop.last }}{% endfor %}",
    "{% set g = numbers | map('string') %}{{ g | join }}|{{ g | join }}|{{ g | list }}",
    "{% set g = numbers | map('string') %}{{ g | first }}{{ g | first }}{{ g | list }}",
    "{% for x in 'ab' if x %}{{ x }}{% endfor %}{% for x in (1, 2) %}{{ x }}{% endfor %}{% for x in 1, 2 %}{{ x }}{% endfor %}",
    "{% set ns = namespace(found=false) %}{% for x in numbers if not ns.found %}{{ x }}{% set ns.found = true %}{% endfor %}",
    "{% break %}", "{% for x in numbers %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
    "{% for x in numbers %}{{ loop.nope }}{% endfor %}", "{% for loop in numbers %}{{ loop }}{% endfor %}",
    "{% for true in numbers %}{% endfor %}", "{% for x in %}{% endfor %}", "{% for x of y %}{% endfor %}",
    # Assignments.
    "{% set x = 1 %}{{ x }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set (a, b) = (1, 2) %}{{ a }}{{ b }}",
    "{% set a, b = [1] %}", "{% set x = 1, 2 %}{{ x }}", "{% set x %}a{{ 1 }}b{% endset %}{{ x }}",
    "{% set x | upper | replace('A', 'x') %}a{{ 1 }}b{% endset %}{{ x }}",
    "{% set x %}{% set y = 1 %}{% endset %}{{ y is defined }}",
    "{% set ns = namespace(a=1) %}{% set ns.a = ns.a + 1 %}{% set ns.b = 'x' %}{{ ns.a }}{{ ns.b }}{{ ns.c is defined }}",
    "{% set ns = namespace() %}{% for x in numbers %}{% set ns.last = x %}{% endfor %}{{ ns.last }}",
    "{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}{{ ns['a'] is defined }}",
    "{% set person.name = 'x' %}", "{% set nope.x = 1 %}", "{% set ns = namespace() %}{% set ns.x %}block{% endset %}{{ ns.x }}",
    "{% set true = 1 %}", "{% set x %}never closed", "{% set 5 = 1 %}", "{% set x.y.z = 1 %}",
    "{% with %}{% set x = 1 %}{{ x }}{% endwith %}{{ x is defined }}",
    "{% set a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% set messages = [1, 2] %}{{ messages[1:] }}", "{% print 1, 'a' %}",
    # Macros.
    "{% macro m(a, b=2, c='x') %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(c=5, a=4) }}{{ m() }}",
    "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}{{ m(none) }}",
    "{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(7) }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}",
    "{% macro m() %}x{% endmacro %}{{ m(1) }}", "{% macro m() %}x{% endmacro %}{{ m(a=1) }}",
    "{% macro m(a) %}x{% endmacro %}{{ m(1, a=2) }}", "{% macro m(a=1, b) %}x{% endmacro %}",
    "{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(4) }}",
    "{% macro f() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ f() }}{% set x = 2 %}{{ f() }}",
    "{% macro f() %}{% set x = 1 %}{% endmacro %}{{ f() }}{{ x is defined }}",
    "{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}body {{ three }}{% endcall %}",
    "{% macro f(n) %}{% for i in range(n) %}{{ caller(i, 'x') }}{% endfor %}{% endmacro %}{% call(a, b='y') f(2) %}{{ a }}{{ b }} {% endcall %}",
    "{% macro f() %}x{% endmacro %}{% call f() %}body{% endcall %}", "{% macro f() %}{{ caller is defined }}{% endmacro %}{{ f() }}",
    "{% call 5 %}{% endcall %}", "{{ m() }}{% macro m() %}x{% endmacro %}",
    "{% macro m() %}  spaced  {% endmacro %}{{ m() | trim }}|{{ m().strip() | upper }}",
    "{% macro m(x) %}{{ x | nonsense }}{% endmacro %}a", "{% macro m(x) %}{{ x }}{% endmacro %}{{ [1, 2] | map('string') | join }}{{ m(*[1]) }}{{ m(**{'x': 2}) }}",
    "{% if yes %}{% macro m() %}in{% endmacro %}{% endif %}{{ m() }}",
    "{% macro outer() %}{% macro inner() %}i{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}{{ inner is defined }}",
    # Blocks.
    "{% filter upper %}a{{ word }}{% endfilter %}", "{% filter replace('a', 'b') | upper %}aac{% endfilter %}",
    "{% filter nonsense %}a{% endfilter %}", "{% generation %}a{{ three }}{% endgeneration %}",
    "{% for x in [1, 2] %}{% generation %}{{ x }}{{ loop.index }}{% endgeneration %}{% endfor %}",
    "{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}",
    "{% set j = joiner('; ') %}{% for x in numbers %}{{ j() }}{{ x }}{% endfor %}",
    # What is no template.
    "{% nonsense %}", "{% if %}", "{% if yes %}", "{% endif %}", "{% for x in y %}{% endif %}", "{{ }}", "{{ x", "{% if x",
    "{# x", "{% raw %}x", "{% else %}", "{{ x }", "{% do 1 %}", "{% 5 %}", "{{ x y }}", "{% if yes %}a{% else %}b{% elif no %}c{% endif %}",
    "{% set %}", "{% macro %}", "{% include 'x' %}", "{% import 'x' as y %}", "{% trans %}a{% endtrans %}", "{% extends 'x' %}",
]


def main():
    templates = ["{{ " + e + " }}" for e in EXPRESSIONS + REFUSED] + TEMPLATES
    out = []
    for template in templates:
        text, error = render(template, VARIABLES)
        entry = {"template": template, "text": text}
        if error:
            entry["error"] = error.split("\n")[0][:100]
        out.append(entry)
    for template in ["{{ " + e + " }}" for e in REFUSED]:
        if render(template, VARIABLES)[0] is not None:
            print("not refused:", template, file=sys.stderr)
    json.dump({"now": NOW.isoformat(), "variables": VARIABLES,
               "templates": out}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
