#include "cli/app.h"

#include <fcntl.h>
#include <ropewalk/version.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "cli/commands.h"
#include "engine/machine.h"

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

// What stands behind an option in --help: the kind of value, not its C++ type.
void NameValues(CLI::App& app) {
  static const std::map<std::string, std::string> kNames = {
      {"model", "FILE"},      {"file", "FILE"},   {"ids", "FILE"},
      {"text", "FILE"},       {"json", "FILE"},   {"csv", "FILE"},
      {"html", "FILE"},       {"svg", "FILE"},    {"position", "SCHEME"},
      {"length", "LEN"},      {"depth", "LEN"},   {"score-last", "LEN"},
      {"by-position", "LEN"}, {"context", "LEN"}, {"train-length", "LEN"},
      {"at", "PERCENT"},      {"type", "TYPE"},   {"rope-scaling", "NAME"},
      {"IN", "FILE"},         {"OUT", "FILE"},    {"MODEL", "FILE"}};
  for (CLI::App* command : app.get_subcommands({})) {
    command->get_formatter()->column_width(28);
    for (CLI::Option* option : command->get_options()) {
      const auto name = kNames.find(option->get_single_name());
      // A flag of the same name (inspect --json) takes no value.
      if (name != kNames.end() && option->get_expected_max() != 0) {
        option->type_name(name->second);
      }
    }
  }
}

// A file opened while a standard stream is closed (`>&-`) would take its
// number, and results would end up in it. Opened the wrong way round, so that
// using such a stream still fails.
void OccupyStandardStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) == -1) {
      (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
  }
}

// One line, whatever the message holds: names out of a hostile file must not
// steer the terminal either.
int Fail(const std::string& message, int code) {
  std::fprintf(stderr, "ropewalk: %s\n",
               Printable(message, message.size() * 4).c_str());
  return code;
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

// Buffered results that cannot be written are a failure like any other.
int Flush() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    return Fail("cannot write to standard output", 1);
  }
  return 0;
}

}  // namespace

int Run(int argc, const char* const* argv) {
  OccupyStandardStreams();
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
  AddMeasure(app);
  AddNeedle(app);
  AddBench(app);
  AddInspect(app);
  AddConvert(app);
  AddTokenize(app);
  AddPositions(app);
  AddDemo(app);
  AddLab(app);
  NameValues(app);

  std::vector<std::string> arguments = Rewrite(argc, argv);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    engine::ChooseInstructionSet();
    app.parse(arguments);
    return Flush();
  } catch (const CLI::Success& done) {  // --help, --version
    app.exit(done);
    return Flush();
  } catch (const CLI::ParseError& error) {
    return Fail(Explain(app, error), 2);
  } catch (const Interrupted&) {
    std::fflush(stdout);
    Fail("interrupted", 1);
    DieOfInterrupt();
  } catch (const std::invalid_argument& error) {
    std::fflush(stdout);
    return Fail(error.what(), 2);
  } catch (const std::bad_alloc&) {
    return Fail("out of memory (a shorter --length or --context needs less)",
                1);
  } catch (const std::filesystem::filesystem_error& error) {
    return Fail(error.what(), 1);
  } catch (const std::exception& error) {
    std::fflush(stdout);
    return Fail(error.what(), 1);
  }
}

}  // namespace ropewalk::cli
