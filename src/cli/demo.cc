// ropewalk demo: one model, one text, the published methods side by side, one
// page. Without arguments the model that comes with ropewalk reads the King
// James Bible, which it was not trained on and Debian packages.

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "base/atomic_file.h"
#include "base/data_files.h"
#include "base/error.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/measure_run.h"
#include "evaluate/bible_text.h"

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
      ->expected(1);
  command->add_option("--html", *html, "the page to write")
      ->capture_default_str();
  job->documents = 16;
  command->add_option("--documents", job->documents, "pieces cut from the text")
      ->capture_default_str();
  command->footer(
      "Examples:\n  ropewalk demo\n"
      "  ropewalk demo -m model.gguf -t text.txt.gz\n\n"
      "Without -m it is the model in models/, trained to 256 tokens of English "
      "novels\n(see models/novels-4m.md).");
  command->callback([job, html] {
    if (job->model.path.empty()) job->model.path = DemoModel();
    const fs::path folder = fs::path(*html).parent_path();
    if (!folder.empty()) fs::create_directories(folder);
    if (job->texts.empty()) {
      const std::string path = (folder / "kjv.txt").string();
      WriteFileAtomically(path, evaluate::BibleText());
      job->texts = {path};
    }
    job->html = *html;
    job->spellings = {"rope",   "pi",     "ntk-fixed",       "ntk-mixed",
                      "window", "rerope", "rerope+logn-clip"};
    job->repeat = true;
    job->command = CommandLine();
    RunMeasure(*job);
    std::printf("\nThe page with the plots: %s\n", job->html.c_str());
  });
}

}  // namespace ropewalk::cli
