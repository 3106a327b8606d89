// Grammars: an input that begins with '{' is a JSON schema, any other one is
// GBNF. If it is accepted, the target walks through the grammar over a small
// vocabulary: what is allowed must be what can be accepted.

#include <memory>
#include <string>
#include <utility>

#include "base/random.h"
#include "fuzz/input.h"
#include "grammar/gbnf.h"
#include "grammar/json_schema.h"
#include "grammar/token_masks.h"

namespace ropewalk {
namespace {

constexpr int kSteps = 40;

std::shared_ptr<const grammar::Vocabulary> SmallVocabulary() {
  auto vocabulary = std::make_shared<grammar::Vocabulary>();
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary->texts.emplace_back(1, static_cast<char>(byte));
  }
  for (const char* text : {"{\"", "\":", ", \"", "\"}", "]}", "true", "12",
                           "abc", " a", "\xc3\xa4", "\n  "}) {
    vocabulary->texts.emplace_back(text);
  }
  vocabulary->ends = {static_cast<Token>(vocabulary->texts.size())};
  vocabulary->texts.emplace_back();
  return vocabulary;
}

void Walk(const grammar::Grammar& grammar) {
  static const auto vocabulary = SmallVocabulary();
  static const auto tree =
      std::make_shared<const grammar::ByteTree>(vocabulary->texts);
  const auto masks = std::make_shared<grammar::TokenMasks>(
      grammar::Automaton(grammar, [](const std::string&) { return Token{7}; }),
      vocabulary, tree);
  grammar::Matcher matcher(masks);
  Rng rng(1);
  try {
    for (int step = 0; step < kSteps && !matcher.MustEnd(); ++step) {
      const auto allowed = matcher.Allowed(grammar::Ends::kNever);
      // All bytes are tokens, so a grammar never comes to a dead end.
      fuzz::Claim(!grammar::IsEmpty(allowed) || matcher.MayEnd(),
                  "a text of the grammar can be completed");
      if (grammar::IsEmpty(allowed)) return;
      const auto V = static_cast<int64_t>(vocabulary->texts.size());
      auto token = static_cast<Token>(rng.Below(V));
      while (!grammar::Contains(allowed, token)) {
        token = static_cast<Token>((token + 1) % V);
      }
      matcher.Accept(token);  // a finding where it throws
    }
  } catch (const std::runtime_error&) {
    // Too ambiguous for the memory it may take.
  }
}

}  // namespace
}  // namespace ropewalk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  const std::string_view text = fuzz::View(data, size);
  grammar::Grammar grammar;
  if (!fuzz::Accepts([&] {
        grammar = text.starts_with('{')
                      ? grammar::ParseJsonSchema(text, "input")
                      : grammar::ParseGbnf(text);
      })) {
    return 0;
  }
  fuzz::Accepts([&] {
    grammar::Automaton again(grammar::ParseGbnf(grammar::ToGbnf(grammar)));
  });
  fuzz::Accepts([&] { Walk(grammar); });
  return 0;
}
