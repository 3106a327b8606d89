// ropewalk positions: every scheme, its parameters and its source.

#include <cstdio>
#include <string>

#include "cli/commands.h"
#include "position/definition.h"
#include "report/table.h"

namespace ropewalk::cli {
namespace {

void PrintSchemes() {
  report::Table schemes(
      {{.name = "scheme"}, {.name = "what it does"}, {.name = "source"}});
  report::Table parameters(
      {{.name = "scheme"}, {.name = "parameter"}, {.name = "meaning"}});
  for (const position::Definition* definition : position::AllDefinitions()) {
    const std::string name(definition->name);
    schemes.AddRow({name, definition->summary, definition->source});
    for (const position::Parameter& parameter : definition->parameters) {
      parameters.AddRow({name, parameter.key, parameter.meaning});
    }
  }
  std::printf(
      "spelled name[:key=value[,key=value]...], then +logn[:base=LEN], "
      "+logn-clip or\n+logn-learned; @FILE.toml gives one a layer, auto picks "
      "for the length\n\n%s\n%s\nN is the trained length, L the length at "
      "hand; docs/positions.md has the formulas.\n",
      report::ToText(schemes).c_str(), report::ToText(parameters).c_str());
}

}  // namespace

void AddPositions(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("positions", "every position scheme, in short");
  command->footer("Example:\n  ropewalk positions");
  command->callback(PrintSchemes);
}

}  // namespace ropewalk::cli
