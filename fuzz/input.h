// Shared by all fuzz targets: an input as a file, and the check of the errors
// by which a parser may refuse an input.

#ifndef FUZZ_INPUT_H_
#define FUZZ_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/error.h"

namespace ropewalk::fuzz {

// A file in memory that is removed with the object.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes);
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile();

  // A path that can be opened like any other.
  const std::string& path() const { return path_; }

 private:
  int fd_;
  std::string path_;
};

// A folder, in memory if possible, that is removed at the end of the process.
const std::filesystem::path& Folder();

inline std::string_view View(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Returns the first line of `text`, which ends at '\n' or at the end, and sets
// `text` to the rest.
std::string_view TakeLine(std::string_view& text);

// Unless `holds`, aborts the process, which makes the input a finding.
void Claim(bool holds, const std::string& what);

// Runs `action` and returns true if it accepts the input. It returns false for
// the errors by which the project refuses an input; every other exception
// propagates and is a finding.
template <typename Action>
bool Accepts(const Action& action) {
  const auto claim_one_line = [](const std::exception& error) {
    const std::string_view text = error.what();
    Claim(!text.empty() && text.find('\n') == std::string_view::npos,
          "an error must be one line, got: " + std::string(text));
  };
  try {
    action();
    return true;
  } catch (const FormatError& error) {
    claim_one_line(error);
  } catch (const IoError& error) {
    claim_one_line(error);
  } catch (const std::invalid_argument& error) {
    claim_one_line(error);
  }
  return false;
}

}  // namespace ropewalk::fuzz

#endif  // FUZZ_INPUT_H_
