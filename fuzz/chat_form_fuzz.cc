// Chat templates: the input is a template. If it is accepted, the target asks a
// question in its form.

#include "engine/chat_form.h"
#include "formats/gguf_metadata.h"
#include "fuzz/input.h"
#include "tests/tiny_model.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk {
namespace {

constexpr std::string_view kMarks[] = {"<|im_start|>",
                                       "<|im_end|>",
                                       "<|start_header_id|>",
                                       "<|end_header_id|>",
                                       "<|eot_id|>",
                                       "<start_of_turn>",
                                       "<end_of_turn>",
                                       "<|user|>",
                                       "<|assistant|>",
                                       "<|system|>",
                                       "<|end|>",
                                       "<|begin_of_text|>",
                                       "<bos>",
                                       "<|endoftext|>"};

// A vocabulary of bytes with the marks of all families.
formats::Metadata Keys() {
  formats::Metadata keys;
  SetTinyVocabulary(keys, 260);
  std::vector<std::string> pieces = *keys.FindStrings("tokenizer.ggml.tokens");
  std::vector<int64_t> types = *keys.FindInts("tokenizer.ggml.token_type");
  for (const std::string_view mark : kMarks) {
    pieces.emplace_back(mark);
    types.push_back(3);
  }
  keys.SetStrings("tokenizer.ggml.tokens", pieces);
  keys.SetInts("tokenizer.ggml.token_type", types);
  keys.SetFloats("tokenizer.ggml.scores",
                 std::vector<float>(pieces.size(), -1.0f));
  return keys;
}

const tokenizer::Tokenizer& Vocabulary() {
  static const auto tokenizer = tokenizer::Tokenizer::FromMetadata(Keys());
  return tokenizer;
}

void Ask(const engine::ChatForm& form, std::string_view user,
         const std::optional<std::string>& system) {
  const auto pieces = form.Render(user, system);
  for (size_t i = 1; i < pieces.size(); ++i) {
    fuzz::Claim(pieces[i - 1].is_mark || pieces[i].is_mark,
                "two texts are never adjacent");
  }
  fuzz::Claim(JoinPieces(pieces).find(user) != std::string::npos,
              "the prompt contains the question");
  try {
    form.Encode(Vocabulary(), user, system);
  } catch (const std::invalid_argument&) {
    // A mark in the question.
  } catch (const std::runtime_error&) {
    // A mark that is not a token.
  }
}

}  // namespace
}  // namespace ropewalk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  formats::Metadata keys;
  keys.SetString("tokenizer.chat_template",
                 std::string(fuzz::View(data, size)));
  fuzz::Accepts([&] {
    const auto form = engine::ChatForm::FromMetadata(keys);
    Ask(form, "Why <|im_start|>\n?", std::nullopt);
    fuzz::Accepts([&] { Ask(form, "Why?", "Be brief."); });
  });
  return 0;
}
