#include "cli/app.h"

#include <ropewalk/version.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "engine/machine.h"
#include "program/ends.h"

namespace ropewalk::cli {
namespace {

// llama.cpp spells these with one dash, which a parser takes for -g -a -n.
std::vector<std::string> Rewrite(int argc, const char* const* argv) {
  std::vector<std::string> arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "-gan") {
      arguments.emplace_back("--grp-attn-n");
    } else if (argument == "-gaw") {
      arguments.emplace_back("--grp-attn-w");
    } else {
      arguments.push_back(argument);
    }
  }
  return arguments;
}

// What is wrong with the command line. The parser looks for what is missing
// before it minds what is too much, which hides a misspelt name.
std::string Explain(const CLI::App& app, const CLI::ParseError& error) {
  std::string command = "ropewalk";
  std::vector<std::string> unknown = app.remaining();
  for (const CLI::App* sub : app.get_subcommands()) {
    command += " " + sub->get_name();
    unknown = sub->remaining();
  }
  std::string what = error.what();
  if (error.get_exit_code() ==
          static_cast<int>(CLI::ExitCodes::RequiredError) &&
      !unknown.empty()) {
    what = "'" + unknown.front() + "' is not known here";
  }
  return what + " (see " + command + " --help)";
}

// All commands; throws what went wrong in one of them.
int ParseAndWork(int argc, const char* const* argv) {
  CLI::App app{
      "Reads far past the length a model was trained on.\n\n"
      "  ropewalk measure -m model.gguf -t text.txt     which scheme holds?\n"
      "  ropewalk run -m model.gguf -f long.txt         generate with it\n"};
  app.name("ropewalk");
  app.require_subcommand(1);
  app.set_version_flag("--version", "ropewalk " ROPEWALK_VERSION);
  app.footer(
      "Exit codes: 0 done, 1 the work failed, 2 the call was wrong.\n"
      "Every command has --help with an example. ROPEWALK_ISA=scalar (or "
      "avx2, ...)\nchooses the instruction set.");
  AddRun(app);
  AddChat(app);
  AddMeasure(app);
  AddNeedle(app);
  AddRemember(app);
  AddMemories(app);
  AddTune(app);
  AddBench(app);
  AddInspect(app);
  AddConvert(app);
  AddTokenize(app);
  AddPositions(app);
  AddDemo(app);
  AddLab(app);
  for (CLI::App* command : app.get_subcommands({})) {
    command->get_formatter()->column_width(28);
  }

  std::vector<std::string> arguments = Rewrite(argc, argv);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    engine::ChooseInstructionSet();
    app.parse(arguments);
  } catch (const CLI::Success& done) {  // --help, --version
    app.exit(done);
  } catch (const CLI::ParseError& error) {
    return program::Fail(Explain(app, error), 2);
  }
  return 0;
}

}  // namespace

int Run(int argc, const char* const* argv) {
  return program::RunToEnd([&] { return ParseAndWork(argc, argv); });
}

}  // namespace ropewalk::cli
