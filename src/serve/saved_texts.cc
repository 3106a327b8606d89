#include "serve/saved_texts.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/atomic_file.h"
#include "base/content_hash.h"
#include "base/error.h"
#include "base/text.h"
#include "formats/json_file.h"

namespace ropewalk::serve {
namespace {

namespace fs = std::filesystem;
using formats::Json;

// Files that are tried for a prompt.
constexpr size_t kTriedFiles = 4;
constexpr char kCache[] = ".cache";
constexpr char kNote[] = ".json";

std::string HashOf(const std::string& kind, std::span<const Token> tokens) {
  ContentHash hash;
  hash.Add(kind);
  hash.Add(std::string_view(reinterpret_cast<const char*>(tokens.data()),
                            tokens.size_bytes()));
  return hash.Hex();
}

}  // namespace

SavedTexts::SavedTexts(std::string folder, const Model& model, KvType kv_type,
                       int64_t most_bytes)
    : folder_(std::move(folder)),
      model_(model),
      kv_type_(kv_type),
      most_bytes_(most_bytes) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) {
    throw IoError("cannot make the folder '" + Printable(folder_, 200) +
                  "': " + error.message());
  }
  std::vector<std::pair<fs::file_time_type, std::string>> notes;
  for (const auto& file : fs::directory_iterator(folder_, error)) {
    if (file.path().extension() != kNote) continue;
    std::error_code unknown;
    notes.emplace_back(fs::last_write_time(file.path(), unknown),
                       file.path().string());
  }
  if (error) {
    throw IoError("cannot read the folder '" + Printable(folder_, 200) +
                  "': " + error.message());
  }
  std::sort(notes.begin(), notes.end());
  for (const auto& [time, path] : notes) {
    try {
      ReadEntry(path);
    } catch (const std::exception& broken) {
      std::fprintf(stderr, "ropewalk: passed over: %s\n", broken.what());
    }
  }
}

std::string SavedTexts::PathOf(const std::string& name,
                               const char* ending) const {
  return (fs::path(folder_) / (name + ending)).string();
}

void SavedTexts::ReadEntry(const std::string& path) {
  const Json note = formats::ReadJsonFile(path);
  Entry entry;
  try {
    if (note.at("model").get<std::string>() != model_.name() ||
        note.at("kv_type").get<std::string>() != NameOf(kv_type_)) {
      return;
    }
    entry.name = fs::path(path).stem().string();
    entry.kind = note.at("kind").get<std::string>();
    entry.scheme = note.at("scheme").get<std::string>();
    entry.context = note.at("context").get<int64_t>();
    entry.aligned = note.at("aligned").get<int64_t>();
    entry.tokens = note.at("tokens").get<std::vector<Token>>();
  } catch (const Json::exception&) {
    throw FormatError(path, 0, "not the note of a saved text");
  }
  if (entry.tokens.empty() || entry.aligned < 0 || entry.context < 1 ||
      entry.aligned > static_cast<int64_t>(entry.tokens.size())) {
    throw FormatError(path, 0, "not the note of a saved text");
  }
  std::error_code error;
  const auto bytes = fs::file_size(PathOf(entry.name, kCache), error);
  if (error) throw FormatError(path, 0, "its .cache file is missing");
  entry.bytes = static_cast<int64_t>(bytes);
  AddEntry(std::move(entry));
}

void SavedTexts::AddEntry(Entry entry) {
  const int64_t number = next_number_++;
  trees_[entry.kind].Insert(entry.tokens, number);
  entries_.emplace(number, std::move(entry));
}

void SavedTexts::Forget(int64_t number) {
  const auto entry = entries_.find(number);
  const auto tree = trees_.find(entry->second.kind);
  tree->second.Erase(entry->second.tokens, number);
  if (tree->second.empty()) trees_.erase(tree);
  entries_.erase(entry);
}

void SavedTexts::Remove(int64_t number) {
  const std::string name = entries_.at(number).name;
  std::error_code error;
  // The note first: without it the other file is nothing.
  fs::remove(PathOf(name, kNote), error);
  fs::remove(PathOf(name, kCache), error);
  Forget(number);
}

void SavedTexts::KeepWithin() {
  int64_t bytes = 0;
  for (const auto& [number, entry] : entries_) bytes += entry.bytes;
  while (bytes > most_bytes_ && entries_.size() > 1) {
    bytes -= entries_.begin()->second.bytes;
    Remove(entries_.begin()->first);
  }
}

void SavedTexts::Save(const StoredText& text) {
  const std::span<const Token> tokens = text.session.tokens();
  const PrefixTree& tree = trees_[text.kind];
  if (!tree.Find(tokens, text.session.size(), 1).empty()) return;
  const std::vector<PrefixTree::Match> shorter = tree.Prefixes(tokens);
  Entry entry{.name = HashOf(text.kind, tokens),
              .kind = text.kind,
              .scheme = text.session.scheme().ToString(),
              .context = text.session.context_length(),
              .aligned = std::min(text.aligned, text.session.size()),
              .tokens = {tokens.begin(), tokens.end()}};
  const std::string cache = PathOf(entry.name, kCache);
  text.session.SaveCache(cache);
  std::error_code error;
  entry.bytes = static_cast<int64_t>(fs::file_size(cache, error));
  const Json note = {{"model", model_.name()},   {"kv_type", NameOf(kv_type_)},
                     {"kind", entry.kind},       {"scheme", entry.scheme},
                     {"context", entry.context}, {"aligned", entry.aligned},
                     {"tokens", entry.tokens}};
  WriteFileAtomically(
      PathOf(entry.name, kNote),
      note.dump(-1, ' ', false, Json::error_handler_t::replace));
  for (const PrefixTree::Match& match : shorter) Remove(match.value);
  AddEntry(std::move(entry));
  KeepWithin();
}

std::optional<StoredText> SavedTexts::Load(const std::string& kind,
                                           std::span<const Token> tokens,
                                           int64_t least) {
  const auto tree = trees_.find(kind);
  if (tree == trees_.end()) return std::nullopt;
  for (const auto& match : tree->second.Find(tokens, least, kTriedFiles)) {
    const Entry& entry = entries_.at(match.value);
    try {
      Session session(model_, {.context_length = entry.context,
                               .scheme = Scheme::Parse(entry.scheme),
                               .kv_type = kv_type_,
                               .allow_known_failure = true});
      // LoadCache leaves a token to read, so it is asked for one more.
      std::vector<Token> wanted = entry.tokens;
      wanted.push_back(entry.tokens.back());
      session.LoadCache(PathOf(entry.name, kCache), wanted);
      if (session.size() == 0) return std::nullopt;  // no memory for it now
      const int64_t aligned = std::min(entry.aligned, session.size());
      return StoredText{kind, std::move(session), aligned};
    } catch (const std::exception& broken) {
      std::fprintf(stderr, "ropewalk: passed over: %s\n", broken.what());
      Forget(match.value);
      if (trees_.find(kind) == trees_.end()) return std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace ropewalk::serve
