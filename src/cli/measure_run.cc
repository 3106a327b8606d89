#include "cli/measure_run.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/sha256.h"
#include "cli/measure_known.h"
#include "cli/measure_report.h"
#include "cli/outputs.h"
#include "engine/engine.h"
#include "engine/machine.h"
#include "evaluate/measure.h"
#include "evaluate/model_scorer.h"
#include "formats/text_file.h"
#include "position/recommendation.h"

namespace ropewalk::cli {
namespace {

using engine::Engine;

// Without --length, --documents and --time: multiplications for some ten
// minutes of two cores, at the rate that demo.cc has measured.
constexpr double kDefaultWork = 3e13;
constexpr int64_t kDefaultPieces = 64;

double MultiplicationsOf(const evaluate::Scorer& scorer,
                         const evaluate::MeasureOptions& options, bool repeat) {
  const int64_t scored =
      options.score_last > 0
          ? options.score_last
          : std::min(scorer.positions().train_length,
                     *std::ranges::min_element(options.lengths));
  double work = 0;
  for (const position::Scheme& scheme : options.schemes) {
    for (const int64_t length : options.lengths) {
      const Workload one =
          evaluate::WorkOf(scorer, scheme, length, std::min(scored, length));
      work += one.steady + one.growing;
    }
  }
  return repeat ? 2 * work : work;
}

// What was not asked for: no more than can be read in minutes, if that is two
// lengths at least.
int64_t ChoosePieces(const MeasureJob& job, const evaluate::Scorer& scorer,
                     evaluate::MeasureOptions& options) {
  const auto work = [&] {
    return MultiplicationsOf(scorer, options, job.repeat);
  };
  if (job.seconds == 0) {
    while (job.lengths.empty() && options.lengths.size() > 2 &&
           work() > kDefaultWork) {
      options.lengths.pop_back();
    }
  }
  if (job.documents > 0) return job.documents;
  const int64_t pieces =
      job.seconds > 0
          ? kDefaultPieces
          : std::clamp<int64_t>(static_cast<int64_t>(kDefaultWork / work()), 1,
                                kDefaultPieces);
  return std::max(pieces, static_cast<int64_t>(job.texts.size()));
}

// All that a row depends on beside its scheme and length.
std::string DigestOf(const MeasureJob& job, const std::string& memories,
                     const evaluate::MeasureOptions& options, DType kv_type,
                     Engine& engine,
                     const std::vector<evaluate::Document>& documents) {
  std::string text;
  for (const std::string& part :
       {engine.Hash(), std::string(InfoOf(kv_type).name), memories,
        std::to_string(job.model.exact),
        std::to_string(engine.positions().train_length),
        std::to_string(options.score_last), std::to_string(options.by_position),
        std::to_string(options.repeat)}) {
    text += part + "\n";
  }
  // Lengths decide where the scored block of a document may begin.
  for (const int64_t length : options.lengths) {
    text += std::to_string(length) + " ";
  }
  for (const evaluate::Document& document : documents) {
    text += "\n";
    for (const Token id : document) text += std::to_string(id) + " ";
  }
  return Sha256(text).substr(0, 16);
}

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
                                              Engine& engine, int64_t size,
                                              int64_t pieces) {
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
  std::ranges::move(evaluate::CutTexts(std::move(texts), size, pieces),
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

// What will be read, and how to read less or more.
void Announce(const MeasureJob& job, const evaluate::Measurement& measurement,
              const evaluate::MeasureOptions& options) {
  std::string lengths;
  for (const int64_t length : options.lengths) {
    lengths += (lengths.empty() ? "" : ", ") + std::to_string(length);
  }
  const size_t schemes = options.schemes.size();
  std::string what = std::to_string(schemes) +
                     (schemes == 1 ? " scheme at " : " schemes at ") + lengths +
                     " tokens";
  if (job.seconds > 0) {
    what += ", as much as ends within " + FormatDuration(job.seconds);
  } else {
    const int64_t count = measurement.documents();
    what += " of " + std::to_string(count) +
            (count == 1 ? " document" : " documents");
    if (measurement.known() > 0) {
      what += "; " + job.json + " has " + std::to_string(measurement.known()) +
              " of " + std::to_string(measurement.rows()) + " rows";
    } else if (job.documents == 0 && job.id_files.empty()) {
      what += "; --documents and --length ask for more, --time 10m for a time";
    }
  }
  std::fprintf(stderr, "%s\n", what.c_str());
}

}  // namespace

void RunMeasure(const MeasureJob& job) {
  Require(!job.texts.empty() || !job.id_files.empty(),
          "measure: give a text with -t FILE or ids with --ids FILE");
  const auto texts = static_cast<int64_t>(job.texts.size());
  Require(job.documents == 0 || job.documents >= texts,
          "--documents " + std::to_string(job.documents) +
              " would leave out some of the " + std::to_string(texts) +
              " texts");
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
  evaluate::ModelScorer scorer(
      engine, kv_type,
      [&](const position::Stack& stack) { return memories.For(stack); });
  const int64_t pieces = ChoosePieces(job, scorer, options);
  const int64_t longest = *std::ranges::max_element(options.lengths);
  const int64_t size = std::max(longest + 1, job.repeat ? N : int64_t{0});
  std::vector<evaluate::Document> documents =
      ReadDocuments(job, engine, size, pieces);
  ThrowIfInterrupted();
  const std::string digest =
      job.json.empty()
          ? ""
          : DigestOf(job, memories.Any() ? memories.Describe() : "", options,
                     kv_type, engine, documents);
  evaluate::Measurement measurement(scorer, std::move(documents), options);
  if (job.seconds == 0) {
    KnownRows known = ReadKnownRows(job.json, digest);
    measurement.Know(std::move(known.rows), std::move(known.stretches));
  }

  RunFacts facts{
      .model = engine.model().config().name,
      .source = Sources(job),
      .command = job.command,
      .model_path = job.model.path,
      .measurement = digest,
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
  for (const position::Scheme& scheme : options.schemes) {
    const auto warning = position::NotTrainedFor(
        position::Resolve(scheme, engine.positions(), longest),
        engine.positions(), longest);
    if (!warning) continue;
    std::fprintf(stderr, "warning: %s\n", warning->c_str());
    facts.more.emplace_back("warning", *warning);
  }
  evaluate::MeasureResult result;
  Announce(job, measurement, options);
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  try {
    // Within a time the work is not known.
    Progress progress("measure",
                      job.seconds > 0 ? Workload() : measurement.TotalWork(),
                      "tokens");
    int64_t kv_bytes = 0;
    const evaluate::MeasureCallbacks callbacks = {
        .on_tokens =
            [&](int64_t tokens, const Workload& work) {
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
        .on_start = [&](const std::string& what) { progress.SetLabel(what); }};
    if (job.seconds > 0) {
      measurement.RunWithin(
          job.seconds,
          [&] {
            return std::chrono::duration<double>(Clock::now() - begin).count();
          },
          callbacks, result);
    } else {
      measurement.Run(callbacks, result);
    }
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
  if (facts.interrupted) {
    if (!job.json.empty() && job.seconds == 0 && !result.rows.empty()) {
      std::fprintf(stderr, "the same command goes on behind these rows\n");
    }
    throw Interrupted();
  }
}

}  // namespace ropewalk::cli
