#include "cli/prompt_options.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "engine/chat_template.h"

namespace ropewalk::cli {

void PromptOptions::Add(CLI::App& command) {
  text.Add(command, true);
  command.add_flag("--special", special,
                   "read special pieces such as <|im_start|> in the text as "
                   "the tokens they name");
  command.add_flag("--chat", chat,
                   "put the text as a question into the chat template of the "
                   "model file; special pieces in it stay text");
  system_option = command.add_option(
      "--system", system,
      "with --chat: the system text, in place of the chat template's own; may "
      "be empty");
  system_option->type_name("STRING");
}

PromptTexts PromptOptions::Read() const {
  Require(!chat || !special,
          "--chat and --special exclude each other: the chat template brings "
          "its own marks, and what it asks stays text");
  Require(chat || system_option->count() == 0, "--system goes with --chat");
  const auto broken = FindInvalidUtf8(system);
  Require(!broken, "the text of --system is not UTF-8 at byte " +
                       std::to_string(broken.value_or(0)));
  PromptTexts read{.asked = text.ReadPrompts()};
  if (text.file_option->count() > 0 || read.asked.empty()) {
    read.file = text.ReadFile();
    // An empty -p asks for a text from nothing; an empty file is a mistake.
    Require(!read.file.empty(),
            "the prompt is empty: nothing in '" + text.Source() + "'");
    // A question about a text begins a line of its own.
    if (!read.asked.empty() && !read.file.ends_with('\n')) read.file += '\n';
  }
  return read;
}

Prompts PromptOptions::Encode(const PromptTexts& texts,
                              engine::Engine& engine) const {
  const tokenizer::Tokenizer& tokenizer = engine.tokenizer();
  std::optional<engine::ChatTemplate> form;
  std::optional<std::string> given;
  if (chat) {
    form = engine::ChatTemplate::FromMetadata(engine.model().file().metadata());
    if (system_option->count() > 0) {
      given = text.escape ? Unescape(system, "--system") : system;
    }
  }
  const auto encode = [&](const std::string& read) -> Prompt {
    if (!form) {
      return {read, tokenizer.Encode(read, {.parse_special = special})};
    }
    engine::Conversation conversation;
    if (given) conversation.Add("system", *given);
    conversation.Add("user", read);
    return {form->RenderText(conversation),
            form->Encode(tokenizer, conversation)};
  };
  Prompts prompts{.form = form ? form->name() : ""};
  for (const std::string& asked : texts.asked) {
    prompts.all.push_back(encode(texts.file + asked));
  }
  const Prompt alone = encode(texts.file);
  if (texts.asked.empty()) {
    prompts.all.push_back(alone);
    return prompts;
  }
  if (texts.file.empty()) return prompts;
  // The last tokens of a text may depend on what follows it.
  prompts.shared = static_cast<int64_t>(alone.tokens.size());
  for (const Prompt& prompt : prompts.all) {
    const auto [end, other] =
        std::mismatch(alone.tokens.begin(), alone.tokens.end(),
                      prompt.tokens.begin(), prompt.tokens.end());
    const auto most = static_cast<int64_t>(prompt.tokens.size()) - 1;
    prompts.shared =
        std::min({prompts.shared,
                  static_cast<int64_t>(end - alone.tokens.begin()), most});
  }
  return prompts;
}

}  // namespace ropewalk::cli
