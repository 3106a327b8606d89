// What `run` is to read, and how: as plain text, with special tokens in it, or
// as one question in the model's chat form.

#ifndef ROPEWALK_CLI_PROMPT_OPTIONS_H_
#define ROPEWALK_CLI_PROMPT_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/token.h"
#include "cli/options.h"
#include "engine/engine.h"

namespace ropewalk::cli {

struct Prompt {
  std::string text;  // as the model reads it, marks of a chat form included
  std::vector<Token> tokens;
  std::string form;  // "ChatML"; empty without a chat form
};

// -p, -f, --escape, --special, --chat, --system.
struct PromptOptions {
  TextOptions text;
  bool special = false;
  bool chat = false;
  std::string system;
  CLI::Option* system_option = nullptr;

  void Add(CLI::App& command);

  // The text before the model is loaded, so that a wrong call fails at once.
  // Throws like TextOptions::Read, and std::invalid_argument for options that
  // exclude each other or a file without text.
  std::string Read() const;

  // Throws FormatError for a model whose chat form is not supported.
  Prompt Encode(const std::string& text, engine::Engine& engine) const;
};

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_PROMPT_OPTIONS_H_
