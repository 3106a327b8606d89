// ropewalk reproduce memories: what texts lose, and still find, when the
// documents before them were read alone.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "engine/engine.h"
#include "engine/machine.h"
#include "evaluate/documents.h"
#include "formats/text_file.h"
#include "study/memories.h"
#include "study/memory_report.h"
#include "study/memory_rows.h"

namespace ropewalk::cli {
namespace {

namespace fs = std::filesystem;

struct MemoriesStudy {
  ModelOptions model;
  KvOptions kv;
  std::vector<std::string> texts;
  std::vector<std::string> settings = {"4x1024", "12x1024"};
  std::vector<std::string> laws;
  std::string out = "studies";
  bool report = false;
};

study::MemorySetting ParseSetting(const std::string& text) {
  const size_t x = text.find('x');
  const int64_t blocks = ParseInt(text.substr(0, x)).value_or(0);
  const int64_t block =
      x == std::string::npos ? 0 : ParseInt(text.substr(x + 1)).value_or(0);
  Require(blocks > 1 && blocks <= 10000 && block >= 8 && block <= 1 << 20,
          "--blocks must be COUNTxTOKENS as in 4x1024, of at least 2 blocks, "
          "got '" +
              Printable(text, 40) + "'");
  return {.blocks = blocks, .block = block};
}

std::string CommandOf(const MemoriesStudy& command) {
  std::string text = "ropewalk reproduce memories -m " +
                     fs::path(command.model.path).filename().string() +
                     " -t TEXTS";
  for (const std::string& setting : command.settings) {
    text += " --blocks " + setting;
  }
  for (const std::string& law : command.laws) text += " --memory-law " + law;
  if (command.model.exact) text += " --exact";
  if (command.kv.type != "f16") text += " --kv-type " + command.kv.type;
  return text;
}

void Report(const std::string& out) {
  const fs::path folder = fs::path(out) / "memories";
  study::WriteMemoryReport(folder.string());
  std::fprintf(stderr, "tables and pictures: %s\n",
               Printable(folder.string(), 200).c_str());
}

void RunStudy(const MemoriesStudy& command) {
  if (command.report) return Report(command.out);
  Require(!command.model.path.empty() && !command.texts.empty(),
          "reproduce memories: give a model with -m and texts with -t, or "
          "--report");
  CatchInterrupts();
  engine::Engine engine(command.model.ForEngine());
  const int64_t N = engine.positions().train_length;
  std::vector<study::MemorySetting> settings;
  for (const std::string& text : command.settings) {
    settings.push_back(ParseSetting(text));
    Require(settings.back().block <= N,
            "--blocks " + text +
                ": a block is read alone, within the trained " +
                std::to_string(N) + " tokens");
  }
  const std::string name = fs::path(command.model.path).stem().string();
  const std::string folder =
      (fs::path(command.out) / "memories" / name).string();
  fs::create_directories(folder);
  study::MemoryRows rows(folder);
  const study::Run run{
      .model = fs::path(command.model.path).filename().string(),
      .content = engine.Hash().substr(0, 12),
      .N = N,
      .kv_type = std::string(InfoOf(command.kv.Type()).name),
      .products = command.model.exact ? "exact" : "int",
      .hardware = engine::Hardware(engine.threads().workers()),
      .command = CommandOf(command)};
  for (const study::MemorySetting& setting : settings) {
    std::vector<study::MemoryCondition> conditions =
        study::MemoryConditions(setting, N);
    for (const std::string& law : command.laws) {
      const std::string spelled = memory::ToString(
          memory::LawFor(memory::ParseLaw(law), engine.positions()));
      conditions.push_back({.name = spelled,
                            .kind = study::MemoryCondition::Kind::kAlone,
                            .law = spelled});
    }
    for (const std::string& file : command.texts) {
      const std::string document = fs::path(file).filename().string();
      std::vector<study::MemoryCondition> open;
      for (const study::MemoryCondition& condition : conditions) {
        if (rows.Find(document, setting.Name(), condition.name) == nullptr) {
          open.push_back(condition);
        }
      }
      if (open.empty()) continue;
      const evaluate::Document ids =
          evaluate::EncodeText(engine.tokenizer(), formats::ReadTextFile(file));
      // The blocks, then each condition's text, and what stands before it.
      Progress progress(document + " " + setting.Name(), 0, "tokens");
      study::MemoryCase of_document(engine, ids, setting,
                                    {.type = command.kv.Type()},
                                    [&](int64_t tokens) {
                                      progress.Add(tokens);
                                      ThrowIfInterrupted();
                                    });
      for (const study::MemoryCondition& condition : open) {
        study::MemoryRow row = of_document.Measure(condition);
        row.run = rows.RunOf(run);
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
  }
  Report(command.out);
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
                   "and 640 tokens")
      ->type_name("FILE");
  command
      ->add_option("--blocks", options->settings,
                   "how many blocks of how many tokens stand before the text")
      ->type_name("COUNTxTOKENS")
      ->delimiter(',')
      ->capture_default_str();
  command
      ->add_option("--memory-law", options->laws,
                   "attach under this law too; repeat for more")
      ->type_name("LAW")
      ->allow_extra_args(false);
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
      "Stopped at any moment, the same command goes on.");
  command->callback([options] { RunStudy(*options); });
}

}  // namespace ropewalk::cli
