#include "lab/data/corpus.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "formats/text_file.h"
#include "lab/data/fingerprint.h"

namespace ropewalk::lab::data {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = "<|endoftext|>";
constexpr std::string_view kLineEnds = "\r\n";

bool IsTextName(std::string name) {
  for (char& c : name) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  return name.ends_with(".txt") || name.ends_with(".text") ||
         name.ends_with(".md");
}

// The text files below `folder`, as paths relative to it, sorted by bytes.
std::vector<std::string> TextFilesBelow(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::recursive_directory_iterator entries(folder, error);
  while (!error && entries != fs::recursive_directory_iterator()) {
    std::error_code ignored;  // a dangling link is no text file
    const std::string name =
        entries->path().lexically_relative(folder).generic_string();
    if (entries->is_regular_file(ignored) && IsTextName(name)) {
      names.push_back(name);
    }
    entries.increment(error);
  }
  if (error) {
    throw IoError("cannot search '" + folder + "': " + error.message());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string_view Trim(std::string_view text, std::string_view what) {
  const size_t first = text.find_first_not_of(what);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(what) - first + 1);
}

void UnifyLineEnds(std::string* text) {
  if (text->find('\r') == std::string::npos) return;
  size_t to = 0;
  for (size_t from = 0; from < text->size(); ++from) {
    const bool pair = (*text)[from] == '\r' && from + 1 < text->size() &&
                      (*text)[from + 1] == '\n';
    if (!pair) (*text)[to++] = (*text)[from];
  }
  text->resize(to);
}

// Lines joined by one space, paragraphs parted by one blank line.
std::string JoinLines(std::string_view text) {
  std::string joined;
  joined.reserve(text.size());
  int blank_lines = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = Trim(line, " \t\r");
    if (line.empty()) {
      ++blank_lines;
      continue;
    }
    if (!joined.empty()) joined += blank_lines > 0 ? "\n\n" : " ";
    blank_lines = 0;
    joined += line;
  }
  if (!joined.empty()) joined += '\n';
  return joined;
}

// Documents as views of `text`; none is empty.
std::vector<std::string_view> Cut(std::string_view text,
                                  const CorpusOptions& options) {
  std::vector<std::string_view> parts;
  const auto add = [&](std::string_view part) {
    if (!part.empty()) parts.push_back(part);
  };
  switch (options.rule) {
    case DocumentRule::kFile:
      add(text);
      break;
    case DocumentRule::kMarked:
      if (text.find(kMark) == std::string_view::npos) {
        add(text);
        break;
      }
      for (;;) {
        const size_t end = text.find(kMark);
        add(Trim(text.substr(0, end), kLineEnds));
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + kMark.size());
      }
      break;
    case DocumentRule::kParagraphs: {
      // `begin` is where the group begins, `at` what has been looked at.
      size_t begin = 0;
      for (size_t at = 0; at < text.size();) {
        const size_t blank = text.find("\n\n", at);
        const size_t end =
            blank == std::string_view::npos
                ? text.size()
                : std::min(text.find_first_not_of('\n', blank), text.size());
        at = end;
        if (static_cast<int64_t>(at - begin) < options.paragraph_bytes &&
            at < text.size()) {
          continue;
        }
        add(Trim(text.substr(begin, at - begin), kLineEnds));
        begin = at;
      }
      break;
    }
  }
  return parts;
}

// `bytes` or a few less, so that no character is cut.
std::string_view CutAtCharacter(std::string_view text, size_t bytes) {
  if (bytes >= text.size()) return text;
  while (bytes > 0 &&
         (static_cast<unsigned char>(text[bytes]) & 0xc0) == 0x80) {
    --bytes;
  }
  return text.substr(0, bytes);
}

}  // namespace

Corpus::Corpus(const std::vector<std::string>& paths, CorpusOptions options)
    : options_(options) {
  Require(!paths.empty(), "a corpus needs at least one file or folder");
  Require(options.paragraph_bytes > 0,
          "corpus: paragraph_bytes must be above 0, got " +
              std::to_string(options.paragraph_bytes));
  Require(options.max_bytes >= 0,
          "corpus: max_bytes must not be negative, got " +
              std::to_string(options.max_bytes));
  for (const std::string& path : paths) {
    std::error_code ignored;
    if (!fs::is_directory(path, ignored)) {
      files_.push_back({path, fs::path(path).filename().generic_string()});
      continue;
    }
    for (const std::string& name : TextFilesBelow(path)) {
      files_.push_back({(fs::path(path) / name).string(), name});
    }
  }
  Require(!files_.empty(),
          "no text in '" + Printable(paths[0]) +
              "': a corpus folder holds files named *.txt, *.text or *.md, "
              "plain or with .gz");
  Fingerprint fingerprint;
  ForEach([&](const CorpusDocument& document) {
    bytes_ += static_cast<int64_t>(document.text.size());
    ++documents_;
    fingerprint.Add(document.name);
    fingerprint.AddNumber(document.text.size());
    fingerprint.Add(document.text);
  });
  Require(documents_ > 0, "the corpus is empty: no text in the " +
                              std::to_string(files_.size()) +
                              " files given, '" + Printable(files_[0].path) +
                              "' the first");
  // The options show in the documents, so they need no place of their own.
  fingerprint_ = fingerprint.value();
}

void Corpus::ForEach(
    const std::function<void(const CorpusDocument&)>& visit) const {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  int64_t index = 0;
  int64_t bytes = 0;
  for (const File& file : files_) {
    std::string text = formats::ReadTextFile(file.path);
    formats::RequireUtf8(file.path, text);
    if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
    UnifyLineEnds(&text);
    const std::vector<std::string_view> parts = Cut(text, options_);
    for (size_t i = 0; i < parts.size(); ++i) {
      ThrowIfInterrupted();
      std::string joined;
      std::string_view part = parts[i];
      if (options_.join_lines) {
        joined = JoinLines(part);
        part = joined;
      }
      bool last = false;
      if (options_.max_bytes > 0) {
        const auto room = static_cast<size_t>(options_.max_bytes - bytes);
        last = part.size() >= room;
        part = CutAtCharacter(part, room);
      }
      if (!part.empty()) {
        bytes += static_cast<int64_t>(part.size());
        visit({index++,
               parts.size() == 1 ? file.name
                                 : file.name + "#" + std::to_string(i),
               part});
      }
      if (last) return;
    }
  }
}

}  // namespace ropewalk::lab::data
