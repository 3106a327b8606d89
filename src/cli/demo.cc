// ropewalk demo: one model, one text, the published methods side by side, one
// page. Without arguments the model that comes with ropewalk reads the King
// James Bible, which it was not trained on and Debian packages.

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "base/atomic_file.h"
#include "base/data_files.h"
#include "base/error.h"
#include "base/progress.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/measure_run.h"
#include "evaluate/bible_text.h"
#include "model/model.h"
#include "program/numbers.h"

namespace ropewalk::cli {
namespace {

namespace fs = std::filesystem;

std::string DemoModel() {
  const auto model = FindData("models/novels-4m.gguf");
  Require(model.has_value(),
          "demo: models/novels-4m.gguf is not beside this program; name a "
          "model with -m (or set ROPEWALK_DATA to the folder of models/)");
  return *model;
}

// What the demo reads. A model of millions of parameters reads much in
// minutes, one of a hundred millions a single text a little too long for it.
struct Plan {
  std::vector<double> lengths;  // in trained lengths
  int64_t documents = 1;
  bool repeat = false;
  int64_t stretches = 0;  // of a trained length, measured apart; 0: none
  std::vector<std::string> spellings;
};

const std::array<Plan, 3>& Plans() {
  static const std::array<Plan, 3> kPlans = {
      {{{1, 2, 4, 8},
        16,
        true,
        0,
        {"rope", "pi", "ntk-fixed", "ntk-mixed", "window", "rerope",
         "rerope+logn-clip"}},
       {{1, 2}, 2, false, 8, {"rope", "window", "sink-window", "rerope"}},
       {{1.5}, 1, false, 8, {"rope", "sink-window", "rerope"}}}};
  return kPlans;
}

// Multiplications and additions of reading, roughly: each weight once a token,
// and a score and a value for each pair of tokens in each layer.
double Work(const Plan& plan, const model::Model& model, double N) {
  double parameters = 0;
  for (const auto& tensor : model.file().tensors()) {
    parameters += static_cast<double>(tensor.Elements());
  }
  const auto width = static_cast<double>(model.config().L * model.config().E);
  double work = 0;
  for (const double length : plan.lengths) {
    const double tokens = length * N;
    work += tokens * (2 * parameters + 2 * width * tokens);
  }
  return work * static_cast<double>(plan.documents) *
         static_cast<double>(plan.spellings.size()) * (plan.repeat ? 2 : 1);
}

// The first plan that two cores finish in about five minutes, else the least.
// A core does some 6e10 operations a second (AVX-512, measured by this demo).
constexpr double kCoreRate = 6e10;
constexpr double kMostWork = 300 * 2 * kCoreRate;

// Fills in how far and under which schemes `job` reads; gives a line that says
// so.
std::string Choose(MeasureJob& job) {
  const engine::EngineOptions options = job.model.ForEngine();
  const model::Model model = model::Model::Load(options.path);
  const int64_t N = options.train_length > 0
                        ? options.train_length
                        : model.config().positions.train_length;
  const Plan* plan = nullptr;
  for (const Plan& candidate : Plans()) {
    plan = &candidate;
    if (Work(candidate, model, static_cast<double>(N)) <= kMostWork) break;
  }
  for (const double length : plan->lengths) {
    job.lengths.push_back(
        std::to_string(static_cast<int64_t>(length * static_cast<double>(N))));
  }
  job.spellings = plan->spellings;
  job.repeat = plan->repeat;
  if (job.documents == 0) job.documents = plan->documents;
  if (plan->stretches > 0 && N >= plan->stretches) {
    job.by_position = std::to_string(N / plan->stretches);
  }
  const int64_t threads =
      options.threads > 0
          ? options.threads
          : std::max<int64_t>(1, std::thread::hardware_concurrency());
  const double work = Work(*plan, model, static_cast<double>(N)) *
                      static_cast<double>(job.documents) /
                      static_cast<double>(plan->documents);
  return "reads up to " + job.lengths.back() + " tokens under " +
         std::to_string(job.spellings.size()) +
         " schemes with a model trained to " + std::to_string(N) + "; about " +
         FormatDuration(work / kCoreRate / static_cast<double>(threads)) +
         " on " + std::to_string(threads) + " threads";
}

}  // namespace

void AddDemo(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "demo", "measure a model past its trained length and draw the page");
  auto job = std::make_shared<MeasureJob>();
  auto html = std::make_shared<std::string>("out/demo.html");
  job->model.Add(*command, false);
  command
      ->add_option("-t,--text", job->texts,
                   "text to read; default: the "
                   "King James Bible of the Debian package bible-kjv")
      ->type_name("FILE")
      ->expected(1);
  command->add_option("--html", *html, "the page to write")
      ->type_name("FILE")
      ->capture_default_str();
  job->documents = 0;
  program::AddInteger(*command, "--documents", job->documents,
                      "pieces cut from the text; default 16 for a small model, "
                      "1 for a large one",
                      {.least = 1, .most = kMostDocuments});
  command->footer(
      "Examples:\n  ropewalk demo\n"
      "  ropewalk demo -m model.gguf -t text.txt.gz\n\n"
      "Without -m it is the model in models/, trained to 256 tokens of English "
      "novels\n(see models/novels-4m.md). How far and under which schemes a "
      "model reads depends\non its size, so that two cores need some minutes; "
      "`ropewalk measure` takes any.\nIn the source tree, ./demo MODEL=smollm2 "
      "(or gemma3) fetches a model first.");
  command->callback([job, html] {
    if (job->model.path.empty()) job->model.path = DemoModel();
    const std::string note = Choose(*job);
    const fs::path folder = fs::path(*html).parent_path();
    std::error_code error;
    if (!folder.empty()) fs::create_directories(folder, error);
    if (error) {
      throw IoError("cannot make the folder '" + folder.string() +
                    "': " + error.message());
    }
    if (job->texts.empty()) {
      const std::string path = (folder / "kjv.txt").string();
      WriteFileAtomically(path, evaluate::BibleText());
      job->texts = {path};
    }
    job->html = *html;
    job->command = CommandLine();
    std::fprintf(stderr, "%s\n", note.c_str());
    RunMeasure(*job);
    std::printf("\nThe page with the plots: %s\n", job->html.c_str());
  });
}

}  // namespace ropewalk::cli
