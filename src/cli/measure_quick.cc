#include "cli/measure_quick.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/text.h"
#include "cli/outputs.h"
#include "engine/engine.h"
#include "evaluate/documents.h"
#include "formats/text_file.h"
#include "report/table.h"
#include "study/quick.h"

namespace ropewalk::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kMostPieces = 8;  // of each text

void CheckJob(const MeasureJob& job) {
  Require(job.id_files.empty() && job.score_last.empty() &&
              job.by_position.empty() && !job.repeat && job.json.empty() &&
              job.html.empty() && job.svg.empty(),
          "--quick goes with -t, --position, --length, --time, --csv and the "
          "options of models and keys alone");
  Require(!job.texts.empty(), "--quick needs a text (-t FILE)");
  Require(job.lengths.size() <= 1, "--quick measures at one --length, got " +
                                       std::to_string(job.lengths.size()));
}

// Pieces of `length` tokens of all texts.
std::vector<evaluate::Document> ReadPieces(const MeasureJob& job,
                                           engine::Engine& engine,
                                           int64_t length) {
  std::vector<evaluate::Document> pieces;
  int64_t longest = 0;
  for (const std::string& path : job.texts) {
    const std::string text = formats::ReadTextFile(path);
    formats::RequireUtf8(path, text);
    const evaluate::Document ids =
        evaluate::EncodeText(engine.tokenizer(), text);
    const auto n = static_cast<int64_t>(ids.size());
    longest = std::max(longest, n);
    if (n < length) continue;
    auto cut =
        evaluate::CutPieces(ids, length, std::min(n / length, kMostPieces));
    std::move(cut.begin(), cut.end(), std::back_inserter(pieces));
  }
  Require(!pieces.empty(), "the longest text has " + std::to_string(longest) +
                               " tokens, which is too short to measure at " +
                               std::to_string(length) +
                               ": give a longer one, or a smaller --length");
  return pieces;
}

// With the spellings of the user, each with every parameter; `auto` comes
// first, since it is what runs without --position.
std::vector<std::string> Candidates(const MeasureJob& job,
                                    const position::ModelPositions& positions,
                                    int64_t length) {
  if (job.spellings.empty()) return study::QuickCandidates(positions, length);
  std::vector<std::string> candidates;
  std::vector<std::string> spellings = {"auto"};
  spellings.insert(spellings.end(), job.spellings.begin(), job.spellings.end());
  for (const std::string& spelling : spellings) {
    Require(spelling.find('@') == std::string::npos,
            "--quick takes no schemes of files and none with @all, got '" +
                Printable(spelling, 60) + "'");
    const std::string text = position::ToString(
        position::Resolve(position::ParseScheme(spelling), positions, length));
    if (std::find(candidates.begin(), candidates.end(), text) ==
        candidates.end()) {
      candidates.push_back(text);
    }
  }
  return candidates;
}

report::Table TableOf(const study::QuickResult& result) {
  report::Table table(
      {{.name = "scheme"},
       {.name = "pieces"},
       {.name = "loss", .digits = 4, .best = report::Best::kLow},
       {.name = "finding_loss", .digits = 4},
       {.name = "passage_right", .unit = "%", .digits = 1},
       {.name = "cost_above_best", .digits = 4},
       {.name = "stderr_of_loss", .digits = 4},
       {.name = "seconds", .digits = 1},
       {.name = "best"}});
  for (size_t i = 0; i < result.rows.size(); ++i) {
    const study::QuickRow& row = result.rows[i];
    table.AddRow({row.spelling, row.pieces, row.loss, row.finding,
                  100 * row.passage_accuracy, row.above_best,
                  row.standard_error, row.seconds,
                  i == result.best ? "*"
                  : row.is_worse   ? ""
                                   : "~"});
  }
  return table;
}

}  // namespace

void MeasureQuickly(const MeasureJob& job, const QuickJob& quick) {
  CheckJob(job);
  study::QuickOptions options{.seconds = quick.seconds};
  study::TuneOptions reading{.kv_type = job.kv.Type()};
  OutputFile csv(job.csv);
  engine::EngineOptions engine_options = job.model.ForEngine();
  engine_options.memory_limit = job.kv.MemoryLimit();
  engine::Engine engine(engine_options);
  CatchInterrupts();
  const int64_t N = engine.positions().train_length;
  reading.length = ParseLengthOption(
      job.lengths.empty() ? "" : job.lengths.front(), "--length", 2 * N);
  const std::vector<evaluate::Document> pieces =
      ReadPieces(job, engine, reading.length);
  options.pieces = static_cast<int64_t>(pieces.size());
  const std::vector<bool> acts = study::LayersThatAct(engine, reading.length);
  Require(std::find(acts.begin(), acts.end(), true) != acts.end(),
          "no layer of this model reads the whole text and rotates, so that no "
          "scheme changes anything: run it as it is");
  const std::vector<std::string> candidates =
      Candidates(job, engine.positions(), reading.length);
  std::fprintf(
      stderr, "%s; %lld tokens a piece, %lld pieces, %zu schemes, %s\n",
      engine.Describe().c_str(), static_cast<long long>(reading.length),
      static_cast<long long>(options.pieces), candidates.size(),
      FormatDuration(quick.seconds).c_str());

  const Clock::time_point begin = Clock::now();
  const auto clock = [&] {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  Progress progress("measure", 0, "tokens");
  reading.on_tokens = [&](int64_t tokens) {
    progress.Add(tokens);
    ThrowIfInterrupted();
  };
  study::QuickResult result;
  const auto finish = [&] {
    progress.Clear();
    if (result.rows.empty()) return;
    const report::Table table = TableOf(result);
    std::printf("%s\n%s\n", ToText(table).c_str(),
                study::VerdictOf(result).c_str());
    std::fflush(stdout);
    csv.Finish(ToCsv(table));
  };
  try {
    study::MeasureQuickly(
        candidates, options,
        [&](const std::string& spelling, int64_t piece) {
          progress.SetLabel(spelling);
          return study::Measure(engine, {pieces[static_cast<size_t>(piece)]},
                                reading, study::Uniform(spelling, acts));
        },
        clock,
        [&](const study::QuickRow& row) {
          progress.Clear();
          std::fprintf(stderr, "%-44s pieces %lld  loss %.4f  finding %.4f\n",
                       row.spelling.c_str(), static_cast<long long>(row.pieces),
                       row.loss, row.finding);
        },
        result);
  } catch (const Interrupted&) {
    finish();
    throw;
  }
  finish();
}

}  // namespace ropewalk::cli
