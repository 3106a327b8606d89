// The texts that a model learns from, as documents in a fixed order.
//
// Files are read again on each pass instead of kept: a corpus may be larger
// than memory, and a pass costs far less than a training step.

#ifndef ROPEWALK_LAB_DATA_CORPUS_H_
#define ROPEWALK_LAB_DATA_CORPUS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::lab::data {

enum class DocumentRule {
  kMarked,      // a file, cut wherever it holds <|endoftext|>
  kFile,        // a whole file, marks and all
  kParagraphs,  // paragraphs of a file, grouped up to `paragraph_bytes`
};

struct CorpusOptions {
  DocumentRule rule = DocumentRule::kMarked;
  int64_t paragraph_bytes = 4096;  // a group ends with the one that reaches it
  // Lines of a paragraph become one line, and any number of blank lines one:
  // for prose that was wrapped by hand. It spoils verse and tables.
  bool join_lines = false;
  // Stop there, the last document cut at a character; 0 reads everything.
  int64_t max_bytes = 0;
};

struct CorpusDocument {
  int64_t index = 0;      // in the corpus
  std::string name;       // path below the folder given, then "#k" within it
  std::string_view text;  // not empty; UTF-8; lives as long as the call
};

// Immutable after construction. The files must not change while it lives.
class Corpus {
 public:
  // `paths` are text files, plain or gzip, or folders, which are searched in
  // full for *.txt, *.text, *.md and the same with .gz. Files are sorted by
  // path within a folder and keep the order of `paths` otherwise. A byte order
  // mark is dropped and CR LF becomes LF.
  //
  // Reads everything once. Throws IoError; FormatError, with file and byte,
  // for text that is not UTF-8; std::invalid_argument when there is no file or
  // no text in all of them.
  explicit Corpus(const std::vector<std::string>& paths,
                  CorpusOptions options = {});

  // Calls `visit` for each document in order.
  void ForEach(const std::function<void(const CorpusDocument&)>& visit) const;

  int64_t bytes() const { return bytes_; }  // of all documents' texts
  int64_t documents() const { return documents_; }
  int64_t files() const { return static_cast<int64_t>(files_.size()); }
  // The same for the same texts, names, order and options.
  uint64_t fingerprint() const { return fingerprint_; }

 private:
  struct File {
    std::string path;
    std::string name;
  };

  CorpusOptions options_;
  std::vector<File> files_;
  int64_t bytes_ = 0;
  int64_t documents_ = 0;
  uint64_t fingerprint_ = 0;
};

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_CORPUS_H_
