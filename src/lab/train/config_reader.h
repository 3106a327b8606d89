// Reading a TOML document so that no mistake in it goes unnoticed: every error
// names the file, the line, the key and what is allowed, and a key that nobody
// asked for is an error too.

#ifndef ROPEWALK_LAB_TRAIN_CONFIG_READER_H_
#define ROPEWALK_LAB_TRAIN_CONFIG_READER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ropewalk::lab::train {

// Keys with their values as text.
using ConfigValues = std::vector<std::pair<std::string, std::string>>;

// A document and the keys that were asked for. One thread at a time.
class ConfigReader {
 public:
  // `overrides` are key=value, the key dotted ("model.layers=6"), the value
  // TOML, else a string. Throws std::invalid_argument: not TOML (with line and
  // column), an override without '=' or through something that is no table.
  ConfigReader(std::string_view text, const std::string& source,
               const std::vector<std::string>& overrides);
  ~ConfigReader();
  ConfigReader(const ConfigReader&) = delete;
  ConfigReader& operator=(const ConfigReader&) = delete;

  bool Has(std::string_view key);

  // The value at a dotted key, or `otherwise`. Throw std::invalid_argument for
  // a value of another type or outside [least, most].
  int64_t Int(std::string_view key, int64_t otherwise, int64_t least,
              int64_t most);
  // Like Int, but "4k" is 4096.
  int64_t Length(std::string_view key, int64_t otherwise, int64_t least);
  double Number(std::string_view key, double otherwise, double least,
                double most);
  bool Bool(std::string_view key, bool otherwise);
  std::string String(std::string_view key, std::string_view otherwise);
  // A string, or an array of them.
  std::vector<std::string> Strings(std::string_view key);
  std::vector<int64_t> Lengths(std::string_view key);
  // Pairs [[step, factor], ...].
  std::vector<std::pair<int64_t, double>> Points(std::string_view key);

  // A string that `parse` turns into a value; what it throws as
  // std::invalid_argument comes back with the line and the key in front.
  template <typename Parse>
  auto Choice(std::string_view key, std::string_view otherwise,
              const Parse& parse) {
    const std::string text = String(key, otherwise);
    try {
      return parse(text);
    } catch (const std::invalid_argument& error) {
      Fail(key, error.what());
    }
  }

  // The value of every key that was read, defaults too, in the order in which
  // they were first read. Equal values have equal texts, however the document
  // spells them.
  const ConfigValues& Values() const;
  // A value that was read has another text, by which equal ones are known.
  void SetValue(std::string_view key, const std::string& text);

  // The document as TOML, overrides applied.
  std::string Text() const;

  // Throws std::invalid_argument for the first key that nobody asked for, with
  // those that its table has.
  void RequireAllRead() const;

  // Throws std::invalid_argument "FILE:LINE: KEY: WHAT".
  [[noreturn]] void Fail(std::string_view key, const std::string& what) const;

 private:
  struct Document;
  std::unique_ptr<Document> document_;
};

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_CONFIG_READER_H_
