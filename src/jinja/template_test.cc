#include "jinja/template.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "formats/json_file.h"
#include "jinja/goldens_for_test.h"

namespace ropewalk::jinja {
namespace {

Variables Input(const std::string& json) {
  return VariablesOf(formats::ParseJson(json, "test"));
}

// The output with what came from the input in brackets.
std::string Marked(const std::string& source, const Variables& variables) {
  std::string marked;
  for (const Piece& piece : Template::Parse(source).Render(variables)) {
    marked += piece.from_input ? "[" + piece.text + "]" : piece.text;
  }
  return marked;
}

std::string WhyNot(const std::string& source, const Variables& variables = {},
                   const RenderOptions& options = {}) {
  return RenderForTest(source, variables, options).error;
}

TEST(TemplateTest, EachConstructRendersAsInJinja2) {
  const formats::Json goldens = formats::ReadJsonFile(
      ROPEWALK_SOURCE_FOLDER "/tests/golden/templates.json");
  const Variables variables = VariablesOf(goldens["variables"]);
  RenderOptions options;
  options.now = TimeOf(goldens["now"]);
  for (const formats::Json& golden : goldens["templates"]) {
    const auto source = golden["template"].get<std::string>();
    EXPECT_EQ(Difference(RenderForTest(source, variables, options), golden), "")
        << source;
  }
}

TEST(TemplateTest, PartsOfTheInputStayKnownThroughWhatIsDoneWithThem) {
  const Variables v = Input(R"({"x": " a,B ", "l": ["p", "q"], "n": 5})");
  const std::vector<std::pair<std::string, std::string>> table = {
      {"<{{ x }}>", "<[ a,B ]>"},
      {"{{ '<' + x + '>' }}{{ '<' ~ x ~ '>' }}", "<[ a,B ]><[ a,B ]>"},
      {"{{ x | trim }}|{{ x.strip() | upper }}|{{ x | title }}",
       "[a,B]|[A,B]|[ A,b ]"},
      {"{{ x[1:2] }}{{ 'T' }}{{ x[::-1] }}", "[a]T[ B,a ]"},
      {"{{ x.split(',')[1] }}<{{ x.strip().split(',') | join('><') }}>",
       "[B ]<[a]><[B]>"},
      {"{{ x.replace(',', '<>') }}", "[ a]<>[B ]"},
      {"{{ '<,>'.replace(',', x) }}", "<[ a,B ]>"},
      {"{{ '<%s>' % x }}{{ '<{}>'.format(x) }}{{ '%4s' % l[0] }}",
       "<[ a,B ]><[ a,B ]>   [p]"},
      {"{% for i in l %}<{{ i }}>{% endfor %}", "<[p]><[q]>"},
      {"{% for c in 'T' + l[0] %}{{ c }}{% endfor %}", "T[p]"},
      {"{% set y %}<{{ x }}>{% endset %}{{ y }}", "<[ a,B ]>"},
      {"{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(x) }}", "<[ a,B ]>"},
      {"{% filter upper %}t{{ l[0] }}{% endfilter %}", "T[P]"},
      {"{% set ns = namespace(t='<') %}{% set ns.t = ns.t + l[0] %}{{ ns.t }}",
       "<[p]"},
      // What is written around input is no mark of the template either.
      {"{{ l | tojson }}{{ l }}{{ {'k': 1} | tojson }}",
       R"([["p", "q"]['p', 'q']]{"k": 1})"},
      {"{{ n }}{{ l | length }}{{ x is string }}", "52True"},
      {"{{ y | default(x) }}{{ y | default('t') }}", "[ a,B ]t"},
      {"{{ l | first ~ (l | last | indent) }}{{ l[0] | escape }}", "[pqp]"},
      {"{{ x.partition(',')[1] }}{{ 'T,'.partition(',')[1] }}", "[,],"}};
  for (const auto& [source, expected] : table) {
    EXPECT_EQ(Marked(source, v), expected) << source;
  }
}

TEST(TemplateTest, WordsOfTheProgramAreNoInput) {
  const auto is_word = [](std::string_view key, std::string_view text) {
    return key == "role" && text == "user";
  };
  const Variables variables = {
      {"m", FromJson(formats::ParseJson(R"({"role": "user", "name": "user"})",
                                        "test"),
                     true, is_word)}};
  EXPECT_EQ(Marked("{{ m.role }}{{ m.name }}", variables), "user[user]");
}

TEST(TemplateTest, ErrorsNameTheConstructAndItsLine) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"a\n{{ x | nonsense }}", "line 2: the filter 'nonsense' is not known"},
      {"\n\n{{ 1 is nonsense }}", "line 3: the test 'nonsense' is not known"},
      {"\n{% nonsense %}", "line 2: the tag {% nonsense %} is not known"},
      {"{{ 'a'.nonsense() }}", "line 1: a str has no 'nonsense'"},
      {"{# \n #}{{ x.y }}", "line 2: 'x' is undefined"},
      {"\n{% if 1 %}\n", "line 2: the template ends before {% endif %}"},
      {"{{ [].append(1) }}", "line 1: 'append' would change a list"},
      {"\n{{ raise_exception('no ' ~ 'way') }}",
       "line 2: the template refuses this: no way"},
      {"{{ 2 ** 64 }}", "line 1: an integer does not fit 64 bits"},
      {"{{ 'a' if 1 }}{{ 5 $ }}", "line 1: the character '$' is not known"},
      {"\xff", "line 1: byte 0 is not UTF-8"},
      {"{{ range(3) }}", "line 1: a generator or range is no text"}};
  for (const auto& [source, expected] : table) {
    EXPECT_EQ(WhyNot(source).substr(0, expected.size()), expected) << source;
  }
}

TEST(TemplateTest, ATemplateWithoutEndEndsInBoundedTimeAndMemory) {
  const std::string loop = "{% for a in range(100000) %}";
  const std::string end = "{% endfor %}";
  const std::vector<std::pair<std::string, std::string>> table = {
      {loop + loop + loop + end + end + end, "steps"},
      {"{% set b = 'a' * 100000 %}" + loop + "{{ b }}" + end, "bytes"},
      {"{% set ns = namespace(t='aa') %}" + loop +
           "{% set ns.t = ns.t + ns.t %}" + end,
       "bytes"},
      {"{% set ns = namespace(l=[1]) %}" + loop +
           "{% set ns.l = ns.l + ns.l %}" + end,
       "bytes"},
      {"{% set ns = namespace(l=[1]) %}" + loop + "{% set ns.l = [ns.l] %}" +
           end,
       "nested"},
      {"{% set ns = namespace(f=1) %}" + loop +
           "{% set ns.f = [ns.f].count %}" + end,
       "nested"},
      {"{% set ns = namespace(l=[1]) %}" + loop +
           "{% set ns.l = [ns.l, ns.l] %}" + end,
       "values in all"},
      {"{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(20) %}"
       "{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}" +
           end + loop + "{% set x = ns.a == ns.b %}" + end,
       "steps"},
      {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nested"},
      {"{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "nested"},
      {"{{ 'ab' * 10000000000 }}", "bytes"},
      {"{{ [1] * 10000000000 }}", "steps"},
      {"{{ 'a'.ljust(10000000000) }}", "steps"},
      {"{{ '%10000000000d' % 1 }}", "bytes"},
      {"{{ '%.100000d' % 1 }}", "digits"},
      {"{{ 'a' | indent(10000000000) }}", "steps"},
      {"{{ [1] | batch(10000000000, 0) | list }}", "steps"},
      {"{{ ('a' * 1000000).replace('', 'a' * 1000000) }}", "bytes"},
      {"{{ ('a' * 30000000).split('a') | length }}", "bytes"}};
  for (const auto& [source, part] : table) {
    const std::string why = WhyNot(source);
    EXPECT_NE(why.find(part), std::string::npos) << source << ": " << why;
  }
}

TEST(TemplateTest, DeepTemplatesAreRefused) {
  const auto repeated = [](const std::string& text, int count) {
    std::string all;
    for (int i = 0; i < count; ++i) all += text;
    return all;
  };
  for (const std::string& source :
       {"{{ " + repeated("(", 100000), "{{ " + repeated("[", 100000),
        "{{ " + repeated("not ", 100000) + "1 }}",
        "{{ " + repeated("-", 100000) + "1 }}",
        "{{ 1" + repeated("+1", 100000) + " }}",
        "{{ a" + repeated(".a", 100000) + " }}",
        "{{ a" + repeated("|d", 100000) + " }}",
        "{{ f" + repeated("(f", 100000) + " }}",
        "{{ 1" + repeated(" if 1 else 1", 100000) + " }}",
        repeated("{% if 1 %}", 100000), repeated("{% for a in a %}", 100000),
        "{% set " + repeated("(", 100000)}) {
    EXPECT_NE(WhyNot(source), "") << source.substr(0, 20);
  }
}

TEST(TemplateTest, EveryTruncatedTemplateIsReadOrRefused) {
  const std::string source =
      "{%- macro m(a, b=1) -%}{{ a ~ '\\n' }}{%- endmacro %}\n"
      "{% for x in l if x is string %}{{ m(x) }}{% else %}{# c #}{% endfor %}"
      "{% raw %}{{ }}{% endraw %}{% set ns = namespace(a={'b': [1.5, 2]}) %}"
      "{{ ns.a['b'][::-1] | tojson(indent=2) if ns else loop.index }}";
  const Variables variables = Input(R"({"l": ["a", 1]})");
  EXPECT_EQ(WhyNot(source, variables), "");
  for (size_t size = 0; size < source.size(); ++size) {
    RenderForTest(source.substr(0, size), variables);
  }
}

TEST(TemplateTest, InputThatIsNotUtf8IsRepaired) {
  formats::Json message;
  message["x"] = "a\xff\xe2\x82";
  EXPECT_EQ(*RenderForTest("{{ x }}{{ x[::-1] }}{{ x | length }}",
                           VariablesOf(message))
                 .text,
            "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
            "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
            "a4");
}

TEST(TemplateTest, LaterVariablesReplaceEarlierOnes) {
  const Variables variables = {{"a", Value::Of("x")}, {"a", Value::Of("y")}};
  EXPECT_EQ(*RenderForTest("{{ a }}", variables).text, "y");
}

}  // namespace
}  // namespace ropewalk::jinja
