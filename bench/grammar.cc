// What a grammar costs for each token: masks of real vocabularies along texts
// that are drawn by chance from the allowed tokens, near the beginning of the
// text and far behind it.
//
//   ROPEWALK_BENCH_MODELS=a.gguf:b.gguf bench/grammar
//
// `us` is the mean of a hundred tokens, `most` the slowest of them. The cache
// is as a text leaves it: where the grammar has been in a state before, the
// mask is known.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "engine/grammar_vocabulary.h"
#include "formats/gguf.h"
#include "grammar/gbnf.h"
#include "grammar/json_schema.h"
#include "grammar/token_masks.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk {
namespace {

using Clock = std::chrono::steady_clock;

double MicrosecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin)
      .count();
}

// JSON without an end, so that texts become long.
constexpr char kJsonRows[] = R"(
root   ::= ("{" ws (member ("," ws member)*)? "}" "\n")+
member ::= string ":" ws value
value  ::= object | array | string | number | "true" | "false" | "null"
object ::= "{" ws (member ("," ws member)*)? "}"
array  ::= "[" ws (value ("," ws value)*)? "]"
string ::= "\"" ([^"\\\x00-\x1F] | "\\" (["\\bfnrt/] | "u" [0-9a-fA-F]{4}))* "\""
number ::= "-"? ("0" | [1-9] [0-9]{0,15}) ("." [0-9]+)? ([eE] [-+]? [0-9]{1,3})?
ws     ::= | " " | "\n" [ \t]{0,20}
)";

// An allowed token, with the end of strings, lists and objects often enough
// that nesting goes up and down. The list of a schema ends with its ], which is
// drawn only where nothing else may follow.
Token Draw(std::span<const uint64_t> allowed, const grammar::Vocabulary& words,
           bool may_close, Rng& rng) {
  std::vector<Token> all;
  std::vector<Token> closing;
  for (size_t i = 0; i < words.texts.size(); ++i) {
    const auto token = static_cast<Token>(i);
    if (!grammar::Contains(allowed, token)) continue;
    const std::string& text = words.texts[i];
    if (!may_close && text.find(']') != std::string::npos) continue;
    all.push_back(token);
    if (text == "\"" || text == "}" || text == "]" || text == "\n") {
      closing.push_back(token);
    }
  }
  if (all.empty()) return Draw(allowed, words, true, rng);
  const std::vector<Token>& from =
      !closing.empty() && rng.Below(4) == 0 ? closing : all;
  return from[static_cast<size_t>(
      rng.Below(static_cast<int64_t>(from.size())))];
}

void MasksAlongText(benchmark::State& state, const std::string& path,
                    bool is_schema) {
  const auto file = formats::GgufFile(path);
  const auto tokenizer = tokenizer::Tokenizer::FromGguf(file);
  const auto words = std::make_shared<const grammar::Vocabulary>(
      engine::GrammarVocabulary(tokenizer));
  const auto tree = std::make_shared<const grammar::ByteTree>(words->texts);
  const Clock::time_point begin = Clock::now();
  const auto masks = std::make_shared<grammar::TokenMasks>(
      grammar::Automaton(is_schema ? grammar::ParseJsonSchema(
                                         R"({"items": {"properties": {
                "name": {"type": "string", "maxLength": 100},
                "size": {"type": "integer", "minimum": 0, "maximum": 99999}},
                "required": ["name", "size"]}})",
                                         "schema")
                                   : grammar::ParseGbnf(kJsonRows)),
      words, tree);
  state.counters["compile_us"] = MicrosecondsSince(begin);
  const int64_t position = state.range(0);
  Rng rng(1);
  for (auto _ : state) {
    std::optional<grammar::Matcher> matcher(std::in_place, masks);
    double sum = 0;
    double most = 0;
    for (int64_t i = 0; i < position; ++i) {
      if (matcher->MustEnd()) matcher.emplace(masks);
      const Clock::time_point at = Clock::now();
      const auto allowed = matcher->Allowed(grammar::Ends::kNever);
      const double one = MicrosecondsSince(at);
      const Token token = Draw(allowed, *words, !is_schema, rng);
      const Clock::time_point accept = Clock::now();
      matcher->Accept(token);
      const double both = one + MicrosecondsSince(accept);
      if (i < position - 100) continue;
      sum += both;
      most = std::max(most, both);
    }
    state.counters["us"] = sum / 100;
    state.counters["most"] = most;
  }
}

}  // namespace
}  // namespace ropewalk

int main(int argc, char** argv) {
  const char* models = std::getenv("ROPEWALK_BENCH_MODELS");
  std::string rest = models != nullptr ? models : "";
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(':'), rest.size());
    const std::string path = rest.substr(0, end);
    rest = rest.substr(std::min(end + 1, rest.size()));
    const std::string name = path.substr(path.rfind('/') + 1);
    for (const bool is_schema : {false, true}) {
      benchmark::RegisterBenchmark(
          ((is_schema ? "schema/" : "json/") + name).c_str(),
          [path, is_schema](benchmark::State& state) {
            ropewalk::MasksAlongText(state, path, is_schema);
          })
          ->Arg(100)
          ->Arg(2000)
          ->Arg(20000)
          ->Iterations(1)
          ->Unit(benchmark::kMillisecond);
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
