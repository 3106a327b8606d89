// The grammar that `run` holds its text to.

#ifndef ROPEWALK_CLI_GRAMMAR_OPTIONS_H_
#define ROPEWALK_CLI_GRAMMAR_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "grammar/grammar.h"

namespace ropewalk::cli {

// --grammar, --grammar-file, -j/--json-schema, --json-schema-file.
struct GrammarOptions {
  std::string gbnf;  // a text with ::=, or a file
  std::string gbnf_file;
  std::string schema;  // a JSON object, or a file
  std::string schema_file;

  void Add(CLI::App& command);

  // Nothing where none was given. Needs no model, so that a wrong call fails at
  // once. Throws std::invalid_argument, IoError and FormatError.
  std::optional<grammar::Grammar> Read() const;
};

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_GRAMMAR_OPTIONS_H_
