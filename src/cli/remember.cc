// ropewalk remember: reads documents once and keeps what was read, for any text
// that asks about them later. ropewalk memories: what is kept.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
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
#include "cli/outputs.h"
#include "engine/engine.h"
#include "formats/text_file.h"
#include "memory/memory_file.h"
#include "program/numbers.h"
#include "report/table.h"

namespace ropewalk::cli {
namespace {

namespace fs = std::filesystem;

struct RememberCommand {
  ModelOptions model;
  KvOptions kv{.type = "q8_0"};
  std::vector<std::string> files;
  std::string out = "memories";
  std::string part;
  std::string overlap;
  bool anew = false;
};

// The name of a document: its file without folder and endings.
std::string NameOf(const std::string& file) {
  fs::path name = fs::path(file).filename();
  if (name.extension() == ".gz") name = name.stem();
  return name.stem().string();
}

class Remembering {
 public:
  explicit Remembering(const RememberCommand& command)
      : command_(command), engine_(command.model.ForEngine()) {
    const int64_t N = engine_.positions().train_length;
    options_.part =
        ParseLengthOption(command.part, "--part", std::min(options_.part, N));
    options_.overlap =
        ParseLengthOption(command.overlap, "--overlap",
                          std::min(options_.overlap, options_.part / 4));
    options_.type = command.kv.Type();
  }

  void Go() {
    CatchInterrupts();
    ReadDocuments();
    Announce();
    std::error_code error;
    fs::create_directories(command_.out, error);
    if (error) {
      throw IoError("cannot make the folder '" + Printable(command_.out, 200) +
                    "': " + error.message());
    }
    int64_t tokens = 0;
    for (const memory::Document& document : documents_) {
      tokens += static_cast<int64_t>(document.tokens.size());
    }
    Progress progress("reading", static_cast<double>(tokens), "tokens");
    for (const memory::Document& document : documents_) {
      const std::string path = PathOf(document.name);
      try {
        memory::Remember(engine_, document, options_, path, [&](int64_t read) {
          progress.Add(read);
          ThrowIfInterrupted();
        });
      } catch (const Interrupted&) {
        progress.Clear();
        std::fprintf(stderr, "the same command goes on behind what is read\n");
        throw;
      }
      progress.Clear();
      std::printf("%s  %zu tokens, %s\n", Printable(path, 200).c_str(),
                  document.tokens.size(),
                  FormatBytes(memory::ReadInfo(path).bytes).c_str());
      std::fflush(stdout);
    }
  }

 private:
  std::string PathOf(const std::string& name) const {
    return (fs::path(command_.out) / (name + memory::kMemorySuffix)).string();
  }

  // A file that is there is kept if it says that it is of this text, model and
  // options.
  bool IsThere(const memory::Document& document) {
    const std::string path = PathOf(document.name);
    std::error_code error;
    if (command_.anew || !fs::exists(path, error)) return false;
    Require(memory::Holds(path, engine_, document, options_),
            "'" + Printable(path, 200) +
                "' is of another text, model or options; name another folder "
                "with -o, or give --anew");
    return true;
  }

  void ReadDocuments() {
    std::map<std::string, std::string> names;
    for (const std::string& file : command_.files) {
      const std::string name = NameOf(file);
      const auto [at, is_new] = names.emplace(name, file);
      Require(is_new, "'" + Printable(at->second, 200) + "' and '" +
                          Printable(file, 200) + "' would have one name, '" +
                          Printable(name) + "'");
      const std::string text = formats::ReadTextFile(file);
      formats::RequireUtf8(file, text);
      memory::Document document{
          .name = name,
          .source = fs::path(file).filename().string(),
          .tokens = engine_.tokenizer().Encode(
              text, {.add_bos = false, .add_eos = false})};
      memory::CheckReading(engine_, file,
                           static_cast<int64_t>(document.tokens.size()),
                           options_);
      if (IsThere(document)) {
        std::fprintf(stderr, "%s is there\n",
                     Printable(PathOf(name), 200).c_str());
        continue;
      }
      documents_.push_back(std::move(document));
    }
  }

  void Announce() {
    int64_t tokens = 0;
    int64_t bytes = 0;
    for (const memory::Document& document : documents_) {
      const auto n = static_cast<int64_t>(document.tokens.size());
      tokens += n;
      bytes += memory::BytesFor(engine_, n, options_);
    }
    if (tokens == 0) return;
    std::fprintf(stderr,
                 "%s; %zu document%s of %lld tokens, %s in %s, %s a token\n",
                 engine_.Describe().c_str(), documents_.size(),
                 documents_.size() == 1 ? "" : "s",
                 static_cast<long long>(tokens), FormatBytes(bytes).c_str(),
                 std::string(InfoOf(options_.type).name).c_str(),
                 FormatBytes(bytes / tokens).c_str());
    std::error_code error;
    fs::path folder = fs::absolute(command_.out, error);
    while (!folder.empty() && !fs::exists(folder, error)) {
      folder = folder.parent_path();
    }
    const fs::space_info space = fs::space(folder, error);
    Require(error || space.available > static_cast<uintmax_t>(bytes),
            "the memories need " + FormatBytes(bytes) + ", and '" +
                Printable(command_.out, 200) + "' has " +
                FormatBytes(static_cast<int64_t>(space.available)) + " left");
  }

  const RememberCommand& command_;
  engine::Engine engine_;
  memory::ReadOptions options_;
  std::vector<memory::Document> documents_;
};

struct MemoriesCommand {
  std::vector<std::string> paths;
  std::string csv;
};

void List(const MemoriesCommand& command) {
  report::Table table({{.name = "name"},
                       {.name = "tokens"},
                       {.name = "parts"},
                       {.name = "type"},
                       {.name = "MiB", .digits = 1},
                       {.name = "model"},
                       {.name = "source"}});
  OutputFile csv(command.csv);
  for (const std::string& file : memory::MemoryFiles(command.paths)) {
    const memory::MemoryInfo info = memory::ReadInfo(file);
    table.AddRow({Printable(info.name), info.tokens, info.parts,
                  std::string(InfoOf(info.type).name),
                  static_cast<double>(info.bytes) / (1 << 20),
                  Printable(info.model, 16), Printable(info.source)});
  }
  std::printf("%s", ToText(table).c_str());
  csv.Finish(ToCsv(table));
}

void Verify(const MemoriesCommand& command) {
  for (const std::string& file : memory::MemoryFiles(command.paths)) {
    memory::VerifyMemory(file);
    std::printf("%s  whole\n", Printable(file, 200).c_str());
  }
}

}  // namespace

void AddRemember(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "remember", "read documents once, for texts that ask about them");
  auto options = std::make_shared<RememberCommand>();
  options->model.Add(*command);
  command->add_option("files", options->files, "texts (UTF-8, may be .gz)")
      ->type_name("FILE")
      ->required();
  command
      ->add_option("-o,--out", options->out,
                   "folder of the memories, one file NAME.memory a document")
      ->type_name("DIR")
      ->capture_default_str();
  options->kv.Add(*command);
  command
      ->add_option("--part", options->part,
                   "tokens that are read together; default 2048")
      ->type_name("LEN");
  command
      ->add_option("--overlap", options->overlap,
                   "tokens before a part that are read with it and left out; "
                   "default 128")
      ->type_name("LEN");
  command->add_flag("--anew", options->anew,
                    "write memories anew that are there already");
  command->footer(
      "Each document is read alone. Memories of one model are attached in any "
      "number and\norder, far beyond the trained length, and nothing is read "
      "again.\nStopped at any moment, the same command goes on with the next "
      "part of the document.\n\n"
      "Examples:\n"
      "  ropewalk remember -m model.gguf book.txt notes.md -o memories\n"
      "  ropewalk run -m model.gguf --memory memories -p 'Who is Rupert?'\n"
      "  ropewalk memories list memories");
  command->callback([options] { Remembering(*options).Go(); });
}

void AddMemories(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("memories", "list or verify what `remember` kept");
  command->require_subcommand(1);
  const auto add = [&](const char* name, const char* what, bool lists,
                       void (*work)(const MemoriesCommand&)) {
    auto options = std::make_shared<MemoriesCommand>();
    CLI::App* sub = command->add_subcommand(name, what);
    sub->add_option("paths", options->paths, "memories, or folders of them")
        ->type_name("PATH")
        ->required();
    if (lists) {
      sub->add_option("--csv", options->csv, "file for the table")
          ->type_name("FILE");
    }
    sub->callback([options, work] { work(*options); });
  };
  add("list", "names, tokens and sizes", true, List);
  add("verify", "read every byte and compare the checksum", false, Verify);
  command->footer(
      "Examples:\n"
      "  ropewalk memories list memories\n"
      "  ropewalk memories verify memories/book.memory\n\n"
      "A memory is one file: to remove it, remove the file.");
}

}  // namespace ropewalk::cli
