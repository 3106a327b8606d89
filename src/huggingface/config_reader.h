// Reads config.json member by member, and remembers which were read, so that a
// member that may change the result and is not understood is refused by name.

#ifndef ROPEWALK_HUGGINGFACE_CONFIG_READER_H_
#define ROPEWALK_HUGGINGFACE_CONFIG_READER_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "formats/json_file.h"

namespace ropewalk::huggingface {

// Borrows `object`. A member that is null counts as absent. All methods throw a
// FormatError that names the member if it is of the wrong kind.
class ConfigReader {
 public:
  // `path` and `prefix` ("rope_parameters.") are for errors.
  ConfigReader(const formats::Json& object, std::string path,
               std::string prefix = "");

  // Throws the FormatError "PATH: `what`".
  [[noreturn]] void Fail(const std::string& what) const;
  // The same at a member: "PATH: 'NAME' `what`".
  [[noreturn]] void Fail(std::string_view name, const std::string& what) const;

  const std::string& path() const { return path_; }
  bool Has(std::string_view name) const { return Find(name) != nullptr; }
  // Null if the member is absent. Take counts it as read.
  const formats::Json* Find(std::string_view name) const;
  const formats::Json* Take(std::string_view name);

  int64_t Int(std::string_view name);  // requires the member
  std::optional<int64_t> FindInt(std::string_view name);
  // Numbers are finite.
  std::optional<double> FindFloat(std::string_view name);
  std::optional<bool> FindBool(std::string_view name);
  std::optional<std::string> FindString(std::string_view name);
  std::vector<double> FindFloats(std::string_view name);
  std::vector<std::string> FindStrings(std::string_view name);
  // An object, to be read by a reader of its own; empty if absent.
  std::optional<ConfigReader> FindObject(std::string_view name);

  // Counts members as read because their values change nothing here.
  void Ignore(std::initializer_list<std::string_view> names);

  // Refuses members that were not read, except null, false, empty ones, shares
  // of dropout, and what describes a model without changing what it computes.
  void RequireAllTaken() const;

 private:
  const formats::Json* object_;
  std::string path_;
  std::string prefix_;
  std::set<std::string, std::less<>> taken_;
};

}  // namespace ropewalk::huggingface

#endif  // ROPEWALK_HUGGINGFACE_CONFIG_READER_H_
