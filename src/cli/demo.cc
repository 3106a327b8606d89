// ropewalk demo: one model, one text, every default scheme, one page.

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "base/error.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/measure_run.h"

namespace ropewalk::cli {

void AddDemo(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "demo", "measure a model past its trained length and draw the page");
  auto job = std::make_shared<MeasureJob>();
  auto html = std::make_shared<std::string>("out/demo.html");
  job->model.Add(*command, false);
  command->add_option("-t,--text", job->texts, "text to read")->expected(1);
  command->add_option("--html", *html, "the page to write")
      ->capture_default_str();
  job->documents = 8;
  command->add_option("--documents", job->documents, "pieces cut from the text")
      ->capture_default_str();
  command->footer(
      "Example:\n  ropewalk demo -m model.gguf -t text.txt.gz\n\n"
      "A model that comes with ropewalk itself is on its way; until then name "
      "one.");
  command->callback([job, html] {
    Require(!job->model.path.empty() && !job->texts.empty(),
            "demo: name a model and a text: ropewalk demo -m MODEL -t TEXT "
            "(or make demo MODEL=... TEXT=...)");
    job->html = *html;
    job->spellings = DefaultSpellings();
    job->command = CommandLine();
    const std::filesystem::path folder =
        std::filesystem::path(job->html).parent_path();
    if (!folder.empty()) std::filesystem::create_directories(folder);
    RunMeasure(*job);
    std::printf("\nThe page with the plots: %s\n", job->html.c_str());
  });
}

}  // namespace ropewalk::cli
