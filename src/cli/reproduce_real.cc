// ropewalk reproduce real: the study of models that somebody else trained. It
// trains nothing, so that this program does it, without the lab.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "engine/engine.h"
#include "engine/machine.h"
#include "formats/text_file.h"
#include "position/scheme.h"
#include "program/numbers.h"
#include "study/head_rows.h"
#include "study/heads.h"
#include "study/heads_report.h"
#include "study/real.h"
#include "study/real_report.h"
#include "study/rows.h"

namespace ropewalk::cli {
namespace {

namespace fs = std::filesystem;

struct RealCommand {
  ModelOptions model;
  KvOptions kv;
  std::string corpus;
  std::string out = "studies";
  std::vector<std::string> lengths;
  std::vector<std::string> only;
  std::vector<std::string> spellings;
  int64_t pieces = 2;
  bool attention = false;
  int64_t texts = 3;
  bool report = false;
};

// As anyone would type it: no folders of this machine.
std::string CommandOf(const RealCommand& command) {
  std::string text = "ropewalk reproduce real -m " +
                     fs::path(command.model.path).filename().string() +
                     " --corpus CORPUS";
  if (!command.model.train_length.empty()) {
    text += " --train-length " + command.model.train_length;
  }
  if (command.model.exact) text += " --exact";
  if (command.attention) {
    text += " --attention --texts " + std::to_string(command.texts);
  }
  if (command.pieces != 2)
    text += " --pieces " + std::to_string(command.pieces);
  const auto add = [&](const char* option, const std::string& value) {
    text += std::string(" ") + option + " '" + value + "'";
  };
  for (const std::string& length : command.lengths) add("--length", length);
  for (const std::string& row : command.only) add("--only", row);
  for (const std::string& spelling : command.spellings) {
    add("--position", study::NameOf(spelling));
  }
  if (command.kv.type != "f16") text += " --kv-type " + command.kv.type;
  return text;
}

// The rows asked for: those of the study, some of them, or schemes of the
// user's, which are called as they are spelled.
std::vector<study::Condition> ConditionsOf(const RealCommand& command,
                                           const std::string& folder, int64_t N,
                                           const std::vector<int64_t>& times) {
  const fs::path tuned = fs::path(folder) / "tuned.toml";
  std::vector<study::Condition> all =
      study::Conditions(N, fs::exists(tuned) ? tuned.string() : "");
  if (command.only.empty() && command.spellings.empty()) return all;
  std::vector<study::Condition> chosen;
  const auto choose = [&](const study::Condition& condition) {
    Require(std::ranges::count(chosen, condition.name,
                               &study::Condition::name) == 0,
            "'" + Printable(condition.name, 60) + "' is asked for twice");
    chosen.push_back(condition);
  };
  for (const std::string& name : command.only) {
    const auto found = std::ranges::find(all, name, &study::Condition::name);
    std::string known;
    for (const study::Condition& condition : all) {
      known += (known.empty() ? "" : ", ") + condition.name;
    }
    Require(found != all.end(),
            "--only: '" + Printable(name, 40) + "' is none of " + known);
    choose(*found);
  }
  for (const std::string& spelling : command.spellings) {
    (void)position::ParseScheme(spelling);
    choose({study::NameOf(spelling), spelling, times, {}});
  }
  return chosen;
}

// Tables and pictures of every model's rows, and the page of all of them.
void ReportReal(const std::string& out) {
  const fs::path folder = fs::path(out) / "real";
  bool any = false;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder, missing)) {
    if (!entry.is_directory()) continue;
    const study::Rows rows(entry.path().string());
    if (rows.rows().empty()) continue;
    any = true;
    study::WriteReport(rows, entry.path().string());
    const study::HeadRows heads((entry.path() / "attention").string());
    if (!heads.heads().empty()) {
      study::WriteHeadPictures(heads, entry.path().string());
    }
    std::fprintf(stderr, "%s: tables and pictures of %zu rows\n",
                 Printable(entry.path().string(), 200).c_str(),
                 rows.rows().size());
  }
  Require(any, "reproduce real --report: no rows in '" +
                   Printable(folder.string()) + "'");
  const fs::path source = folder / "page.md";
  if (!fs::exists(source)) return;
  const std::string page =
      study::FillPage(formats::ReadTextFile(source.string()), folder.string());
  WriteFileAtomically((folder / "README.md").string(), page);
}

study::Run RunOf(const RealCommand& command, engine::Engine& engine,
                 DType kv_type) {
  return {.model = fs::path(command.model.path).filename().string(),
          .content = engine.Hash().substr(0, 12),
          .N = engine.positions().train_length,
          .kv_type = std::string(InfoOf(kv_type).name),
          .products = command.model.exact ? "exact" : "int",
          .hardware = engine::Hardware(engine.threads().workers()),
          .command = CommandOf(command)};
}

void SayShort(const std::string& file) {
  std::fprintf(stderr, "%s: too short, left out\n", Printable(file).c_str());
}

// Where the heads look: --attention.
void RunAttention(const RealCommand& command) {
  Require(command.spellings.empty(),
          "--attention has schemes of its own: it takes no --position");
  const DType kv_type = command.kv.Type();
  engine::Engine engine(command.model.ForEngine());
  const int64_t N = engine.positions().train_length;
  std::vector<int64_t> lengths;
  if (!command.lengths.empty()) {
    lengths = ParseLengths(command.lengths, "--length");
  }
  const std::string name = fs::path(command.model.path).stem().string();
  const std::string folder =
      (fs::path(command.out) / "real" / name / "attention").string();
  fs::create_directories(folder);
  study::HeadRows rows(folder);
  const study::Run run = RunOf(command, engine, kv_type);
  (void)rows.RunOf(
      run);  // refuses another model's rows before anything is read
  int64_t longest = 2 * N;
  for (const int64_t length : lengths) longest = std::max(longest, length);
  std::vector<study::Text> texts = study::ReadCorpus(
      command.corpus, engine.tokenizer(),
      {.pieces = command.pieces, .least = 2 * N, .most = longest}, SayShort);
  study::RunEmbedding(engine, texts, run, rows);
  texts.resize(std::min(texts.size(), static_cast<size_t>(command.texts)));
  const std::vector<study::HeadJob> jobs = study::OpenHeadJobs(
      texts, N, {.lengths = lengths, .only = command.only}, rows);
  std::fprintf(stderr, "%zu rows of layers are there, %zu texts to read\n",
               rows.heads().size(), jobs.size());
  Progress progress("attention", study::WorkOf(engine, jobs), "tokens");
  study::RunHeads(
      engine, jobs, kv_type, run, rows,
      {.on_tokens =
           [&](int64_t tokens, const Workload& work) {
             progress.Add(tokens, work);
             ThrowIfInterrupted();
           },
       .on_rows =
           [&](const study::HeadJob& job,
               const std::vector<study::HeadRow>& layers) {
             progress.Clear();
             std::fprintf(stderr, "%-24s %-28s %7lld  %zu layers\n",
                          Printable(job.text->name).c_str(), job.scheme.c_str(),
                          static_cast<long long>(job.length), layers.size());
           }});
  study::RunRanks(engine, texts, kv_type, run, rows,
                  [&](const std::string& scheme) {
                    ThrowIfInterrupted();
                    if (!scheme.empty()) {
                      std::fprintf(stderr, "ranks: %s\n", scheme.c_str());
                    }
                  });
}

void RunCommand(const RealCommand& command) {
  if (command.report) return ReportReal(command.out);
  Require(!command.model.path.empty() && !command.corpus.empty(),
          "reproduce real: give a model with -m and texts with --corpus, or "
          "--report");
  CatchInterrupts();
  if (command.attention) return RunAttention(command);
  study::RealOptions options{.kv_type = command.kv.Type()};
  engine::Engine engine(command.model.ForEngine());
  const int64_t N = engine.positions().train_length;
  if (!command.lengths.empty()) {
    options.times.clear();
    for (const int64_t length : ParseLengths(command.lengths, "--length")) {
      Require(length % N == 0, "--length must be a multiple of the trained " +
                                   std::to_string(N) + ", got " +
                                   std::to_string(length));
      if (std::ranges::count(options.times, length / N) == 0) {
        options.times.push_back(length / N);
      }
    }
  }
  const std::string name = fs::path(command.model.path).stem().string();
  const std::string folder = (fs::path(command.out) / "real" / name).string();
  fs::create_directories(folder);
  options.conditions = ConditionsOf(command, folder, N, options.times);
  study::Rows rows(folder);
  // Where names have occurred before is told by the text of 2N.
  const int64_t longest =
      std::max<int64_t>(2, *std::ranges::max_element(options.times)) * N;
  const std::vector<study::Text> texts = study::ReadCorpus(
      command.corpus, engine.tokenizer(),
      {.pieces = command.pieces, .least = 2 * N, .most = longest}, SayShort);
  const std::vector<study::RealJob> jobs =
      study::OpenJobs(texts, N, options, rows);
  const study::Run run = RunOf(command, engine, options.kv_type);
  Require(!jobs.empty() || !rows.rows().empty(),
          "reproduce real: the study has no row of these schemes at these "
          "lengths, or no text is long enough");
  std::fprintf(stderr, "%zu of %zu rows are there, %zu to read\n",
               rows.rows().size(), rows.rows().size() + jobs.size(),
               jobs.size());
  Progress progress("real", study::WorkOf(engine, jobs), "tokens");
  study::RunReal(engine, jobs, options, run, rows,
                 {.on_tokens =
                      [&](int64_t tokens, const Workload& work) {
                        progress.Add(tokens, work);
                        ThrowIfInterrupted();
                      },
                  .on_row =
                      [&](const study::Row& row) {
                        progress.Clear();
                        std::fprintf(
                            stderr,
                            "%-24s %-22s %7lld  loss %.4f  rare %.3f (%lld)  "
                            "passage %.3f %5.1f%%  needles %s  traces %s  %s\n",
                            Printable(row.document).c_str(), row.scheme.c_str(),
                            static_cast<long long>(row.length), row.loss,
                            row.rare_loss, static_cast<long long>(row.rare),
                            row.passage_loss, 100 * row.passage_accuracy,
                            row.needles.c_str(), row.traces.c_str(),
                            FormatDuration(row.seconds).c_str());
                      }});
  study::WriteReport(rows, folder);
  std::fprintf(stderr, "tables and pictures: %s\n",
               Printable(folder, 200).c_str());
}

}  // namespace

void AddReproduceReal(CLI::App& reproduce) {
  CLI::App* command = reproduce.add_subcommand(
      "real", "schemes on a model of yours, far past its length");
  // Unlike `reproduce` itself, whose arguments the lab reads.
  command->prefix_command(false);
  command->set_help_flag("-h,--help", "Print this help message and exit");
  auto options = std::make_shared<RealCommand>();
  options->model.Add(*command, /*required=*/false);
  command
      ->add_option(
          "--corpus", options->corpus,
          "folder of texts (UTF-8, may be .gz), of 2N tokens at least; "
          "each folder in it is a set, as novels/, code/")
      ->type_name("DIR");
  command
      ->add_option("--out", options->out,
                   "rows, table and page go to DIR/real/MODEL; rows that are "
                   "there are not measured again")
      ->type_name("DIR")
      ->capture_default_str();
  command
      ->add_option("--length", options->lengths,
                   "lengths, multiples of N; default N, 2N and 4N")
      ->type_name("LEN")
      ->delimiter(',');
  command
      ->add_option("--only", options->only,
                   "read this row of the study alone; repeat for more")
      ->type_name("ROW")
      ->allow_extra_args(false);
  command
      ->add_option(
          "--position", options->spellings,
          "read under this scheme instead of the study's; repeat for more")
      ->type_name("SCHEME")
      ->allow_extra_args(false);
  program::AddInteger(*command, "--pieces", options->pieces,
                      "pieces read of each file", {.least = 1, .most = 1000})
      ->capture_default_str();
  command->add_flag(
      "--attention", options->attention,
      "measure where the heads look instead: entropy, first tokens, far keys, "
      "the source of a passage, ranks and the embedding");
  program::AddInteger(*command, "--texts", options->texts,
                      "texts that --attention reads, the first of the largest "
                      "set",
                      {.least = 1, .most = 1000})
      ->capture_default_str();
  options->kv.Add(*command);
  command->add_flag("--report", options->report,
                    "tables, pictures and the page of the rows that are there");
  command->footer(
      "Example:\n"
      "  ropewalk reproduce real -m SmolLM2-135M-Instruct.Q4_1.gguf --corpus "
      "texts\n\n"
      "Stopped at any moment, the same command goes on.");
  command->callback([options] { RunCommand(*options); });
}

}  // namespace ropewalk::cli
