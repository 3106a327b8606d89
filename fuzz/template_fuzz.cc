// Chat templates: the input is a template, which is run on a conversation with
// tools, and its output encoded.

#include <string>
#include <string_view>
#include <vector>

#include "engine/chat_template.h"
#include "formats/gguf_metadata.h"
#include "formats/json_file.h"
#include "fuzz/input.h"
#include "jinja/template.h"
#include "tests/tiny_model.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk {
namespace {

constexpr std::string_view kMarks[] = {
    "<|im_start|>",        "<|im_end|>",
    "<|start_header_id|>", "<|end_header_id|>",
    "<|eot_id|>",          "<start_of_turn>",
    "<end_of_turn>",       "<|user|>",
    "<|assistant|>",       "<|end|>"};

// A vocabulary of bytes with the marks of several forms; `type` as in a file: 3
// control, 4 user-defined.
formats::Metadata Keys(int64_t type) {
  formats::Metadata keys;
  SetTinyVocabulary(keys, 260);
  std::vector<std::string> pieces = *keys.FindStrings("tokenizer.ggml.tokens");
  std::vector<int64_t> types = *keys.FindInts("tokenizer.ggml.token_type");
  for (const std::string_view mark : kMarks) {
    pieces.emplace_back(mark);
    types.push_back(type);
  }
  keys.SetStrings("tokenizer.ggml.tokens", pieces);
  keys.SetInts("tokenizer.ggml.token_type", types);
  keys.SetFloats("tokenizer.ggml.scores",
                 std::vector<float>(pieces.size(), -1.0f));
  return keys;
}

const tokenizer::Tokenizer& Vocabulary(int64_t type) {
  static const auto control = tokenizer::Tokenizer::FromMetadata(Keys(3));
  static const auto defined = tokenizer::Tokenizer::FromMetadata(Keys(4));
  return type == 3 ? control : defined;
}

const formats::Json& Messages() {
  static const formats::Json messages = formats::ParseJson(
      R"([{"role": "system", "content": " Be \u00e9brief. "},
          {"role": "user", "content": "Why <|im_start|>\n?", "n": [1, -2.5]},
          {"role": "assistant", "content": null, "tool_calls": [
            {"function": {"name": "f", "arguments": {"a": true}}}]},
          {"role": "user", "content": [{"type": "text", "text": "x"}]}])",
      "messages");
  return messages;
}

// What the language itself may use up: less than by default, so that a run
// takes no seconds.
jinja::RenderOptions Small() {
  jinja::RenderOptions options;
  options.limits = {.steps = 200'000,
                    .bytes = int64_t{1} << 24,
                    .output_bytes = int64_t{1} << 20};
  return options;
}

void Run(std::string_view source) {
  const auto parsed = jinja::Template::Parse(source);
  const jinja::Variables variables = {
      {"messages", jinja::FromJson(Messages(), true)},
      {"tools", jinja::FromJson(Messages(), false)},
      {"add_generation_prompt", jinja::Value::Of(true)},
      {"bos_token", jinja::Value::Of("<s>")}};
  const auto pieces = parsed.Render(variables, Small());
  for (size_t i = 0; i < pieces.size(); ++i) {
    fuzz::Claim(!pieces[i].text.empty(), "no piece is empty");
    fuzz::Claim(i == 0 || pieces[i - 1].from_input != pieces[i].from_input,
                "neighbouring pieces differ in origin");
  }
}

// A template of a file, on a question whose text is a mark.
void Ask(std::string_view source) {
  formats::Metadata keys = Keys(3);
  keys.SetString("tokenizer.chat_template", std::string(source));
  const auto form = engine::ChatTemplate::FromMetadata(keys);
  engine::Conversation conversation;
  conversation.Add("user", "Why <|im_start|>\n?");
  const auto pieces = form.Render(conversation);
  std::string of_template;
  for (const auto& piece : pieces) {
    if (!piece.from_input) of_template += piece.text + "\n";
  }
  for (const int64_t type : {3, 4}) {
    const tokenizer::Tokenizer& tokenizer = Vocabulary(type);
    for (const Token token : form.Encode(tokenizer, conversation)) {
      const std::string_view piece = tokenizer.Piece(token);
      fuzz::Claim(type == 4 || piece != "<|im_start|>" ||
                      of_template.find(piece) != std::string::npos,
                  "a mark in a message is no token");
    }
  }
}

}  // namespace
}  // namespace ropewalk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  const std::string_view source = fuzz::View(data, size);
  try {
    Run(source);
  } catch (const jinja::TemplateError& error) {
    fuzz::Claim(std::string_view(error.what()).starts_with("line "),
                "an error names its line");
    return 0;
  }
  fuzz::Accepts([&] { Ask(source); });
  return 0;
}
