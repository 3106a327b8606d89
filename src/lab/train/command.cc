#include "lab/train/command.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "formats/text_file.h"
#include "lab/train/config.h"
#include "lab/train/environment.h"
#include "lab/train/group.h"
#include "lab/train/launch.h"
#include "lab/train/trainer.h"
#include "program/numbers.h"

namespace ropewalk::lab::train {
namespace {

namespace fs = std::filesystem;

struct TrainJob {
  std::string config;
  std::vector<std::string> overrides;
  std::string resume;
  std::string out;
  int processes = 1;
  int threads = 0;
};

// Several processes on a machine share its cores, as OMP_NUM_THREADS says.
int64_t ThreadsOfProcess() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  const auto threads = text == nullptr ? std::nullopt : ParseInt(text);
  return threads && *threads > 0 && *threads <= 1024 ? *threads : 1;
}

// What is known before any process of a run is started.
struct Call {
  TrainConfig config;
  std::string folder;
  bool resume = false;
};

Call ReadCall(const TrainJob& job) {
  Require(job.config.empty() || job.resume.empty(),
          "train: give CONFIG.toml or --resume DIR, not both");
  Require(!job.config.empty() || !job.resume.empty(),
          "train: a CONFIG.toml, or --resume DIR");
  Require(job.out.empty() || job.resume.empty(),
          "train: --out is for new runs; --resume goes on in its own folder");
  const bool resume = !job.resume.empty();
  const std::string path =
      resume ? (fs::path(job.resume) / "config.toml").string() : job.config;
  // Part of the config that is kept, so that --resume has the same.
  std::vector<std::string> overrides = job.overrides;
  if (job.threads > 0) {
    overrides.push_back("train.threads=" + std::to_string(job.threads));
  }
  TrainConfig config =
      ReadTrainConfig(formats::ReadTextFile(path), Printable(path), overrides);
  if (config.threads == 0 && IsLaunched()) config.threads = ThreadsOfProcess();
  const std::string folder = resume ? job.resume
                             : job.out.empty()
                                 ? (fs::path("out") / config.name).string()
                                 : job.out;
  return {.config = std::move(config), .folder = folder, .resume = resume};
}

void Run(Call call) {
  // Until all have met there is nothing to lose, and a signal may kill.
  const std::unique_ptr<Group> group = MakeGroup(call.config.device);
  CatchInterrupts();
  try {
    Trainer trainer(std::move(call.config), call.folder, call.resume, *group);
    trainer.Run();
  } catch (const Interrupted&) {
    if (group->IsFirst()) throw;
    DieOfInterrupt();  // the first process says it for all
  } catch (const PeerFailed&) {
    throw CLI::RuntimeError(1);
  }
  if (group->IsFirst()) {
    std::fprintf(stderr, "done: %s\n",
                 (fs::path(call.folder) / "index.html").c_str());
  }
}

}  // namespace

void AddTrain(CLI::App& app, char** argv) {
  CLI::App* command =
      app.add_subcommand("train", "train a model by a TOML config");
  auto job = std::make_shared<TrainJob>();
  command->add_option("CONFIG", job->config, "what to train, as TOML")
      ->type_name("FILE");
  command
      ->add_option("--set", job->overrides,
                   "key=value over the config, as --set train.steps=100; "
                   "repeatable")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command
      ->add_option("--resume", job->resume,
                   "go on with the run in this folder; needs no CONFIG")
      ->type_name("DIR");
  command->add_option("--out", job->out, "folder of the run; default out/NAME")
      ->type_name("DIR");
  program::AddInteger(*command, "--threads", job->threads, "default: all cores",
                      {.least = 1, .most = 1024});
  command->footer(
      "Examples:\n"
      "  ropewalk train model.toml --out runs/first\n"
      "  ropewalk train model.toml --set model.position=hwfa:window=16\n"
      "  ropewalk train --resume runs/first\n"
      "  ropewalk train model.toml --nproc 2\n\n"
      "The folder gets config.toml, checkpoint.safetensors, log.jsonl, "
      "index.html\nwith the curves, and the exports that the config asks for.");
  program::AddInteger(*command, "--nproc", job->processes,
                      "processes on this machine that share each batch",
                      {.least = 1, .most = 1024});
  command->callback([job, argv] {
    Call call = ReadCall(*job);
    if (job->processes > 1 && !IsLaunched()) {
      // A wrong call is told once, and not by every process.
      CheckRun(call.config, call.folder, call.resume, job->processes);
      if (const int code = Launch(job->processes, argv); code != 0) {
        throw CLI::RuntimeError(code);
      }
      return;
    }
    Run(std::move(call));
  });
}

}  // namespace ropewalk::lab::train
