// Takes a model's keys out of its file one by one, checks each, and remembers
// which were taken: a key that would change the result and that nobody asked
// for is refused by name, as a tensor is (tensor_reader.h).

#ifndef ROPEWALK_MODEL_KEY_READER_H_
#define ROPEWALK_MODEL_KEY_READER_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "formats/gguf.h"

namespace ropewalk::model {

// No model comes near these; a file that says more is broken, and the bounds
// keep products of two of them far from overflow.
inline constexpr int64_t kLargestWidth = int64_t{1} << 24;
inline constexpr int64_t kLargestHead = int64_t{1} << 14;
inline constexpr int64_t kLargestLayers = int64_t{1} << 16;
inline constexpr int64_t kLargestContext = int64_t{1} << 30;
inline constexpr int64_t kLargestExperts = int64_t{1} << 16;

// Borrows `file`. Keys are named without the architecture that stands before
// them in the file: "block_count" for "llama.block_count". An array with one
// value for each layer counts as that value where all are equal. All throw
// FormatError naming the key: of the wrong kind, or out of range.
class KeyReader {
 public:
  KeyReader(const formats::GgufFile& file, std::string prefix)
      : file_(file), prefix_(std::move(prefix)) {}

  const formats::GgufFile& file() const { return file_; }
  std::string Key(const std::string& name) const {
    return prefix_ + "." + name;
  }

  // Throws FormatError "FILE: WHAT".
  [[noreturn]] void Fail(const std::string& what) const;

  // From 1 to `largest`.
  int64_t Count(const std::string& name, int64_t largest);
  std::optional<int64_t> FindCount(const std::string& name, int64_t largest);
  // From 0, how files say that there is none; 0 where the key is missing.
  int64_t CountOrZero(const std::string& name, int64_t largest);

  double Float(const std::string& name, double otherwise);
  std::optional<double> FindFloat(const std::string& name);
  // A factor: above 0 and finite. `otherwise` where the key is missing, and
  // where it is 0 (how files say that there is none).
  double Factor(const std::string& name, double otherwise);
  bool Bool(const std::string& name, bool otherwise);
  std::optional<std::string> FindString(const std::string& name);
  // One bool a layer, from an array of bools or numbers; nothing where the key
  // is missing or no array.
  std::optional<std::vector<bool>> FindFlags(const std::string& name,
                                             int64_t layers);

  bool Has(const std::string& name) const {
    return file_.metadata().Has(Key(name));
  }
  bool Taken(const std::string& name) const {
    return taken_.count(Key(name)) > 0;
  }

  // Counts a key as taken: what it says is known to change nothing here.
  void Ignore(const std::string& name) { taken_.insert(Key(name)); }

  // Refuses keys of this architecture that were not taken, but for those that
  // change nothing: 0, false, empty, or what is the rule anyway.
  void RequireAllTaken() const;

 private:
  // The value of a key, or the common one of an array.
  std::optional<int64_t> FindInt(const std::string& key) const;

  const formats::GgufFile& file_;
  std::string prefix_;
  std::set<std::string> taken_;
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_KEY_READER_H_
