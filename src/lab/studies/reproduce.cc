#include "lab/studies/reproduce.h"

#include <ATen/Context.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "base/atomic_file.h"
#include "base/data_files.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/mapped_file.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/sha256.h"
#include "base/text.h"
#include "engine/machine.h"
#include "formats/text_file.h"
#include "lab/studies/bench.h"
#include "lab/studies/corpus.h"
#include "lab/studies/length_models.h"
#include "lab/studies/study_report.h"
#include "lab/studies/zoo.h"
#include "lab/train/environment.h"
#include "lab/train/text_source.h"
#include "position/scheme.h"
#include "report/table.h"

namespace ropewalk::lab::studies {
namespace {

namespace fs = std::filesystem;

// "NVIDIA H100 80GB HBM3", as the driver calls the first one.
std::string GpuName() {
  std::vector<fs::path> gpus;
  std::error_code none;
  for (const auto& entry :
       fs::directory_iterator("/proc/driver/nvidia/gpus", none)) {
    gpus.push_back(entry.path());
  }
  std::ranges::sort(gpus);
  for (const fs::path& gpu : gpus) {
    std::ifstream file(gpu / "information");
    for (std::string line; std::getline(file, line);) {
      const size_t name = line.find_first_not_of(" \t", sizeof("Model:") - 1);
      if (line.starts_with("Model:") && name != std::string::npos) {
        return line.substr(name);
      }
    }
  }
  return "a GPU";
}

// "2 x Intel(R) Xeon(R) ..., AVX3", before it the GPU that models are trained
// and scored on.
std::string Hardware(int64_t threads, const std::string& device = "cpu") {
  if (device != "cpu" && at::hasCUDA()) {
    return "1 x " + GpuName() + " (TensorFloat-32) and " + Hardware(threads);
  }
  return engine::Hardware(threads);
}

// Models and texts of the studies.
std::string CacheOfStudies(const ReproduceOptions& options) {
  return train::UsableCache(
      (fs::path(train::CacheFolder()) / "studies").string(),
      (fs::path(options.out) / "cache").string());
}

// As anyone would type it: no folders of this machine.
std::string CommandOf(const ReproduceOptions& options) {
  const auto name = [](const std::string& path) {
    return fs::path(path).filename().string();
  };
  std::string text = "ropewalk reproduce";
  for (const std::string& study : options.studies) text += " " + study;
  if (!options.model.empty()) {
    text += " -m " + name(options.model) + " -t " + name(options.text);
    if (options.train_length > 0) {
      text += " --train-length " + std::to_string(options.train_length);
    }
  } else {
    text += " --scale " + ToString(options.scale);
    if (!options.corpus.empty()) text += " --corpus CORPUS";
  }
  if (options.documents > 0) {
    text += " --documents " + std::to_string(options.documents);
  }
  if (!options.device.empty()) text += " --device " + options.device;
  return text;
}

// What rows were measured on, as far as it is not in their own columns.
std::string DataName(const ReproduceOptions& options, const std::string& hash) {
  return options.documents == 0
             ? hash
             : hash + ", " + std::to_string(options.documents) + " pieces";
}

// A study and its rows so far.
struct Running {
  const Study* study = nullptr;
  std::unique_ptr<Measurements> measured;
  std::vector<Published> published;
  std::string folder;
};

std::vector<Published> ReadPublished(const Study& study) {
  const std::string name = "studies/" + study.name() + "/published.csv";
  const auto path = FindData(name);
  if (!path) return {};
  return ParsePublished(formats::ReadTextFile(*path), name);
}

class Session {
 public:
  Session(ReproduceOptions options, Setting setting, Provenance provenance)
      : options_(std::move(options)), setting_(std::move(setting)) {
    if (options_.documents > 0) setting_.documents = options_.documents;
    for (const Study* study : FindStudies(options_.studies)) {
      // Each given model has tables of its own.
      fs::path folder = fs::path(options_.out) / study->name();
      if (!options_.model.empty()) {
        folder /= fs::path(options_.model).stem();
      }
      if (options_.report) {
        Require(fs::exists(folder / "measured.csv"),
                "reproduce --report: no rows in '" +
                    Printable(folder.string()) + "'");
      }
      fs::create_directories(folder);
      provenance.command = CommandOf(options_);
      Provenance from = provenance;
      if (!study->OwnData().empty()) from.data = study->OwnData();
      running_.push_back({.study = study,
                          .measured = std::make_unique<Measurements>(
                              (folder / "measured.csv").string(), from),
                          .published = ReadPublished(*study),
                          .folder = folder.string()});
    }
  }

  // False where this machine cannot train at the scale: there is nothing to
  // report then.
  bool Train(StudyCorpus corpus) {
    RequireKnown();
    const std::string folder = (fs::path(CacheOfStudies(options_)) /
                                (ToString(setting_.scale) + "-" + corpus.hash))
                                   .string();
    WriteFileAtomically(
        (fs::path(options_.out) / ResultName(setting_, "corpus", ".tsv"))
            .string(),
        corpus.listing);
    Zoo zoo(setting_, std::move(corpus), folder, options_.threads);
    if (setting_.scale == Scale::kPaper &&
        (options_.device == "cpu" || !at::hasCUDA())) {
      TryPaper(zoo);
      return false;
    }
    NameBible();
    zoo.HeldOut();  // too few of them is said now, not after a training
    RunOwnJobs(/*of_texts=*/true);
    for (const ModelSpec& spec : Models()) {
      if (!Chosen(spec) || !Wanted(spec)) continue;
      Say(spec.Label());
      const TrainedModel trained = zoo.Obtain(spec);
      const ops::Precision precision =
          ConfigOf(setting_, spec.overrides).model.precision;
      Bench bench(setting_, trained.file, zoo.HeldOut(),
                  {.threads = options_.threads,
                   .task_rows = trained.task_rows,
                   .checkpoint = trained.checkpoint,
                   .device = ConfigOf(setting_).device,
                   .curve = trained.curve});
      for (const Running& running : running_) {
        if (!Has(*running.study, spec)) continue;
        RunJobs(running, running.study->Jobs(setting_, spec), bench, spec,
                precision);
      }
    }
    RunOwnJobs(/*of_texts=*/false);  // trainings of their own, long ones
    return true;
  }

  // The Bible's edition beside the corpus, where a model reads it.
  void NameBible() const {
    const std::vector<ModelSpec> models = Models();
    if (std::ranges::none_of(models, [&](const ModelSpec& spec) {
          return spec.reads_bible && Chosen(spec);
        })) {
      return;
    }
    WriteFileAtomically(
        (fs::path(options_.out) / ResultName(setting_, "bible", ".tsv"))
            .string(),
        BibleCorpus(CacheOfStudies(options_)).listing);
  }

  // Where no study reads texts.
  void RunWithoutTexts() {
    RequireKnown();
    RunOwnJobs(/*of_texts=*/false);
  }

  void Given(const std::string& name, Bench& bench) {
    for (const Running& running : running_) {
      RunJobs(running, running.study->GivenJobs(setting_), bench,
              {.name = name, .seed = 0});
    }
  }

  // Writes and prints; throws where a claim that must hold does not.
  void Report() {
    std::string failed;
    for (const Running& running : running_) {
      running.measured->Refresh();
      const StudyResults results = Results(running);
      WriteResults(results, running.folder);
      const std::string text = ResultText(results);
      std::fwrite(text.data(), 1, text.size(), stdout);
      std::fflush(stdout);
      std::fprintf(stderr, "rows, tables and page: %s\n",
                   Printable(running.folder, 200).c_str());
      // A part of the models cannot show what the whole does.
      if (!options_.only.empty() || options_.report ||
          setting_.scale == Scale::kGiven) {
        continue;
      }
      for (const std::string& claim : FailedClaims(results)) {
        failed += (failed.empty() ? "" : "; ") + claim;
      }
    }
    if (!stopped_.empty()) throw IoError(stopped_);
    if (!failed.empty()) {
      throw std::runtime_error("reproduce: " + failed);
    }
  }

 private:
  // Weeks on a processor: one step shows that the config is sound.
  void TryPaper(Zoo& zoo) const {
    constexpr int64_t kSequences = 2;
    const auto begin = std::chrono::steady_clock::now();
    std::set<std::string> tried;
    for (const Running& running : running_) {
      const std::vector<ModelSpec> models = running.study->Models(setting_);
      if (models.empty()) continue;
      const ModelSpec& spec = models.front();
      if (!tried.insert(spec.Label()).second) continue;
      const double loss = zoo.TryStep(spec, kSequences);
      std::fprintf(stderr, "%s: loss %.3f after one step of %lld sequences\n",
                   spec.Label().c_str(), loss,
                   static_cast<long long>(kSequences));
    }
    const std::chrono::duration<double> seconds =
        std::chrono::steady_clock::now() - begin;
    std::fprintf(stderr,
                 "no GPU here: the paper scale was tried (%s) and trains "
                 "nothing more\n",
                 FormatDuration(seconds.count()).c_str());
  }

  static void Say(const std::string& text) {
    std::fprintf(stderr, "== %s\n", text.c_str());
  }

  StudyResults Results(const Running& running) const {
    return {.study = running.study,
            .setting = &setting_,
            .measured = running.measured.get(),
            .published = running.published};
  }

  // A name that no study has a model of would be a run that does nothing.
  void RequireKnown() const {
    for (const std::string& name : options_.only) {
      std::string known;
      bool found = false;
      for (const ModelSpec& spec : Models()) {
        known += (known.empty() ? "" : ", ") + spec.Label();
        found = found || name == spec.name || name == spec.Label();
      }
      Require(found,
              "--only: '" + Printable(name, 40) + "' is none of " + known);
    }
  }

  // Of all studies, each once, in the order of their first mention.
  std::vector<ModelSpec> Models() const {
    std::vector<ModelSpec> models;
    const auto add = [&](const ModelSpec& spec) {
      const bool known =
          std::ranges::any_of(models, [&](const ModelSpec& other) {
            return other.Label() == spec.Label();
          });
      if (!known) models.push_back(spec);
    };
    // Each study's first seed before anybody's second.
    for (const bool first : {true, false}) {
      for (const Running& running : running_) {
        for (const ModelSpec& spec : running.study->Models(setting_)) {
          if (first == (spec.seed == 1)) add(spec);
        }
      }
    }
    return models;
  }

  bool Has(const Study& study, const ModelSpec& spec) const {
    const std::vector<ModelSpec> models = study.Models(setting_);
    return std::ranges::any_of(models, [&](const ModelSpec& other) {
      return other.Label() == spec.Label();
    });
  }

  bool Chosen(const ModelSpec& spec) const {
    return options_.only.empty() ||
           std::ranges::any_of(options_.only, [&](const std::string& name) {
             return name == spec.name || name == spec.Label();
           });
  }

  // Whether any study lacks a row of the model.
  bool Wanted(const ModelSpec& spec) const {
    return std::ranges::any_of(running_, [&](const Running& running) {
      if (!Has(*running.study, spec)) return false;
      const std::vector<Job> jobs = running.study->Jobs(setting_, spec);
      return std::ranges::any_of(jobs, [&](const Job& job) {
        return !running.measured->Has(job.row, spec.name, spec.seed, job.lines);
      });
    });
  }

  // Of studies that read texts, or of those that do not. Data that a study
  // brings and this machine lacks ends that study alone: what it has is
  // reported before the run fails.
  void RunOwnJobs(bool of_texts) {
    if (!options_.only.empty()) return;
    static const std::vector<evaluate::Document> kNone;
    for (const Running& running : running_) {
      if (running.study->OwnData().empty() != of_texts) continue;
      Bench bench(setting_, "", kNone, {.folder = running.folder});
      try {
        RunJobs(running, running.study->OwnJobs(setting_), bench, {.seed = 0});
      } catch (const IoError& error) {
        if (of_texts) throw;
        stopped_ += (stopped_.empty() ? "" : "; ") + running.study->name() +
                    ": " + error.what();
      }
    }
  }

  void RunJobs(const Running& running, const std::vector<Job>& jobs,
               Bench& bench, const ModelSpec& model,
               ops::Precision precision = ops::Precision::kFull) {
    for (const Job& job : jobs) {
      const uint64_t seed = job.seed != 0 ? job.seed : model.seed;
      if (running.measured->Has(job.row, model.name, seed, job.lines)) continue;
      ThrowIfInterrupted();
      std::vector<Measurement> lines = job.run(bench);
      ROPEWALK_CHECK(!lines.empty());
      std::string shown;
      for (Measurement& line : lines) {
        line.model = model.name;
        line.seed = seed;
        if (line.row.empty()) line.row = job.row;
        if (line.set == "along" || line.set.ends_with("curve") ||
            shown.size() > 150) {
          continue;
        }
        shown +=
            "  " + line.set + " " + std::to_string(line.length) + " " +
            line.metric + " " +
            report::FormatValue(line.value, report::NumberStyle::kPlain, 3);
      }
      running.measured->Add(lines, precision);
      std::fprintf(stderr, "%s: %s%s\n", running.study->name().c_str(),
                   job.row.c_str(), shown.c_str());
    }
  }

  ReproduceOptions options_;
  Setting setting_;
  std::vector<Running> running_;
  std::string stopped_;  // studies that lacked their data
};

// A text of the user's, cut as `measure` cuts it.
std::vector<evaluate::Document> Pieces(engine::Engine& model,
                                       const std::string& text,
                                       const std::string& path, int64_t tokens,
                                       int64_t documents) {
  const evaluate::Document ids = evaluate::EncodeText(model.tokenizer(), text);
  std::vector<evaluate::Document> pieces =
      evaluate::CutPieces(ids, tokens, documents);
  Require(!pieces.empty(),
          "'" + Printable(path) + "' has " + std::to_string(ids.size()) +
              " tokens; the study reads " + std::to_string(tokens));
  return pieces;
}

// Tells model files apart: by size and first megabyte, headers and some
// weights, as files of many gigabytes would take long to hash.
std::string NameOf(std::span<const std::byte> bytes) {
  const size_t some = std::min(bytes.size(), size_t{1} << 20);
  const std::string text(reinterpret_cast<const char*>(bytes.data()), some);
  return Sha256(text + std::to_string(bytes.size())).substr(0, 12);
}

// Studies that can say something of a given model; all of them, where nobody
// chose.
std::vector<std::string> GivenStudies(const ReproduceOptions& options) {
  std::vector<std::string> able;
  for (const Study* study : AllStudies()) {
    if (!study->GivenJobs({.scale = Scale::kGiven, .N = 512, .L = 4}).empty()) {
      able.push_back(study->name());
    }
  }
  std::string names;
  for (const std::string& name : able)
    names += (names.empty() ? "" : ", ") + name;
  if (options.studies == std::vector<std::string>{"all"}) return able;
  for (const Study* study : FindStudies(options.studies)) {
    Require(std::ranges::find(able, study->name()) != able.end(),
            "reproduce: " + study->name() +
                " is about how models are trained and has nothing to measure "
                "on a given one; -m goes with " +
                names);
  }
  return options.studies;
}

// The scale that the file's own law brings. Throws std::invalid_argument for a
// law that other laws cannot take the place of.
std::string OwnSuffix(const position::ModelPositions& positions) {
  if (positions.own_spelling.empty()) return "";
  const std::vector<std::string>& own = positions.own_spelling;
  const position::Scheme scheme = position::ParseScheme(own.front());
  const bool plain = own.size() == 1 && scheme.name == "rope";
  Require(plain, "reproduce: this model has a law of its own (" +
                     Printable(own.front(), 60) +
                     (own.size() > 1 ? ", a law a layer" : "") +
                     "); laws for models that were trained with plain RoPE say "
                     "nothing of it");
  const std::string spelling = position::ToString(scheme);
  const size_t plus = spelling.find('+');
  return plus == std::string::npos ? "" : spelling.substr(plus);
}

void ReproduceGiven(ReproduceOptions options) {
  Require(!options.text.empty(), "reproduce: -m wants a text with -t");
  Require(options.corpus.empty() && options.only.empty() && !options.report &&
              options.device.empty(),
          "reproduce: --corpus, --only, --report and --device are for models "
          "trained here, -m is not");
  options.studies = GivenStudies(options);
  Setting setting{.scale = Scale::kGiven, .documents = 64, .seeds = {0}};
  if (options.documents > 0) setting.documents = options.documents;
  engine::Engine model({.path = options.model,
                        .train_length = options.train_length,
                        .threads = options.threads});
  setting.N = model.positions().train_length;
  setting.L = model.model().config().L;
  setting.scale_suffix = OwnSuffix(model.positions());
  Require(setting.N >= 16,
          "reproduce: the model's trained length of " +
              std::to_string(setting.N) +
              " is too short for windows of N/8; --train-length names another");
  int64_t tokens = 0;
  for (const Study* study : FindStudies(options.studies)) {
    tokens = std::max(tokens, study->GivenTokens(setting));
  }
  const std::string text = formats::ReadTextFile(options.text);
  formats::RequireUtf8(options.text, text);
  const std::vector<evaluate::Document> documents =
      Pieces(model, text, options.text, tokens, setting.documents);
  setting.documents = static_cast<int64_t>(documents.size());
  const std::string hash = Sha256(text).substr(0, 12) + " read by " +
                           NameOf(MappedFile(options.model).bytes()) +
                           " of N " + std::to_string(setting.N);
  const std::string name = fs::path(options.model).stem().string();
  Session session(options, setting,
                  {.scale = ToString(setting.scale),
                   .data = DataName(options, hash),
                   .hardware = Hardware(options.threads)});
  Bench bench(
      setting, options.model, documents,
      {.train_length = options.train_length, .threads = options.threads});
  session.Given(name, bench);
  session.Report();
}

}  // namespace

std::string StudyList() {
  report::Table table({{.name = "study"}, {.name = "what"}});
  for (const Study* study : AllStudies()) {
    table.AddRow({study->name(), study->title()});
  }
  return report::ToText(table);
}

void Reproduce(const ReproduceOptions& options) {
  CatchInterrupts();
  (void)FindStudies(options.studies);  // before texts are looked for
  if (options.threads > 0) train::SetThreads(static_cast<int>(options.threads));
  if (!options.model.empty()) return ReproduceGiven(options);
  Require(options.text.empty(), "reproduce: -t is for a model named with -m");
  Setting setting = MakeSetting(options.scale);
  if (!options.device.empty()) {
    Require(options.device == "cpu" || at::hasCUDA(),
            "reproduce --device " + options.device +
                ": the LibTorch of this program has no CUDA");
    setting.config = ConfigOf(setting, {"train.device=" + options.device}).text;
  }
  Provenance provenance{
      .scale = ToString(options.scale),
      .hardware = Hardware(options.threads, ConfigOf(setting).device)};
  const bool reads_texts = std::ranges::any_of(
      FindStudies(options.studies),
      [](const Study* study) { return study->OwnData().empty(); });
  std::optional<StudyCorpus> corpus;
  if (!options.corpus.empty()) {
    corpus = ReadStudyCorpus(options.corpus);
  } else if (reads_texts && options.scale == Scale::kSmoke) {
    corpus = BibleCorpus(CacheOfStudies(options));
  } else if (reads_texts && !options.report) {
    throw std::invalid_argument(
        "reproduce: --scale " + ToString(options.scale) +
        " wants texts: --corpus DIR with train/ and heldout/; --report shows "
        "the rows that are there");
  }
  if (corpus) provenance.data = DataName(options, corpus->hash);
  Session session(options, std::move(setting), provenance);
  if (!options.report && !corpus) session.RunWithoutTexts();
  if (options.report || !corpus || session.Train(std::move(*corpus))) {
    session.Report();
  }
}

}  // namespace ropewalk::lab::studies
