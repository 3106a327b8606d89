#include "cli/app.h"

#include <ropewalk/version.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "base/nearest_name.h"
#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/llama_cpp_options.h"
#include "engine/machine.h"
#include "program/ends.h"

namespace ropewalk::cli {
namespace {

// The names of the command's options, "--position" and "-p" alike.
std::vector<std::string> OptionNames(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      names.push_back("--" + name);
    }
  }
  return names;
}

// What a word that is not known was probably meant to be.
std::string Meant(const CLI::App& app, const CLI::App* command,
                  const std::string& word) {
  if (word.starts_with('-')) {
    return DidYouMean(word.substr(0, word.find('=')),
                      OptionNames(command == nullptr ? app : *command));
  }
  if (command != nullptr) return "";
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands({})) {
    names.push_back(sub->get_name());
  }
  return DidYouMean(word, names);
}

// What is wrong with the command line. The parser looks for what is missing
// before it minds what is too much, which hides a misspelt name.
std::string Explain(const CLI::App& app, const CLI::ParseError& error) {
  std::string name = "ropewalk";
  std::vector<std::string> unknown = app.remaining();
  const CLI::App* command = nullptr;
  for (const CLI::App* sub : app.get_subcommands()) {
    name += " " + sub->get_name();
    unknown = sub->remaining();
    command = sub;
  }
  std::string what = error.what();
  const int code = error.get_exit_code();
  const bool too_much = code == static_cast<int>(CLI::ExitCodes::ExtrasError);
  const bool hidden = code == static_cast<int>(CLI::ExitCodes::RequiredError);
  if ((too_much || hidden) && !unknown.empty()) {
    // The value of a misspelt option is among them; its name tells more.
    const auto option =
        std::find_if(unknown.begin(), unknown.end(),
                     [](const auto& word) { return word.starts_with('-'); });
    const std::string& word =
        option == unknown.end() ? unknown.front() : *option;
    what = "'" + word + "' is not known here" + Meant(app, command, word);
  }
  return what + " (see " + name + " --help)";
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
  AddServe(app);
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
  AddCompletion(app);
  for (CLI::App* command : app.get_subcommands({})) {
    command->get_formatter()->column_width(28);
  }

  if (argc == 1) {
    std::fputs(app.help().c_str(), stdout);
    return 0;
  }
  std::vector<std::string> arguments =
      FromLlamaCpp({argv + 1, argv + argc}, [](const std::string& note) {
        std::fprintf(stderr, "ropewalk: %s\n", note.c_str());
      });
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
