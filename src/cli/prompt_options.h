// What `run` is to read, and how: as plain text, with special tokens in it, or
// as one question in the model's chat template.

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
  std::string text;  // as the model reads it, marks of a chat template included
  std::vector<Token> tokens;
};

// What a call reads. Prompts that ask about one text begin with the same
// tokens.
struct Prompts {
  std::vector<Prompt> all;  // at least one
  int64_t shared = 0;       // tokens of the text that all of them begin with
  std::string form;         // "ChatML"; empty without a chat template
};

// The texts of a call, before the model is loaded.
struct PromptTexts {
  std::string file;                // what -f or standard input gave
  std::vector<std::string> asked;  // those of -p; empty without
};

// -p, -f, --escape, --special, --chat, --system.
struct PromptOptions {
  TextOptions text;
  bool special = false;
  bool chat = false;
  std::string system;
  CLI::Option* system_option = nullptr;

  void Add(CLI::App& command);

  // Reads them first, so that a wrong call fails at once. Throws like
  // TextOptions::Read, and std::invalid_argument for options that exclude each
  // other or a file without text.
  PromptTexts Read() const;

  // Throws FormatError for a model without a chat template that can be read,
  // and std::invalid_argument for what the template refuses.
  Prompts Encode(const PromptTexts& texts, engine::Engine& engine) const;
};

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_PROMPT_OPTIONS_H_
