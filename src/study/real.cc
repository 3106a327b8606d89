#include "study/real.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"
#include "evaluate/model_scorer.h"
#include "evaluate/reading.h"
#include "formats/text_file.h"
#include "position/scheme.h"

namespace ropewalk::study {
namespace {

namespace fs = std::filesystem;

// Set and path of every file, sorted.
std::vector<std::pair<std::string, fs::path>> Files(const std::string& folder) {
  std::vector<std::pair<std::string, fs::path>> files;
  // What is hidden is no text: .git and the like. So is what no link leads to.
  const auto entries = [](const fs::path& path) {
    std::error_code error;
    std::vector<fs::path> found;
    for (fs::directory_iterator at(path, error), end; !error && at != end;
         at.increment(error)) {
      if (!at->path().filename().string().starts_with(".")) {
        found.push_back(at->path());
      }
    }
    if (error) {
      throw IoError("cannot read the folder '" + Printable(path.string()) +
                    "': " + error.message());
    }
    return found;
  };
  const auto add = [&](const fs::path& path, const std::string& set) {
    for (const fs::path& entry : entries(path)) {
      std::error_code none;
      if (fs::is_regular_file(entry, none)) files.emplace_back(set, entry);
    }
  };
  add(folder, "texts");
  for (const fs::path& entry : entries(folder)) {
    std::error_code none;
    if (fs::is_directory(entry, none)) add(entry, entry.filename().string());
  }
  std::ranges::sort(files);
  return files;
}

// "@tuned.toml 1a2b3c4d": the file without its folder, and what its layers are.
std::string NamedStack(const std::string& spelling) {
  std::string layers;
  for (const position::Scheme& layer : position::ParseScheme(spelling).layers) {
    layers += position::ToString(layer) + "\n";
  }
  return NameOf(spelling) + " " + Sha256(layers).substr(0, 8);
}

}  // namespace

std::string NameOf(const std::string& spelling) {
  if (!spelling.starts_with('@')) return spelling;
  return "@" + fs::path(spelling.substr(1)).filename().string();
}

std::vector<Text> ReadCorpus(
    const std::string& folder, const tokenizer::Tokenizer& tokenizer,
    const CorpusOptions& options,
    const std::function<void(const std::string& file)>& on_short) {
  std::map<std::string, std::vector<std::pair<std::string, evaluate::Document>>>
      sets;
  for (const auto& [set, path] : Files(folder)) {
    const std::string text = formats::ReadTextFile(path.string());
    formats::RequireUtf8(path.string(), text);
    evaluate::Document ids = evaluate::EncodeText(tokenizer, text);
    if (static_cast<int64_t>(ids.size()) < options.least) {
      on_short(path.filename().string());
      continue;
    }
    sets[set].emplace_back(path.filename().string(), std::move(ids));
  }
  Require(!sets.empty(), "--corpus '" + Printable(folder) +
                             "' has no text of at least " +
                             std::to_string(options.least) + " tokens");
  // The largest set first: what a study cut short says rests on it.
  std::vector<std::string> names;
  for (const auto& [set, files] : sets) names.push_back(set);
  std::ranges::stable_sort(names, std::greater{}, [&](const std::string& set) {
    return sets[set].size();
  });
  std::vector<Text> texts;
  for (int64_t piece = 0; piece < options.pieces; ++piece) {
    for (const std::string& set : names) {
      for (const auto& [name, ids] : sets[set]) {
        const auto n = static_cast<int64_t>(ids.size());
        // Pieces end in the middle of equal parts of the file: notes and
        // licences stand at its ends. A piece that would overlap the one before
        // is left out: both would score the same words.
        const auto end_of = [&](int64_t p) {
          return std::max(options.least,
                          n * (2 * p + 1) / (2 * options.pieces));
        };
        const int64_t end = end_of(piece);
        if (piece > 0 && end - end_of(piece - 1) < options.least) continue;
        const int64_t begin = std::max<int64_t>(0, end - options.most);
        texts.push_back({set,
                         name + " " + std::to_string(piece + 1) + "/" +
                             std::to_string(options.pieces),
                         piece,
                         {ids.begin() + begin, ids.begin() + end}});
      }
    }
  }
  return texts;
}

std::vector<RealJob> OpenJobs(const std::vector<Text>& texts, int64_t N,
                              const RealOptions& options, const Rows& rows) {
  std::vector<RealJob> jobs;
  std::map<std::pair<std::string, int64_t>, int64_t> seen;
  for (const Text& text : texts) {
    for (const int64_t times : options.times) {
      if (times * N > static_cast<int64_t>(text.ids.size())) continue;
      const int64_t number = seen[{text.set, times}]++;
      for (const Condition& condition : options.conditions) {
        if (condition.spelling.empty()) continue;
        const bool all = std::ranges::count(condition.all, times) > 0;
        const bool some = std::ranges::count(condition.some, times) > 0;
        if (!all && !(some && number < options.some)) continue;
        if (times >= 4 && number >= options.fourfold) continue;
        if (const Row* row =
                rows.Find(text.set, text.name, condition.name, times * N)) {
          Require(!condition.spelling.starts_with('@') ||
                      row->position == NamedStack(condition.spelling),
                  "the rows of '" + Printable(condition.name) + "' are of " +
                      Printable(row->position) +
                      ", not of the file that is there now; take them out "
                      "first");
          continue;
        }
        jobs.push_back(
            {&text, condition, times * N, 2 * text.piece + (all ? 0 : 1)});
      }
    }
  }
  std::ranges::stable_sort(jobs, {}, &RealJob::turn);
  return jobs;
}

Workload WorkOf(engine::Engine& engine, const std::vector<RealJob>& jobs) {
  const evaluate::ModelScorer scorer(engine);
  Workload work;
  for (const RealJob& job : jobs) {
    const position::Stack stack = position::BuildStack(
        position::Resolve(position::ParseScheme(job.condition.spelling),
                          engine.positions(), job.length),
        engine.positions(), job.length, scorer.layers());
    work += scorer.Work(stack, 0, job.length);
  }
  return work;
}

void RunReal(engine::Engine& engine, const std::vector<RealJob>& jobs,
             const RealOptions& options, const Run& run, Rows& rows,
             const RealCallbacks& callbacks) {
  const position::ModelPositions& positions = engine.positions();
  const int64_t N = positions.train_length;
  const int64_t layers = engine.model().config().L;
  for (const RealJob& job : jobs) {
    // Every text has numbers of its own, and under all schemes the same.
    uint64_t seed = 1;
    for (const char c : job.text->name) {
      seed = seed * 131 + static_cast<unsigned char>(c);
    }
    const evaluate::ReadingOptions reading_options =
        evaluate::ReadingFor(N, job.length, seed);
    const evaluate::Reading reading = evaluate::MakeReading(
        engine.tokenizer(), job.text->ids, reading_options);
    // At every length the same targets: those that a text of 2N lets see.
    const std::vector<int64_t> rare =
        evaluate::SeenOnlyLongAgo(job.text->ids, reading_options.scored, N,
                                  2 * N - 2 * reading_options.passage);
    const position::Scheme resolved = position::Resolve(
        position::ParseScheme(job.condition.spelling), positions, job.length);
    const position::Stack stack =
        position::BuildStack(resolved, positions, job.length, layers);
    const evaluate::ReadingScores scores = evaluate::Read(
        engine, stack, reading, options.kv_type, callbacks.on_tokens);
    Row row = RowOf(reading, scores, rare);
    row.run = rows.RunOf(run);
    row.set = job.text->set;
    row.document = job.text->name;
    row.scheme = job.condition.name;
    row.position = job.condition.spelling.starts_with('@')
                       ? NamedStack(job.condition.spelling)
                       : position::ToString(resolved);
    row.length = job.length;
    rows.Add(row);
    callbacks.on_row(row);
  }
}

}  // namespace ropewalk::study
