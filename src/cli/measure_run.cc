#include "cli/measure_run.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/measure_report.h"
#include "cli/outputs.h"
#include "engine/engine.h"
#include "engine/machine.h"
#include "evaluate/measure.h"
#include "evaluate/model_scorer.h"
#include "formats/text_file.h"

namespace ropewalk::cli {
namespace {

using engine::Engine;

std::vector<int64_t> ResolveLengths(const MeasureJob& job, int64_t N) {
  if (job.lengths.empty()) return {N, 2 * N, 4 * N, 8 * N};
  std::vector<int64_t> lengths;
  for (const int64_t length : ParseLengths(job.lengths, "--length")) {
    if (std::ranges::find(lengths, length) == lengths.end()) {
      lengths.push_back(length);
    }
  }
  return lengths;
}

// Documents of the id files, then pieces of the texts.
std::vector<evaluate::Document> ReadDocuments(const MeasureJob& job,
                                              Engine& engine, int64_t size) {
  std::vector<evaluate::Document> documents;
  for (const std::string& path : job.id_files) {
    for (auto& document : formats::ReadIdsFile(path)) {
      documents.push_back(std::move(document));
    }
  }
  std::vector<evaluate::Document> texts;
  for (const std::string& path : job.texts) {
    const std::string text = formats::ReadTextFile(path);
    formats::RequireUtf8(path, text);
    texts.push_back(evaluate::EncodeText(engine.tokenizer(), text));
  }
  std::ranges::move(evaluate::CutTexts(std::move(texts), size, job.documents),
                    std::back_inserter(documents));
  return documents;
}

std::string Sources(const MeasureJob& job) {
  std::string names;
  for (const auto* paths : {&job.texts, &job.id_files}) {
    for (const std::string& path : *paths) {
      names += (names.empty() ? "" : ", ") +
               std::filesystem::path(path).filename().string();
    }
  }
  return names;
}

}  // namespace

void RunMeasure(const MeasureJob& job) {
  Require(!job.texts.empty() || !job.id_files.empty(),
          "measure: give a text with -t FILE or ids with --ids FILE");
  const auto texts = static_cast<int64_t>(job.texts.size());
  Require(job.documents >= texts, "--documents " +
                                      std::to_string(job.documents) +
                                      " would leave out some of the " +
                                      std::to_string(texts) + " texts");
  evaluate::MeasureOptions options{.schemes = ParseSchemes(job.spellings),
                                   .spellings = job.spellings,
                                   .repeat = job.repeat};
  (void)job.kv.Type();
  job.memory.Check();
  CatchInterrupts();
  // Found unwritable now rather than after the work.
  OutputFile json(job.json);
  OutputFile csv(job.csv);
  OutputFile html(job.html);
  OutputFile svg(job.svg);

  Engine engine(job.model.ForEngine());
  const OpenMemories memories(job.memory, engine);
  const DType kv_type = memories.TypeFor(job.kv);
  const int64_t N = engine.positions().train_length;
  options.lengths = ResolveLengths(job, N);
  options.score_last = ParseLengthOption(job.score_last, "--score-last", 0);
  options.by_position = ParseLengthOption(job.by_position, "--by-position", 0);
  const int64_t longest = *std::ranges::max_element(options.lengths);
  const int64_t size = std::max(longest + 1, job.repeat ? N : int64_t{0});
  evaluate::ModelScorer scorer(
      engine, kv_type,
      [&](const position::Stack& stack) { return memories.For(stack); });
  std::vector<evaluate::Document> documents = ReadDocuments(job, engine, size);
  ThrowIfInterrupted();
  evaluate::Measurement measurement(scorer, std::move(documents), options);

  RunFacts facts{
      .model = engine.model().config().name,
      .source = Sources(job),
      .command = job.command,
      .model_path = job.model.path,
      .more = {{"threads", std::to_string(engine.threads().workers()) + ", " +
                               engine::InstructionSet()},
               {"keys and values", std::string(InfoOf(kv_type).name)}},
      .vocabulary = engine.model().config().V};
  if (memories.Any()) {
    facts.more.emplace_back("beside", memories.Describe());
    std::fprintf(stderr, "beside %s\n", memories.Describe().c_str());
  }
  const std::string changed = position::ChangedLayers(engine.positions());
  if (!changed.empty()) {
    facts.more.emplace_back("schemes act", changed);
    std::fprintf(stderr, "schemes act %s; @all behind one changes all\n",
                 changed.c_str());
  }
  evaluate::MeasureResult result;
  try {
    Progress progress("measure", measurement.TotalWork(), "tokens");
    int64_t kv_bytes = 0;
    measurement.Run(
        {.on_tokens =
             [&](int64_t tokens, double work) {
               progress.Add(tokens, work);
               ThrowIfInterrupted();
             },
         .on_row =
             [&](const evaluate::MeasureRow& row) {
               kv_bytes = scorer.kv_bytes();
               progress.Clear();
               std::fprintf(stderr,
                            "%-28s %-8s %8lld  loss %.4f  accuracy %5.2f%%  "
                            "%s  kv %s\n",
                            row.position.c_str(), row.set.c_str(),
                            static_cast<long long>(row.length), row.loss,
                            100 * row.accuracy,
                            FormatDuration(row.seconds).c_str(),
                            FormatBytes(kv_bytes).c_str());
             },
         .on_start = [&](const std::string& what) { progress.SetLabel(what); }},
        result);
  } catch (const Interrupted&) {
    facts.interrupted = true;
  }
  const std::string text = MeasureText(result);
  std::fwrite(text.data(), 1, text.size(), stdout);
  // Stopped before anything was finished: what stood there before is worth
  // more than an empty list.
  if (!result.rows.empty()) {
    json.Finish(MeasureJson(result, facts));
    csv.Finish(MeasureCsv(result));
    html.Finish(MeasureHtml(result, facts));
    svg.Finish(MeasureSvg(result, facts));
  }
  if (facts.interrupted) throw Interrupted();
}

}  // namespace ropewalk::cli
