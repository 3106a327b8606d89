// ropewalk-lab: the training wing as a program of its own, so that those who
// only run models need no LibTorch. `ropewalk train` and `ropewalk reproduce`
// start it.

#include <ropewalk/version.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

#include "base/error.h"
#include "base/interrupt.h"
#include "kernels/cpu/isa.h"
#include "lab/studies/command.h"
#include "lab/train/command.h"
#include "lab/train/environment.h"

namespace ropewalk::lab {
namespace {

// As LibTorch's errors go on with a stack trace, only their first line.
std::string FirstLine(const std::exception& error) {
  const std::string what = error.what();
  return what.substr(0, what.find('\n'));
}

int Main(int argc, char** argv) {
  const std::string slow = train::PrepareProcess(argv);
  train::KeepFreedMemory();
  if (!slow.empty()) std::fprintf(stderr, "note: %s\n", slow.c_str());
  CLI::App app("Ropewalk's training wing", "ropewalk");
  app.set_version_flag("--version", ROPEWALK_VERSION);
  app.require_subcommand(1);
  train::AddTrain(app, argv);
  studies::AddReproduce(app);
  try {
    kernels::ChooseIsaFromEnvironment();
    app.parse(argc, argv);
  } catch (const CLI::RuntimeError& error) {
    return error.get_exit_code();  // a process of --nproc has said why
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::fprintf(stderr, "ropewalk: %s\n", FirstLine(error).c_str());
    return 2;
  } catch (const Interrupted&) {
    std::fprintf(stderr,
                 "interrupted; train goes on with --resume, reproduce with the "
                 "same command\n");
    DieOfInterrupt();
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "ropewalk: %s\n", FirstLine(error).c_str());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ropewalk: %s\n", FirstLine(error).c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace ropewalk::lab

int main(int argc, char** argv) { return ropewalk::lab::Main(argc, argv); }
