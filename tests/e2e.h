// What the tests of the program share: a folder of their own, files, and what
// a failed call must look like.

#ifndef TESTS_E2E_H_
#define TESTS_E2E_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"
#include "tests/run_program.h"
#include "tests/test_data.h"
#include "tests/tiny_model.h"

namespace ropewalk {

using Json = nlohmann::json;

inline std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void WriteAll(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

inline bool Contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// How a call went, for messages of failed tests.
inline std::string Describe(const ProgramResult& result) {
  return "exit " + std::to_string(result.exit_code) + ", signal " +
         std::to_string(result.signal) +
         (result.timed_out ? ", TIMED OUT" : "") +
         "\nstdout: " + result.out.substr(0, 2000) +
         "\nstderr: " + result.err.substr(0, 4000);
}

// The call went well: exit code 0 and no complaint.
testing::AssertionResult inline Worked(const ProgramResult& result) {
  if (result.exit_code == 0 && !Contains(result.err, "ropewalk: ")) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << Describe(result);
}

// The call was refused: `code`, and exactly one line "ropewalk: ..." on
// stderr, the last one, that holds `part`.
testing::AssertionResult inline Refused(const ProgramResult& result, int code,
                                        std::string_view part) {
  int64_t complaints = 0;
  const std::vector<std::string> lines = Lines(result.err);
  for (const std::string& line : lines) {
    complaints += line.starts_with("ropewalk: ") ? 1 : 0;
  }
  const bool good = result.exit_code == code && complaints == 1 &&
                    lines.back().starts_with("ropewalk: ") &&
                    Contains(lines.back(), part);
  if (good) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "expected exit " << code << " and one line with '" << part << "'\n"
         << Describe(result);
}

// The same where no work had begun: nothing else on stderr.
testing::AssertionResult inline RefusedAtOnce(const ProgramResult& result,
                                              int code, std::string_view part) {
  if (Lines(result.err).size() != 1) {
    return testing::AssertionFailure() << "expected one line\n"
                                       << Describe(result);
  }
  return Refused(result, code, part);
}

// A test with an empty folder, removed at its end.
class ProgramTest : public testing::Test {
 protected:
  ProgramTest() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(testing::TempDir()) /
              ("ropewalk_" + std::to_string(getpid()) + "_" + info->name());
    std::filesystem::create_directories(folder_);
  }
  ~ProgramTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::string Path(const std::string& name) const {
    return (folder_ / name).string();
  }

  std::string Write(const std::string& name, std::string_view bytes) const {
    WriteAll(Path(name), bytes);
    return Path(name);
  }

  std::string Tiny(const TinyModelOptions& options = {},
                   const std::string& name = "tiny.gguf") const {
    WriteTinyModel(Path(name), options);
    return Path(name);
  }

  // A copy of `model` with the first `count` numbers of a tensor not finite.
  std::string WithNan(const std::string& model, const std::string& tensor,
                      int64_t count) const {
    return WithFloats(
        model, tensor, 0,
        std::vector<float>(static_cast<size_t>(count), std::nanf("")),
        "nan.gguf");
  }

  // `model` with numbers of an f32 tensor, from `first` on, replaced.
  std::string WithFloats(const std::string& model, const std::string& tensor,
                         int64_t first, const std::vector<float>& values,
                         const std::string& name) const {
    std::string bytes = ReadAll(model);
    const auto at = static_cast<size_t>(
        formats::GgufFile(model).Find(tensor)->file_offset + 4 * first);
    std::memcpy(bytes.data() + at, values.data(), 4 * values.size());
    return Write(name, bytes);
  }

  // `documents` lines of `size` ids below 300, reproducible.
  std::string Ids(int64_t documents, int64_t size,
                  const std::string& name = "made.ids") const {
    Rng rng(7);
    std::string text;
    for (int64_t d = 0; d < documents; ++d) {
      for (int64_t i = 0; i < size; ++i) {
        text += std::to_string(3 + rng.Below(297)) + " ";
      }
      text += "\n";
    }
    return Write(name, text);
  }

  // Names in the folder, so that forgotten temporary files show.
  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  std::filesystem::path folder_;
};

}  // namespace ropewalk

#endif  // TESTS_E2E_H_
