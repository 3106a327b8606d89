// ropewalk measure: which position scheme holds for this model and text?

#include "evaluate/measure.h"

#include <memory>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/measure_quick.h"
#include "cli/measure_run.h"
#include "program/numbers.h"

namespace ropewalk::cli {

void AddMeasure(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "measure", "loss against length, every scheme in one run");
  auto job = std::make_shared<MeasureJob>();
  auto position = std::make_shared<PositionOptions>();
  auto quick = std::make_shared<QuickJob>();
  job->model.Add(*command);
  command
      ->add_option("-t,--text", job->texts,
                   "text to read (UTF-8, may be .gz); repeat for more")
      ->type_name("FILE")
      ->allow_extra_args(true);
  command
      ->add_option("--ids", job->id_files,
                   "file of token ids, one document a line")
      ->type_name("FILE");
  position->Add(*command, true);
  job->kv.Add(*command);
  job->memory.Add(*command, /*chooses=*/false);
  command
      ->add_option("--length", job->lengths,
                   "lengths to read, as in 512,4k; default N, 2N, 4N and 8N "
                   "for a model trained to N, or N and 2N where it is large")
      ->type_name("LEN")
      ->delimiter(',');
  command
      ->add_option("--score-last", job->score_last,
                   "targets scored at the end of each document; default N, at "
                   "most the least length")
      ->type_name("LEN");
  program::AddInteger(*command, "--documents", job->documents,
                      "pieces cut from the texts, evenly spread; default "
                      "64, and fewer for models that would take long",
                      {.least = 1, .most = kMostDocuments});
  command->add_flag("--repeat", job->repeat,
                    "also the repeated set: the last N ids again and again");
  command
      ->add_option("--by-position", job->by_position,
                   "also the loss of each stretch of so many tokens")
      ->type_name("LEN");
  command->add_option("--json", job->json, "write every row as JSON")
      ->type_name("FILE");
  command->add_option("--csv", job->csv, "write every row as CSV")
      ->type_name("FILE");
  command->add_option("--html", job->html, "write one page with the plots")
      ->type_name("FILE");
  command
      ->add_option("--svg", job->svg,
                   "write the plot alone: loss against length, or along the "
                   "text with --by-position")
      ->type_name("FILE");
  command->add_flag("--quick", quick->on,
                    "say which scheme to use on this text, in about a minute; "
                    "one --length, 2N by default");
  auto time = std::make_shared<std::string>();
  command
      ->add_option("--time", *time,
                   "the time to take, as in 90s or 10m: short lengths first, "
                   "then as many pieces as fit; with --quick 60s by default")
      ->type_name("TIME");
  command->footer(
      "Examples:\n"
      "  ropewalk measure --quick -m model.gguf -t book.txt.gz --length 16k\n"
      "  ropewalk measure -m model.gguf -t book.txt.gz --time 10m\n"
      "  ropewalk measure -m model.gguf -t book.txt.gz --length 2k,8k,32k \\\n"
      "    --position rope --position rerope:window=1024+logn-clip \\\n"
      "    --html report.html\n\n"
      "Default schemes: rope, window, rerope, rerope+logn-clip, "
      "leaky-rerope.\nCtrl-C keeps the rows that are there; with --json FILE "
      "the "
      "same command then goes\non behind them. A ! marks a value that was "
      "known to fail beforehand; it "
      "is computed all the same.");
  command->callback([job, position, quick, time] {
    job->command = CommandLine();
    if (!time->empty()) {
      (quick->on ? quick->seconds : job->seconds) =
          ParseSecondsOption(*time, "--time");
    }
    if (quick->on) {
      job->spellings = position->Spellings({});
      return MeasureQuickly(*job, *quick);
    }
    job->spellings = position->Spellings(evaluate::DefaultSpellings());
    RunMeasure(*job);
  });
}

}  // namespace ropewalk::cli
