// Texts with their keys and values on disk, so that conversations survive a
// restart.

#ifndef ROPEWALK_SERVE_SAVED_TEXTS_H_
#define ROPEWALK_SERVE_SAVED_TEXTS_H_

#include <ropewalk/model.h>
#include <ropewalk/session.h>
#include <ropewalk/tokenizer.h>

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "serve/prefix_tree.h"
#include "serve/session_store.h"

namespace ropewalk::serve {

// A folder with two files a text, NAME.cache (a prompt cache, docs/formats.md)
// and NAME.json, which says what it is and is written last. One thread at a
// time; one process.
class SavedTexts {
 public:
  // Reads the names of what is there; texts of other models and files that are
  // damaged are passed over and stay. Throws IoError where the folder cannot be
  // made or used.
  SavedTexts(std::string folder, const Model& model, KvType kv_type,
             int64_t most_bytes);

  // Does nothing for texts that are there. A saved text that is a beginning of
  // this one goes, and so do the oldest where there are too many bytes. Throws
  // IoError.
  void Save(const StoredText& text);

  // As SessionStore::Take, from the disk. A file that turns out to be damaged
  // is passed over from then on, and told on standard error.
  std::optional<StoredText> Load(const std::string& kind,
                                 std::span<const Token> tokens, int64_t least);

  int64_t size() const { return static_cast<int64_t>(entries_.size()); }

 private:
  struct Entry {
    std::string name;  // of its files
    std::string kind;
    std::string scheme;
    int64_t context = 0;
    int64_t aligned = 0;
    int64_t bytes = 0;
    std::vector<Token> tokens;
  };

  std::string PathOf(const std::string& name, const char* ending) const;
  void ReadEntry(const std::string& path);
  void AddEntry(Entry entry);
  void Forget(int64_t number);
  void Remove(int64_t number);
  void KeepWithin();

  std::string folder_;
  Model model_;
  KvType kv_type_;
  int64_t most_bytes_;
  std::map<int64_t, Entry> entries_;
  std::map<std::string, PrefixTree> trees_;
  int64_t next_number_ = 0;
};

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_SAVED_TEXTS_H_
