// ropewalk-lab: the training wing as a program of its own, so that those who
// only run models need no LibTorch. `ropewalk train` and `ropewalk reproduce`
// start it.

#include <ropewalk/version.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "kernels/cpu/isa.h"
#include "lab/studies/command.h"
#include "lab/train/command.h"
#include "lab/train/environment.h"
#include "lab/train/launch.h"
#include "program/ends.h"

namespace ropewalk::lab {
namespace {

int ParseAndWork(int argc, char** argv) {
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
    return program::Fail(error.what(), 2);
  }
  return 0;
}

int Main(int argc, char** argv) {
  const std::string slow = train::PrepareProcess(argv);
  train::KeepFreedMemory();
  program::PrepareEnds(
      {.interrupted = "interrupted; train goes on with --resume, reproduce "
                      "with the same command",
       .mapped = "a model or token file",
       // LibTorch's errors go on with a stack trace.
       .first_line = true,
       // The launcher of --nproc says it for all.
       .quiet_stop = train::IsLaunched()});
  if (!slow.empty()) std::fprintf(stderr, "note: %s\n", slow.c_str());
  return program::RunToEnd([&] { return ParseAndWork(argc, argv); });
}

}  // namespace
}  // namespace ropewalk::lab

int main(int argc, char** argv) { return ropewalk::lab::Main(argc, argv); }
