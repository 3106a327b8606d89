// ropewalk tune: which scheme serves this model best, far past its length?

#include "study/tune.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/outputs.h"
#include "engine/engine.h"
#include "evaluate/documents.h"
#include "formats/text_file.h"
#include "program/numbers.h"
#include "report/number.h"
#include "report/table.h"

namespace ropewalk::cli {
namespace {

struct TuneCommand {
  ModelOptions model;
  KvOptions kv;
  std::vector<std::string> texts;
  std::string length;
  int64_t minutes = 20;
  double weight = 0.1;
  std::string out;
  std::string csv;
};

std::optional<double> Percent(const std::optional<double>& fraction) {
  if (!fraction) return std::nullopt;
  return 100 * *fraction;
}

report::Table TableOf(const study::SearchResult& result, double weight) {
  report::Table table(
      {{.name = "scheme"},
       {.name = "loss", .digits = 4, .best = report::Best::kLow},
       {.name = "passage_loss", .digits = 4},
       {.name = "passage_right", .unit = "%", .digits = 1},
       {.name = "needle_loss", .digits = 4},
       {.name = "needles_right", .unit = "%", .digits = 1},
       {.name = "cost", .digits = 4, .best = report::Best::kLow},
       {.name = "seconds", .digits = 1},
       {.name = "best"}});
  for (size_t i = 0; i < result.trials.size(); ++i) {
    const study::Trial& trial = result.trials[i];
    table.AddRow({trial.candidate.name, trial.loss, trial.passage_loss,
                  100 * trial.passage_accuracy, trial.needle_loss,
                  Percent(trial.needle_accuracy), trial.Cost(weight),
                  trial.seconds, i == result.best ? "*" : ""});
  }
  return table;
}

// The middle of each text.
std::vector<evaluate::Document> ReadTexts(const TuneCommand& command,
                                          engine::Engine& engine,
                                          int64_t length) {
  std::vector<evaluate::Document> documents;
  for (const std::string& path : command.texts) {
    const std::string text = formats::ReadTextFile(path);
    formats::RequireUtf8(path, text);
    const evaluate::Document ids =
        evaluate::EncodeText(engine.tokenizer(), text);
    const auto n = static_cast<int64_t>(ids.size());
    Require(n >= length, "tune: '" + Printable(path) + "' has " +
                             std::to_string(n) + " tokens, the length is " +
                             std::to_string(length));
    const auto begin = ids.begin() + (n - length) / 2;
    documents.emplace_back(begin, begin + length);
  }
  return documents;
}

void RunCommand(const TuneCommand& command) {
  CatchInterrupts();
  OutputFile out(command.out);
  OutputFile csv(command.csv);
  study::TuneOptions options{.kv_type = command.kv.Type()};
  engine::Engine engine(command.model.ForEngine());
  const int64_t N = engine.positions().train_length;
  options.length = ParseLengthOption(command.length, "--length", 2 * N);
  Require(options.length > N, "tune: --length must be above the trained " +
                                  std::to_string(N) + ", got " +
                                  std::to_string(options.length));
  const std::vector<evaluate::Document> texts =
      ReadTexts(command, engine, options.length);
  study::SearchOptions search{
      .N = N,
      .length = options.length,
      .acts = study::LayersThatAct(engine, options.length),
      .weight = command.weight,
      .seconds = 60.0 * static_cast<double>(command.minutes)};
  Require(std::ranges::count(search.acts, true) > 0,
          "tune: no layer of this model reads the whole text, so that no "
          "scheme changes anything");

  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  const auto clock = [&] {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  Progress progress("tune", 0, "tokens");
  options.on_tokens = [&](int64_t tokens) {
    progress.Add(tokens);
    ThrowIfInterrupted();
  };
  study::SearchResult result;
  const auto finish = [&] {
    if (result.trials.empty()) return;
    const report::Table table = TableOf(result, command.weight);
    const std::string shown = ToText(table);
    std::fwrite(shown.data(), 1, shown.size(), stdout);
    const study::Trial& best = result.trials[result.best];
    const auto number = [](double value) {
      return report::FormatValue(value, report::NumberStyle::kPlain, 4);
    };
    std::string names;
    for (const std::string& path : command.texts) {
      names += (names.empty() ? "" : ", ") +
               std::filesystem::path(path).filename().string();
    }
    out.Finish(study::StackFile(
        best,
        "# " + best.candidate.name + "\n# found by ropewalk tune for " +
            Printable(engine.model().config().name, 200) + " on " +
            Printable(names, 400) + "\n# at " + std::to_string(options.length) +
            " tokens: loss " + number(best.loss) + ", passage " +
            number(best.passage_loss) +
            (best.needle_loss ? ", numbers " + number(*best.needle_loss) : "") +
            "\n"));
    csv.Finish(ToCsv(table));
    if (!command.out.empty()) {
      std::fprintf(stderr, "read with it: ropewalk run -m %s --position @%s\n",
                   Printable(command.model.path, 200).c_str(),
                   Printable(command.out, 200).c_str());
    }
  };
  try {
    study::Search(
        search,
        [&](const study::Candidate& candidate) {
          progress.SetLabel(candidate.name);
          study::Trial trial =
              study::Measure(engine, texts, options, candidate);
          progress.Clear();
          std::fprintf(stderr,
                       "%-60s loss %.4f  passage %.4f  needles %.4f  cost "
                       "%.4f\n",
                       candidate.name.c_str(), trial.loss, trial.passage_loss,
                       trial.needle_loss.value_or(NAN),
                       trial.Cost(command.weight));
          return trial;
        },
        clock, result);
  } catch (const Interrupted&) {
    progress.Clear();
    finish();
    throw;
  }
  progress.Clear();
  finish();
}

}  // namespace

void AddTune(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("tune", "search the scheme that serves a model best");
  auto options = std::make_shared<TuneCommand>();
  options->model.Add(*command);
  command
      ->add_option("-t,--text", options->texts,
                   "text to search with (UTF-8, may be .gz); repeat for more")
      ->type_name("FILE")
      ->allow_extra_args(true)
      ->required();
  command
      ->add_option("--length", options->length,
                   "tokens to read; default 2N for a model trained to N")
      ->type_name("LEN");
  program::AddInteger(*command, "--minutes", options->minutes,
                      "the most that the search takes",
                      {.least = 1, .most = 100000})
      ->capture_default_str();
  command
      ->add_option("--finding-weight", options->weight,
                   "what a nat of finding counts beside a nat of the text")
      ->type_name("X")
      ->check(CLI::Range(0.0, 1e6).description(""))
      ->capture_default_str();
  options->kv.Add(*command);
  command
      ->add_option("-o,--out", options->out,
                   "write the best as a file for --position @FILE")
      ->type_name("FILE");
  command->add_option("--csv", options->csv, "write every trial as CSV")
      ->type_name("FILE");
  command->footer(
      "Example:\n"
      "  ropewalk tune -m model.gguf -t book.txt.gz --minutes 30 -o "
      "best.toml\n"
      "  ropewalk run -m model.gguf -f long.txt --context 32k --position "
      "@best.toml\n\n"
      "Each trial reads the text once, and hidden numbers and a passage that "
      "comes\nback are asked for at its end. The least cost wins: loss of the "
      "text + weight x\nmean loss of passage and numbers.");
  command->callback([options] { RunCommand(*options); });
}

}  // namespace ropewalk::cli
