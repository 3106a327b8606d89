#include "cli/prompt_options.h"

#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "engine/chat_form.h"

namespace ropewalk::cli {

void PromptOptions::Add(CLI::App& command) {
  text.Add(command);
  command.add_flag("--special", special,
                   "read special pieces such as <|im_start|> in the text as "
                   "the tokens they name");
  command.add_flag("--chat", chat,
                   "put the text as a question into the chat form that the "
                   "model file names (ChatML, Llama 3, Gemma, Phi); special "
                   "pieces in it stay text");
  system_option = command.add_option(
      "--system", system,
      "with --chat: the system text, in place of the chat form's own; may be "
      "empty");
  system_option->type_name("STRING");
}

std::string PromptOptions::Read() const {
  Require(!chat || !special,
          "--chat and --special exclude each other: the chat form brings its "
          "own marks, and what it asks stays text");
  Require(chat || system_option->count() == 0, "--system goes with --chat");
  const auto broken = FindInvalidUtf8(system);
  Require(!broken, "the text of --system is not UTF-8 at byte " +
                       std::to_string(broken.value_or(0)));
  std::string read = text.Read();
  // An empty -p asks for a text from nothing; an empty file is a mistake.
  Require(!read.empty() || text.Source().empty(),
          "the prompt is empty: nothing in '" + text.Source() + "'");
  return read;
}

Prompt PromptOptions::Encode(const std::string& read,
                             engine::Engine& engine) const {
  const tokenizer::Tokenizer& tokenizer = engine.tokenizer();
  if (!chat) return {read, tokenizer.Encode(read, {.parse_special = special})};
  const auto form =
      engine::ChatForm::FromMetadata(engine.model().file().metadata());
  const std::optional<std::string> given =
      system_option->count() == 0
          ? std::nullopt
          : std::optional(text.escape ? Unescape(system, "--system") : system);
  return {engine::JoinPieces(form.Render(read, given)),
          form.Encode(tokenizer, read, given), form.name()};
}

}  // namespace ropewalk::cli
