#include "cli/app.h"

#include <unistd.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "cli/commands.h"
#include "kernels/cpu/isa.h"

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

// One line, whatever the message holds.
int Fail(const std::string& message, int code) {
  std::string line = message;
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  std::fprintf(stderr, "ropewalk: %s\n", line.c_str());
  return code;
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
  AddDemo(app);
  AddLab(app);

  std::vector<std::string> arguments = Rewrite(argc, argv);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    kernels::ChooseIsaFromEnvironment();
    app.parse(arguments);
    return Flush();
  } catch (const CLI::Success& done) {  // --help, --version
    app.exit(done);
    return Flush();
  } catch (const CLI::ParseError& error) {
    std::string command = "ropewalk";
    for (const CLI::App* sub : app.get_subcommands()) {
      command += " " + sub->get_name();
    }
    return Fail(std::string(error.what()) + " (see " + command + " --help)", 2);
  } catch (const Interrupted&) {
    Flush();
    Fail("interrupted", 1);
    DieOfInterrupt();
  } catch (const std::invalid_argument& error) {
    Flush();
    return Fail(error.what(), 2);
  } catch (const std::bad_alloc&) {
    return Fail("out of memory (a shorter --length or --context needs less)",
                1);
  } catch (const std::filesystem::filesystem_error& error) {
    return Fail(error.what(), 1);
  } catch (const std::exception& error) {
    Flush();
    return Fail(error.what(), 1);
  }
}

}  // namespace ropewalk::cli
