#include "engine/chat_template.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "engine/chat_encoder.h"

namespace ropewalk::engine {
namespace {

constexpr std::string_view kKey = "tokenizer.chat_template";
constexpr std::string_view kToolsKey = "tokenizer.chat_template.tool_use";

// Forms by a mark that only they have.
constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kNames =
    {{{"<|channel|>", "GPT-OSS"},
      {"<|im_start|>", "ChatML"},
      {"<|start_header_id|>", "Llama 3"},
      {"<|header_start|>", "Llama 4"},
      {"<start_of_turn>", "Gemma"},
      {"<\xef\xbd\x9cUser\xef\xbd\x9c>", "DeepSeek"},
      {"<|start_of_role|>", "Granite"},
      {"[gMASK]", "GLM"},
      {"<|START_OF_TURN_TOKEN|>", "Command R"},
      {"[|user|]", "EXAONE"},
      {"[INST]", "Mistral"},
      {"<|end|>", "Phi"},
      {"<|user|>", "Zephyr"},
      {"<|turn>", "Gemma 4"}}};

// Roles are words of the program's own: a template may build a mark of one, as
// in '<|' + role + '|>'.
constexpr std::string_view kRoles[] = {
    "system", "user",     "assistant", "tool",        "developer",
    "model",  "function", "ipython",   "observation", "tool_response"};

bool IsRole(std::string_view key, std::string_view text) {
  return key == "role" && std::find(std::begin(kRoles), std::end(kRoles),
                                    text) != std::end(kRoles);
}

std::string NameOf(std::string_view source) {
  for (const auto& [mark, name] : kNames) {
    if (source.find(mark) != std::string_view::npos) return std::string(name);
  }
  return "its own";
}

jinja::Template Parse(const formats::Metadata& metadata, std::string_view key,
                      const std::string& source) {
  try {
    return jinja::Template::Parse(source);
  } catch (const jinja::TemplateError& error) {
    throw metadata.Error(
        key, std::string("the chat template cannot be read: ") + error.what() +
                 "; write the turns into the prompt and read their marks as "
                 "special tokens instead");
  }
}

// The piece whose id the file has under `key`, as a variable.
void AddToken(const formats::Metadata& metadata, const std::string& variable,
              std::string_view key, jinja::Variables& variables) {
  const auto id = metadata.FindInt(key);
  const StringList* pieces = metadata.FindStringList("tokenizer.ggml.tokens");
  if (!id || pieces == nullptr || *id < 0 ||
      *id >= static_cast<int64_t>(pieces->size())) {
    return;
  }
  const std::string_view piece = (*pieces)[static_cast<size_t>(*id)];
  if (FindInvalidUtf8(piece)) return;
  variables.emplace_back(variable, jinja::Value::Of(piece));
}

jinja::Variables TokensOf(const formats::Metadata& metadata) {
  jinja::Variables variables;
  const auto add = [&](const std::string& variable, std::string_view key) {
    AddToken(metadata, variable, key, variables);
  };
  add("bos_token", "tokenizer.ggml.bos_token_id");
  add("eos_token", "tokenizer.ggml.eos_token_id");
  add("unk_token", "tokenizer.ggml.unknown_token_id");
  add("pad_token", "tokenizer.ggml.padding_token_id");
  return variables;
}

// A text that no template writes by itself.
constexpr const char* kProbe = "Qv7xZ2";

bool BeginsWithSystem(const Conversation& conversation) {
  const formats::Json& messages = conversation.messages;
  return !messages.empty() && messages[0].is_object() &&
         messages[0].value("role", "") == "system";
}

}  // namespace

void Conversation::Add(std::string_view role, std::string_view text) {
  messages.push_back({{"role", role}, {"content", text}});
}

ChatTemplate::ChatTemplate(std::string name, jinja::Template main,
                           std::optional<jinja::Template> with_tools,
                           jinja::Variables tokens)
    : name_(std::move(name)),
      main_(std::move(main)),
      with_tools_(std::move(with_tools)),
      tokens_(std::move(tokens)) {}

ChatTemplate ChatTemplate::FromMetadata(const formats::Metadata& metadata) {
  const std::optional<std::string> source = metadata.FindString(kKey);
  if (!source || source->empty()) {
    throw metadata.Error(kKey,
                         "missing: this file has no chat template (a base "
                         "model, not an instruct one?)");
  }
  std::optional<jinja::Template> with_tools;
  if (const auto other = metadata.FindString(kToolsKey)) {
    with_tools = Parse(metadata, kToolsKey, *other);
  }
  return ChatTemplate(NameOf(*source), Parse(metadata, kKey, *source),
                      std::move(with_tools), TokensOf(metadata));
}

std::vector<jinja::Piece> ChatTemplate::Run(
    const Conversation& conversation) const {
  const bool has_tools =
      conversation.tools.is_array() && !conversation.tools.empty();
  const jinja::Template& used = has_tools && with_tools_ ? *with_tools_ : main_;
  try {
    jinja::Variables variables = tokens_;
    variables.emplace_back(
        "messages", jinja::FromJson(conversation.messages, true, IsRole));
    variables.emplace_back(
        "tools",
        has_tools ? jinja::FromJson(conversation.tools, true) : jinja::Value());
    variables.emplace_back("documents", jinja::Value());
    variables.emplace_back("add_generation_prompt",
                           jinja::Value::Of(conversation.begins_answer));
    for (const auto& [name, value] : conversation.variables.items()) {
      variables.emplace_back(name, jinja::FromJson(value, true));
    }
    jinja::RenderOptions options;
    options.now = conversation.now ? *conversation.now : jinja::LocalTime();
    return used.Render(variables, options);
  } catch (const jinja::TemplateError& error) {
    throw std::invalid_argument("the chat template of this file (" + name_ +
                                "), " + Printable(error.what(), 300));
  } catch (const jinja::Failure& failure) {
    throw std::invalid_argument(std::string("the conversation: ") +
                                failure.what());
  }
}

// Some templates have no place for a system text and say nothing.
bool ChatTemplate::DropsSystemText() const {
  Conversation probe;
  probe.Add("system", kProbe);
  probe.Add("user", "x");
  try {
    return jinja::Join(Run(probe)).find(kProbe) == std::string::npos;
  } catch (const std::invalid_argument&) {
    return false;  // a template that refuses it says so itself
  }
}

std::vector<jinja::Piece> ChatTemplate::Render(
    const Conversation& conversation) const {
  Require(!BeginsWithSystem(conversation) || !DropsSystemText(),
          "the chat template of this file (" + name_ +
              ") has no place for a system text; put it into the prompt");
  return Run(conversation);
}

std::string ChatTemplate::RenderText(const Conversation& conversation) const {
  return jinja::Join(Render(conversation));
}

// The marks that open and end turns, of those that the vocabulary finds in any
// text: what the template writes around one question.
std::vector<std::string> ChatTemplate::TurnMarks(
    const tokenizer::Tokenizer& tokenizer) const {
  Conversation probe;
  probe.Add("user", "x");
  try {
    return PlainMarks(tokenizer, Run(probe));
  } catch (const std::invalid_argument&) {
    return {};  // a template that wants more than a question
  }
}

std::vector<Token> ChatTemplate::Encode(
    const tokenizer::Tokenizer& tokenizer,
    const Conversation& conversation) const {
  const std::vector<Token> body =
      EncodePieces(tokenizer, Render(conversation), TurnMarks(tokenizer));
  const std::optional<Token> bos = tokenizer.bos();
  const auto begin = std::find_if(body.begin(), body.end(), [&](Token token) {
    return !bos || token != *bos;
  });
  std::vector<Token> tokens = tokenizer.Encode("", {.add_eos = false});
  // A template that writes the begin token does so whatever the file says.
  if (tokens.empty() && begin != body.begin()) tokens.push_back(*bos);
  tokens.insert(tokens.end(), begin, body.end());
  return tokens;
}

}  // namespace ropewalk::engine
