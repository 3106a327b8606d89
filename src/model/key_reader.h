// Reads a model's keys from its file one by one, checks each, and remembers
// which were read. A key that may change the result and was not read is
// refused by name; tensor_reader.h does the same for tensors.

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

// No model comes near these bounds, so a file with a larger number is broken.
// Products of two of them stay far from overflow.
inline constexpr int64_t kLargestWidth = int64_t{1} << 24;
inline constexpr int64_t kLargestHead = int64_t{1} << 14;
inline constexpr int64_t kLargestLayers = int64_t{1} << 16;
inline constexpr int64_t kLargestContext = int64_t{1} << 30;
inline constexpr int64_t kLargestExperts = int64_t{1} << 16;

// Borrows `file`. Names leave out the architecture that precedes them in the
// file: "block_count" means "llama.block_count". If an array has the same value
// for each layer, it counts as that value. All methods throw a FormatError that
// names the key if it is of the wrong kind or out of range.
class KeyReader {
 public:
  KeyReader(const formats::GgufFile& file, std::string prefix)
      : file_(file), prefix_(std::move(prefix)) {}

  const formats::GgufFile& file() const { return file_; }
  std::string Key(const std::string& name) const {
    return prefix_ + "." + name;
  }

  // Throws the FormatError "FILE: `what`".
  [[noreturn]] void Fail(const std::string& what) const;

  // A number from 1 to `largest`; Count requires the key.
  int64_t Count(const std::string& name, int64_t largest);
  std::optional<int64_t> FindCount(const std::string& name, int64_t largest);
  // A number from 0 to `largest`; 0 if the key is missing.
  int64_t CountOrZero(const std::string& name, int64_t largest);

  double Float(const std::string& name, double otherwise);
  std::optional<double> FindFloat(const std::string& name);
  // A factor, which is above 0 and finite. Returns `otherwise` if the key is
  // missing or 0; files write 0 for "no factor".
  double Factor(const std::string& name, double otherwise);
  bool Bool(const std::string& name, bool otherwise);
  std::optional<std::string> FindString(const std::string& name);
  // One bool for each layer, from an array of bools or numbers; nullopt if the
  // key is missing or not an array.
  std::optional<std::vector<bool>> FindFlags(const std::string& name,
                                             int64_t layers);

  bool Has(const std::string& name) const {
    return file_.metadata().Has(Key(name));
  }
  bool Taken(const std::string& name) const {
    return taken_.count(Key(name)) > 0;
  }

  // Counts a key as taken because its value changes nothing here.
  void Ignore(const std::string& name) { taken_.insert(Key(name)); }

  // Refuses keys of this architecture that were not taken, except those that
  // change nothing: 0, false, empty, or a value that is the default anyway.
  void RequireAllTaken() const;

 private:
  // The value of a key, or the common value of an array.
  std::optional<int64_t> FindInt(const std::string& key) const;

  const formats::GgufFile& file_;
  std::string prefix_;
  std::set<std::string> taken_;
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_KEY_READER_H_
