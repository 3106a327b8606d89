// ropewalk reproduce memories: what texts lose, and still find, when the
// documents before them were read alone.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/outputs.h"
#include "engine/engine.h"
#include "engine/machine.h"
#include "evaluate/documents.h"
#include "formats/text_file.h"
#include "memory/law.h"
#include "report/json.h"
#include "study/memories.h"
#include "study/memory_report.h"
#include "study/memory_rows.h"
#include "study/memory_speed.h"
#include "study/needles.h"

namespace ropewalk::cli {
namespace {

namespace fs = std::filesystem;

struct MemoriesStudy {
  ModelOptions model;
  KvOptions kv;
  std::vector<std::string> texts;
  // Those given are measured; all three by default.
  std::vector<std::string> settings;
  std::vector<std::string> needles;
  std::vector<std::string> speed;
  std::vector<std::string> laws;
  std::vector<double> rereads;
  std::vector<std::string> only;
  std::string questions;
  std::string out = "studies";
  bool report = false;
};

// COUNTxTOKENS, with at least 2 of at least 8. Throws std::invalid_argument
// that names the option.
std::pair<int64_t, int64_t> ParseSetting(const std::string& text,
                                         const std::string& option) {
  const size_t x = text.find('x');
  const int64_t count = ParseInt(text.substr(0, x)).value_or(0);
  const int64_t tokens =
      x == std::string::npos ? 0 : ParseInt(text.substr(x + 1)).value_or(0);
  Require(count > 1 && count <= 10000 && tokens >= 8 && tokens <= 1 << 20,
          option +
              " must be COUNTxTOKENS as in 4x1024, with a count of at least "
              "2, got '" +
              Printable(text, 40) + "'");
  return {count, tokens};
}

void ReportMemories(const std::string& out) {
  const fs::path folder = fs::path(out) / "memories";
  study::WriteMemoryReport(folder.string());
  std::fprintf(stderr, "tables and pictures: %s\n",
               Printable(folder.string(), 200).c_str());
}

class MemoriesRun {
 public:
  explicit MemoriesRun(const MemoriesStudy& command)
      : command_(command),
        engine_(std::make_shared<engine::Engine>(command.model.ForEngine())),
        N_(engine_->positions().train_length),
        folder_((fs::path(command.out) / "memories" /
                 fs::path(command.model.path).stem())
                    .string()) {
    for (const std::string& text : command.settings) {
      const auto [blocks, block] = ParseSetting(text, "--blocks");
      settings_.push_back({.blocks = blocks, .block = block});
      Require(block <= N_, "--blocks " + text +
                               ": a block is read alone, within the trained " +
                               std::to_string(N_) + " tokens");
    }
    for (const std::string& text : command.needles) {
      const auto [documents, tokens] = ParseSetting(text, "--needles");
      needles_.push_back({.documents = documents, .tokens = tokens});
      Require(tokens <= N_,
              "--needles " + text +
                  ": a document is read alone, within the trained " +
                  std::to_string(N_) + " tokens");
    }
    if (!command.speed.empty()) {
      speed_ = ParseLengths(command.speed, "--speed");
    }
    Require(!command.texts.empty() || (settings_.empty() && needles_.empty()),
            "reproduce memories: give texts with -t for --blocks and "
            "--needles");
  }

  void Go() {
    if (!command_.questions.empty()) return WriteQuestions();
    fs::create_directories(folder_);
    RunBlocks();
    RunNeedles();
    RunSpeed();
    RequireKnownNames();
  }

 private:
  // `what`: the options of one of the three parts.
  study::Run RunOf(const std::string& what) const {
    std::string text = "ropewalk reproduce memories -m " +
                       fs::path(command_.model.path).filename().string() + what;
    if (command_.model.exact) text += " --exact";
    if (command_.kv.type != "f16") text += " --kv-type " + command_.kv.type;
    return {.model = fs::path(command_.model.path).filename().string(),
            .content = engine_->Hash().substr(0, 12),
            .N = N_,
            .kv_type = std::string(InfoOf(command_.kv.Type()).name),
            .products = command_.model.exact ? "exact" : "int",
            .hardware = engine::Hardware(engine_->threads().workers()),
            .command = text};
  }

  evaluate::Document ReadText(const std::string& file) const {
    const std::string text = formats::ReadTextFile(file);
    formats::RequireUtf8(file, text);
    return evaluate::EncodeText(engine_->tokenizer(), text);
  }

  // The laws of the command line, spelled in full.
  std::vector<std::string> Laws() const {
    std::vector<std::string> laws;
    for (const std::string& law : command_.laws) {
      laws.push_back(memory::ToString(
          memory::LawFor(memory::ParseLaw(law), engine_->positions())));
    }
    return laws;
  }

  void RunBlocks() {
    study::MemoryRows rows(folder_);
    for (const study::MemorySetting& setting : settings_) {
      std::vector<study::MemoryCondition> conditions =
          study::MemoryConditions(setting, engine_->positions());
      for (const std::string& law : Laws()) {
        conditions.push_back({.name = law,
                              .kind = study::MemoryCondition::Kind::kAlone,
                              .law = law});
      }
      for (const double share : command_.rereads) {
        conditions.push_back({.name = study::RereadName(share),
                              .kind = study::MemoryCondition::Kind::kAlone,
                              .law = "far",
                              .reread = share});
      }
      std::erase_if(conditions, [&](const study::MemoryCondition& condition) {
        return !IsWanted(condition.name);
      });
      for (const std::string& file : command_.texts) {
        MeasureBlocks(setting, conditions, file, rows);
      }
    }
  }

  bool IsWanted(const std::string& condition) {
    conditions_.insert(condition);
    return command_.only.empty() ||
           std::ranges::find(command_.only, condition) != command_.only.end();
  }

  // By what was there to be measured.
  void RequireKnownNames() const {
    for (const std::string& name : command_.only) {
      if (conditions_.contains(name)) continue;
      std::string names;
      for (const std::string& condition : conditions_) {
        names += (names.empty() ? "" : "; ") + condition;
      }
      throw std::invalid_argument(
          "--only: nothing is called '" + Printable(name, 80) + "'; there is " +
          (names.empty() ? "nothing to choose from" : names));
    }
  }

  void MeasureBlocks(const study::MemorySetting& setting,
                     const std::vector<study::MemoryCondition>& conditions,
                     const std::string& file, study::MemoryRows& rows) {
    const std::string document = fs::path(file).filename().string();
    std::vector<study::MemoryCondition> open;
    for (const study::MemoryCondition& condition : conditions) {
      if (rows.Find(document, setting.Name(), condition.name) == nullptr) {
        open.push_back(condition);
      }
    }
    if (open.empty()) return;
    const evaluate::Document ids = ReadText(file);
    // The blocks, then each condition's text, and what stands before it.
    Progress progress(document + " " + setting.Name(), 0, "tokens");
    study::MemoryCase of_document(*engine_, ids, setting,
                                  {.type = command_.kv.Type()},
                                  [&](int64_t tokens) {
                                    progress.Add(tokens);
                                    ThrowIfInterrupted();
                                  });
    for (const study::MemoryCondition& condition : open) {
      study::MemoryRow row = of_document.Measure(condition);
      row.run = rows.RunOf(RunOf(" -t TEXTS --blocks " + setting.Name()));
      row.document = document;
      rows.Add(row);
      progress.Clear();
      std::fprintf(stderr,
                   "%-28s %-8s %-40s goes on %.4f  repeats %.4f %5.1f%%\n",
                   Printable(document).c_str(), row.setting.c_str(),
                   row.condition.c_str(), row.goes_on_loss, row.repeats_loss,
                   100 * row.repeats_accuracy);
    }
  }

  std::vector<study::NeedleCase> CasesOf(
      const study::NeedleSetting& setting,
      const std::vector<evaluate::Document>& texts, Progress& progress) const {
    std::vector<study::NeedleCase> cases;
    for (int64_t round = 0; round < setting.rounds; ++round) {
      cases.emplace_back(
          engine_,
          study::MakeNeedles(engine_->tokenizer(), texts, setting, round),
          command_.kv.Type(), [&](int64_t tokens) {
            progress.Add(tokens);
            ThrowIfInterrupted();
          });
    }
    return cases;
  }

  std::vector<evaluate::Document> ReadTexts() const {
    std::vector<evaluate::Document> texts;
    for (const std::string& file : command_.texts) {
      texts.push_back(ReadText(file));
    }
    return texts;
  }

  void RunNeedles() {
    if (needles_.empty()) return;
    study::NeedleRows rows(folder_);
    const std::vector<evaluate::Document> texts = ReadTexts();
    std::vector<study::NeedleCondition> conditions = study::NeedleConditions();
    for (const std::string& law : Laws()) {
      conditions.push_back({.name = "attached, all, " + law,
                            .kind = study::NeedleCondition::Kind::kAttached,
                            .law = memory::ParseLaw(law)});
    }
    for (study::NeedleCondition& condition : conditions) {
      condition.law = memory::LawFor(condition.law, engine_->positions());
    }
    for (const study::NeedleSetting& setting : needles_) {
      Progress progress("needles " + setting.Name(), 0, "tokens");
      std::vector<study::NeedleCase> cases = CasesOf(setting, texts, progress);
      for (const study::NeedleCondition& condition : conditions) {
        if (!IsWanted(condition.name)) continue;
        MeasureNeedles(setting, condition, cases, rows);
      }
    }
  }

  void WriteQuestions() {
    OutputFile file(command_.questions);
    const std::vector<evaluate::Document> texts = ReadTexts();
    nlohmann::ordered_json rounds = nlohmann::ordered_json::array();
    for (const study::NeedleSetting& setting : needles_) {
      Progress progress("questions " + setting.Name(), 0, "tokens");
      for (study::NeedleCase& of_round : CasesOf(setting, texts, progress)) {
        nlohmann::ordered_json questions = nlohmann::ordered_json::array();
        for (const study::NeedleQuestion& question :
             of_round.round().questions) {
          questions.push_back(
              {{"ids", question.question},
               {"answer", question.answer},
               {"document", question.document},
               {"chosen", of_round.ChosenByWords(question, 5)}});
        }
        rounds.push_back({{"setting", setting.Name()},
                          {"begin", of_round.begin()},
                          {"documents", of_round.round().documents},
                          {"questions", std::move(questions)}});
      }
    }
    file.Finish(report::DumpJson(rounds));
  }

  void MeasureNeedles(const study::NeedleSetting& setting,
                      const study::NeedleCondition& condition,
                      std::vector<study::NeedleCase>& cases,
                      study::NeedleRows& rows) {
    if (rows.FindSame(study::RowOf(setting, condition, {})) != nullptr) return;
    std::vector<study::NeedleCase::Answer> answers;
    for (study::NeedleCase& of_round : cases) {
      const auto some = of_round.Measure(condition);
      answers.insert(answers.end(), some.begin(), some.end());
    }
    study::NeedleRow row = study::RowOf(setting, condition, answers);
    row.run = rows.RunOf(RunOf(" -t TEXTS --needles " + setting.Name()));
    rows.Add(row);
    std::fprintf(stderr,
                 "%-8s %-36s found %3td of %zu  digits %5.1f%%  loss %.3f  "
                 "first token %.3f s\n",
                 row.setting.c_str(), row.condition.c_str(),
                 std::ranges::count(row.found, '1'), row.found.size(),
                 100 * row.digits, row.loss, row.first_seconds);
  }

  void RunSpeed() {
    if (speed_.empty()) return;
    study::SpeedRows rows(folder_);
    for (const int64_t tokens : speed_) {
      if (rows.FindSame({.tokens = tokens}) != nullptr) continue;
      Progress progress("speed at " + std::to_string(tokens), 0, "tokens");
      study::SpeedRow row = study::MeasureSpeed(
          engine_,
          {.tokens = tokens,
           .kv_type = command_.kv.Type(),
           .file = (fs::path(folder_) / "speed.memory").string()},
          [&](int64_t read) {
            progress.Add(read);
            ThrowIfInterrupted();
          });
      row.run = rows.RunOf(RunOf(" --speed " + std::to_string(tokens)));
      rows.Add(row);
      progress.Clear();
      std::fprintf(stderr,
                   "%lld tokens: decode %.2f tokens/s behind the text, %.2f "
                   "beside memories (time x %.3f)\n",
                   static_cast<long long>(tokens), row.text_decode,
                   row.memory_decode, row.ratio);
    }
  }

  const MemoriesStudy& command_;
  std::shared_ptr<engine::Engine> engine_;
  int64_t N_;
  std::string folder_;
  std::vector<study::MemorySetting> settings_;
  std::vector<study::NeedleSetting> needles_;
  std::vector<int64_t> speed_;
  std::set<std::string> conditions_;  // of all parts, wanted or not
};

void RunStudy(MemoriesStudy& command) {
  if (command.report) return ReportMemories(command.out);
  Require(!command.model.path.empty(),
          "reproduce memories: give a model with -m and texts with -t, or "
          "--report");
  if (command.settings.empty() && command.needles.empty() &&
      command.speed.empty()) {
    command.settings = {"4x1024", "12x1024"};
    command.needles = {"50x400"};
    command.speed = {"16k"};
  }
  CatchInterrupts();
  MemoriesRun(command).Go();
  if (command.questions.empty()) ReportMemories(command.out);
}

}  // namespace

void AddReproduceMemories(CLI::App& reproduce) {
  CLI::App* command = reproduce.add_subcommand(
      "memories", "documents read alone and attached, on a model of yours");
  command->prefix_command(false);
  command->set_help_flag("-h,--help", "Print this help message and exit");
  auto options = std::make_shared<MemoriesStudy>();
  options->model.Add(*command, /*required=*/false);
  command
      ->add_option("-t,--text", options->texts,
                   "documents (UTF-8, may be .gz), each as long as its blocks "
                   "and 640 tokens, or as its share of the documents of "
                   "--needles")
      ->type_name("FILE");
  command
      ->add_option("--blocks", options->settings,
                   "losses: how many blocks of how many tokens stand before a "
                   "text")
      ->type_name("COUNTxTOKENS")
      ->delimiter(',');
  command
      ->add_option("--needles", options->needles,
                   "finding: one of so many documents of about so many tokens "
                   "hides a number, 100 questions for 50 documents")
      ->type_name("COUNTxTOKENS")
      ->delimiter(',');
  command
      ->add_option("--speed", options->speed,
                   "time and bytes of so many tokens in memories, against a "
                   "text of that length")
      ->type_name("LEN")
      ->delimiter(',');
  command
      ->add_option("--memory-law", options->laws,
                   "attach under this law too; repeat for more")
      ->type_name("LAW")
      ->allow_extra_args(false);
  command
      ->add_option("--memory-reread", options->rereads,
                   "losses also with this share of the tokens of each block "
                   "read again, with sight of the blocks before; repeat for "
                   "more")
      ->type_name("SHARE")
      ->check(CLI::Range(0.0, 1.0))
      ->allow_extra_args(false);
  command
      ->add_option("--only", options->only,
                   "measure this condition alone, by its name in the tables; "
                   "repeat for more")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command
      ->add_option("--questions", options->questions,
                   "measure nothing, and write the documents and questions of "
                   "--needles as JSON, for other programs "
                   "(bench/peers/needles.py)")
      ->type_name("FILE");
  command
      ->add_option("--out", options->out,
                   "rows and tables go to DIR/memories; rows that are there "
                   "are not measured again")
      ->type_name("DIR")
      ->capture_default_str();
  options->kv.Add(*command);
  command->add_flag("--report", options->report,
                    "tables and pictures of the rows that are there");
  command->footer(
      "Example:\n"
      "  ropewalk reproduce memories -m SmolLM2-135M-Instruct.Q4_1.gguf -t "
      "novels/*.txt.gz\n\n"
      "Without --blocks, --needles and --speed all three are measured: losses "
      "with 4x1024\nand 12x1024 tokens before the text, finding in 50x400, "
      "speed at 16k.\nStopped at any moment, the same command goes on.");
  command->callback([options] { RunStudy(*options); });
}

}  // namespace ropewalk::cli
