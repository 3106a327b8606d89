// GGUF files made byte by byte, so that tests of the reader do not depend on
// our own writer and can have contents that no writer would write.

#ifndef ROPEWALK_FORMATS_GGUF_BYTES_FOR_TEST_H_
#define ROPEWALK_FORMATS_GGUF_BYTES_FOR_TEST_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "formats/gguf.h"

namespace ropewalk::formats {

// Appends little-endian fields.
class GgufBytes {
 public:
  explicit GgufBytes(uint32_t version = 3, uint64_t tensors = 0,
                     uint64_t keys = 0) {
    bytes_ = "GGUF";
    U32(version).U64(tensors).U64(keys);
  }

  GgufBytes& U8(uint8_t value) { return Number(value); }
  GgufBytes& U32(uint32_t value) { return Number(value); }
  GgufBytes& U64(uint64_t value) { return Number(value); }
  GgufBytes& F32(float value) { return Number(value); }
  GgufBytes& Raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  GgufBytes& String(std::string_view text) {
    return U64(text.size()).Raw(text);
  }
  // A key and its type; the value follows.
  GgufBytes& Key(std::string_view key, GgufType type) {
    return String(key).U32(static_cast<uint32_t>(type));
  }
  // `ne` is GGUF's order, fastest first; type 0 is f32.
  GgufBytes& Tensor(std::string_view name, const std::vector<uint64_t>& ne,
                    uint64_t offset, uint32_t type = 0) {
    String(name).U32(static_cast<uint32_t>(ne.size()));
    for (const uint64_t size : ne) U64(size);
    return U32(type).U64(offset);
  }
  GgufBytes& PadTo(size_t alignment) {
    while (bytes_.size() % alignment != 0) bytes_ += '\0';
    return *this;
  }

  const std::string& bytes() const { return bytes_; }

 private:
  template <typename T>
  GgufBytes& Number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
    return *this;
  }

  std::string bytes_;
};

// A folder that only this process uses, removed when it ends.
class TestFolder {
 public:
  TestFolder()
      : path_(std::filesystem::path(testing::TempDir()) /
              ("ropewalk_formats_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(path_);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::string TestPath(const std::string& name) {
  static const TestFolder folder;
  return (folder.path() / name).string();
}

inline std::string WriteBytes(const std::string& name, std::string_view bytes) {
  std::string path = TestPath(name);
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return path;
}

inline GgufFile ReadBytesAsGguf(std::string_view bytes) {
  return GgufFile(WriteBytes("made.gguf", bytes));
}

// The message of the FormatError that `action` throws, or "" without one.
template <typename F>
std::string FormatErrorOf(F action) {
  try {
    action();
  } catch (const FormatError& error) {
    return error.what();
  }
  return "";
}

inline std::string GgufErrorOf(std::string_view bytes) {
  return FormatErrorOf([&] { ReadBytesAsGguf(bytes); });
}

}  // namespace ropewalk::formats

#endif  // ROPEWALK_FORMATS_GGUF_BYTES_FOR_TEST_H_
