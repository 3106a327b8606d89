// What every fuzz target needs: an input as a file, and the errors that a
// broken input may end with.

#ifndef FUZZ_INPUT_H_
#define FUZZ_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/error.h"

namespace ropewalk::fuzz {

// A file that lives in memory and dies with the object.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes);
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile();

  // Opens as any other path does.
  const std::string& path() const { return path_; }

 private:
  int fd_;
  std::string path_;
};

inline std::string_view View(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// The first line of the input that ends in '\n', or all of it; `text` is then
// what follows.
std::string_view TakeLine(std::string_view& text);

// Ends the process, and so makes the input a finding, unless `holds`.
void Claim(bool holds, const std::string& what);

// Runs `action`. The errors by which the project refuses an input are the
// right end of a broken one; every other exception flies on and is a finding.
// Returns whether the input was taken.
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
