#include "cli/grammar_options.h"

#include "base/error.h"
#include "formats/text_file.h"
#include "grammar/gbnf.h"
#include "grammar/json_schema.h"

namespace ropewalk::cli {
namespace {

bool IsSchemaText(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string::npos &&
         (text[first] == '{' || text == "true" || text == "false");
}

}  // namespace

void GrammarOptions::Add(CLI::App& command) {
  const std::string group = "Grammar";
  const auto add = [&](const char* name, std::string& value, const char* type,
                       const char* help) {
    command.add_option(name, value, help)->group(group)->type_name(type);
  };
  add("--grammar", gbnf, "GBNF",
      "write only texts of this grammar, as llama.cpp spells them; a text with "
      "::=, or a file");
  add("--grammar-file", gbnf_file, "FILE", "the same from a file");
  add("-j,--json-schema", schema, "SCHEMA",
      "write only JSON that this schema allows; a JSON object, or a file; {} "
      "allows any JSON");
  add("--json-schema-file", schema_file, "FILE", "the same from a file");
}

std::optional<grammar::Grammar> GrammarOptions::Read() const {
  int given = 0;
  for (const std::string* option : {&gbnf, &gbnf_file, &schema, &schema_file}) {
    given += option->empty() ? 0 : 1;
  }
  Require(given <= 1,
          "--grammar, --grammar-file, --json-schema and --json-schema-file "
          "exclude each other: a text has one grammar");
  if (!gbnf.empty()) {
    const bool is_text = gbnf.find("::=") != std::string::npos;
    return grammar::ParseGbnf(is_text ? gbnf : formats::ReadTextFile(gbnf));
  }
  if (!gbnf_file.empty()) {
    return grammar::ParseGbnf(formats::ReadTextFile(gbnf_file));
  }
  if (!schema.empty() && IsSchemaText(schema)) {
    return grammar::ParseJsonSchema(schema, "--json-schema");
  }
  if (given == 0) return std::nullopt;
  const std::string& path = schema.empty() ? schema_file : schema;
  return grammar::ParseJsonSchema(formats::ReadTextFile(path), path);
}

}  // namespace ropewalk::cli
