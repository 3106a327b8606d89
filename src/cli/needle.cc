// ropewalk needle: a number hidden in a long text, asked for at the end.

#include "evaluate/needle.h"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/text.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/measure_run.h"
#include "cli/memory_options.h"
#include "cli/options.h"
#include "cli/outputs.h"
#include "engine/engine.h"
#include "evaluate/model_scorer.h"
#include "program/numbers.h"
#include "report/heat_map.h"
#include "report/json.h"
#include "report/number.h"
#include "report/page.h"
#include "report/table.h"

namespace ropewalk::cli {
namespace {

using engine::Engine;
using evaluate::NeedleOptions;
using evaluate::NeedleRow;

struct NeedleJob {
  ModelOptions model;
  PositionOptions position;
  KvOptions kv;
  MemoryOptions memory;
  std::vector<std::string> lengths;
  std::vector<double> at = {0, 25, 50, 75, 100};
  int64_t trials = 5;
  uint64_t seed = 1;
  std::string json;
  std::string csv;
  std::string html;
};

report::Table RowsTable(const std::vector<NeedleRow>& rows) {
  report::Table table({{.name = "position"},
                       {.name = "resolved"},
                       {.name = "length"},
                       {.name = "at"},
                       {.name = "trials"},
                       {.name = "accuracy", .digits = 2},
                       {.name = "digit_accuracy", .digits = 2},
                       {.name = "loss", .digits = 3},
                       {.name = "seconds", .digits = 1},
                       {.name = "known_to_fail"}});
  for (const NeedleRow& row : rows) {
    table.AddRow({row.position, row.resolved, row.length, row.at, row.trials,
                  row.accuracy, row.digit_accuracy, row.loss, row.seconds,
                  row.known_to_fail.value_or("")});
  }
  return table;
}

std::string ToJson(const std::vector<NeedleRow>& rows, const Engine& engine,
                   const NeedleOptions& options) {
  nlohmann::ordered_json json;
  json["model"] = engine.model().config().name;
  json["train_length"] = engine.positions().train_length;
  json["trials"] = options.trials;
  json["seed"] = options.seed;
  json["rows"] = report::ToJson(RowsTable(rows));
  return report::DumpJson(json);
}

std::string GridSvg(const std::vector<NeedleRow>& rows,
                    const NeedleOptions& options, const std::string& position) {
  report::HeatMap map{.title = position,
                      .row_label = "place of the number, %",
                      .column_label = "tokens of context"};
  for (const int64_t length : options.lengths) {
    map.columns.push_back(std::to_string(length));
  }
  for (const double at : options.at) {
    map.rows.push_back(FormatNumber(at));
    auto& cells = map.values.emplace_back();
    for (const int64_t length : options.lengths) {
      auto& cell = cells.emplace_back();
      for (const NeedleRow& row : rows) {
        if (row.position == position && row.length == length && row.at == at) {
          cell = row.accuracy;
        }
      }
    }
  }
  return report::ToSvg(map);
}

// Of the longest length, over its places.
std::string FoundMost(const std::vector<NeedleRow>& rows) {
  int64_t longest = 0;
  for (const NeedleRow& row : rows) longest = std::max(longest, row.length);
  std::string best;
  double most = -1;
  for (const NeedleRow& one : rows) {
    double found = 0;
    int64_t places = 0;
    for (const NeedleRow& row : rows) {
      if (row.position != one.position || row.length != longest) continue;
      found += row.accuracy;
      ++places;
    }
    if (places == 0 || found / static_cast<double>(places) <= most) continue;
    most = found / static_cast<double>(places);
    best = one.position;
  }
  if (best.empty()) return "Nothing was measured";
  const std::string where = "At " + std::to_string(longest) + " tokens ";
  if (most == 0) return where + "no scheme finds a number";
  return where + best + " finds " +
         report::FormatValue(most, report::NumberStyle::kPercent, 0) +
         " of the numbers, no other more; use --position " + best;
}

std::string ToHtml(const std::vector<NeedleRow>& rows, const Engine& engine,
                   const NeedleOptions& options) {
  report::Page page(engine.model().config().name + ": hidden numbers");
  page.AddParagraph(
      "A five-digit number stands at one place of a long, dull text and is "
      "asked for at the end. A cell is the share of numbers that greedy "
      "decoding would say without a mistake.");
  page.AddVerdict(FoundMost(rows));
  page.AddFacts({{"model", engine.Describe()},
                 {"numbers a cell", std::to_string(options.trials)},
                 {"seed", std::to_string(options.seed)}});
  for (const std::string& position : options.spellings) {
    page.AddFigure(GridSvg(rows, options, position));
  }
  page.AddTable(RowsTable(rows), "Every cell");
  page.AddCode(CommandLine());
  return page.Html();
}

// One block a scheme: places down, lengths across.
std::string ToText(const std::vector<NeedleRow>& rows,
                   const NeedleOptions& options) {
  std::string text;
  for (const std::string& position : options.spellings) {
    std::vector<report::Column> columns = {{.name = "at %"}};
    for (const int64_t length : options.lengths) {
      columns.push_back(
          {.name = std::to_string(length), .align = report::Align::kRight});
    }
    report::Table table(columns);
    bool any = false;
    std::string why;  // it was known to fail
    for (const double at : options.at) {
      std::vector<report::Cell> cells = {FormatNumber(at)};
      for (const int64_t length : options.lengths) {
        report::Cell cell;
        for (const NeedleRow& row : rows) {
          if (row.position == position && row.length == length &&
              row.at == at) {
            cell =
                report::Cell(report::FormatValue(
                                 row.accuracy, report::NumberStyle::kPlain, 2) +
                             (row.known_to_fail ? "!" : " "));
            any = true;
            if (row.known_to_fail) why = *row.known_to_fail;
          }
        }
        cells.push_back(cell);
      }
      table.AddRow(std::move(cells));
    }
    if (any) text += position + "\n" + report::ToText(table);
    if (!why.empty()) text += "! " + why.substr(0, why.find("; try ")) + "\n";
    if (any) text += "\n";
  }
  return text;
}

void RunCommand(const NeedleJob& job) {
  NeedleOptions options{
      .spellings = job.position.Spellings({"rope", "rerope+logn-clip"}),
      .at = job.at,
      .trials = job.trials,
      .seed = job.seed};
  options.schemes = ParseSchemes(options.spellings);
  job.memory.Check();
  CatchInterrupts();
  OutputFile json(job.json);
  OutputFile csv(job.csv);
  OutputFile html(job.html);
  Engine engine(job.model.ForEngine());
  const int64_t N = engine.positions().train_length;
  options.lengths = job.lengths.empty()
                        ? std::vector<int64_t>{N, 2 * N, 4 * N, 8 * N}
                        : ParseLengths(job.lengths, "--length");
  const OpenMemories memories(job.memory, engine);
  evaluate::ModelScorer scorer(
      engine, memories.TypeFor(job.kv),
      [&](const position::Stack& stack) { return memories.For(stack); });
  if (memories.Any()) {
    std::fprintf(stderr, "beside %s\n", memories.Describe().c_str());
  }
  Workload total;
  for (const position::Scheme& scheme : options.schemes) {
    for (const int64_t length : options.lengths) {
      const position::Stack stack = position::BuildStack(
          position::Resolve(scheme, engine.positions(), length),
          engine.positions(), length, scorer.layers());
      total += scorer.Work(stack, 0, length) *
               static_cast<double>(options.trials) *
               static_cast<double>(options.at.size());
    }
  }
  std::vector<NeedleRow> rows;
  bool interrupted = false;
  try {
    Progress progress("needle", total, "tokens");
    evaluate::RunNeedle(
        scorer, engine.tokenizer(), options,
        [&](int64_t tokens, const Workload& work) {
          progress.Add(tokens, work);
          ThrowIfInterrupted();
        },
        [&](const NeedleRow& row) {
          rows.push_back(row);
          progress.SetLabel(row.position + " at " + std::to_string(row.length));
        });
  } catch (const Interrupted&) {
    interrupted = true;
  }
  const std::string text = ToText(rows, options);
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (!rows.empty()) {
    json.Finish(ToJson(rows, engine, options));
    csv.Finish(report::ToCsv(RowsTable(rows)));
    html.Finish(ToHtml(rows, engine, options));
  }
  if (interrupted) throw Interrupted();
}

}  // namespace

void AddNeedle(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "needle", "find a hidden number: accuracy by length and place");
  auto job = std::make_shared<NeedleJob>();
  job->model.Add(*command);
  job->position.Add(*command, true);
  job->kv.Add(*command);
  job->memory.Add(*command, /*chooses=*/false);
  command
      ->add_option("--length", job->lengths,
                   "lengths of the prompts; default N, 2N, 4N and 8N")
      ->type_name("LEN")
      ->delimiter(',');
  program::AddFloats(*command, "--at", job->at,
                     "where the number stands, percent",
                     {.least = 0, .most = 100})
      ->type_name("PERCENT")
      ->capture_default_str();
  program::AddInteger(*command, "--trials", job->trials, "numbers a cell",
                      {.least = 1, .most = 1000000})
      ->capture_default_str();
  program::AddInteger(*command, "--seed", job->seed, "of the numbers")
      ->type_name("SEED")
      ->capture_default_str();
  command->add_option("--json", job->json, "write every cell as JSON")
      ->type_name("FILE");
  command->add_option("--csv", job->csv, "write every cell as CSV")
      ->type_name("FILE");
  command->add_option("--html", job->html, "write one page with the grids")
      ->type_name("FILE");
  command->footer(
      "Example:\n  ropewalk needle -m model.gguf --length 4k,16k --at 0,50,100 "
      "\\\n    --position rope --position rerope+logn-clip --html grid.html");
  command->callback([job] { RunCommand(*job); });
}

}  // namespace ropewalk::cli
