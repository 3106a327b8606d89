// Options that several commands share.

#ifndef ROPEWALK_CLI_OPTIONS_H_
#define ROPEWALK_CLI_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "engine/engine.h"
#include "position/scheme.h"

namespace ropewalk::cli {

inline constexpr int64_t kMostTokens = int64_t{1} << 30;  // of any length
inline constexpr int64_t kMostThreads = 1024;  // as thread pools have

// -m, --threads, --train-length, --exact, --mlock.
struct ModelOptions {
  std::string path;
  int64_t threads = 0;
  std::string train_length;
  bool exact = false;
  bool mlock = false;

  void Add(CLI::App& command, bool required = true);
  // Throws std::invalid_argument for a train length that is none.
  engine::EngineOptions ForEngine() const;
};

// --position, and llama.cpp's names for a few schemes.
struct PositionOptions {
  std::vector<std::string> spellings;
  std::string rope_scaling;
  double rope_scale = 0;
  int64_t group = 0;
  int64_t group_window = 0;

  // `several`: the option may be repeated.
  void Add(CLI::App& command, bool several);

  // What was asked for, aliases included; `otherwise` where nothing was.
  // Throws std::invalid_argument, for an alias beside --position too.
  std::vector<std::string> Spellings(
      const std::vector<std::string>& otherwise) const;
};

// --kv-type, --kv-memory.
struct KvOptions {
  std::string type = "f16";
  std::string memory;
  CLI::Option* type_option = nullptr;

  void Add(CLI::App& command);
  // --kv-memory alone.
  void AddMemory(CLI::App& command);
  // Throws std::invalid_argument for a type that keys and values cannot have.
  DType Type() const;
  // Whether --kv-type was given.
  bool Given() const { return type_option != nullptr && !type_option->empty(); }
  // Bytes; 0 where nothing was asked for. Throws std::invalid_argument.
  int64_t MemoryLimit() const;
};

// Each as a scheme.
std::vector<position::Scheme> ParseSchemes(
    const std::vector<std::string>& spellings);

// A list of lengths in tokens, from an option given as "256,1k". Throws
// std::invalid_argument naming the option.
std::vector<int64_t> ParseLengths(const std::vector<std::string>& texts,
                                  const std::string& option);

// One of them; `otherwise` for an empty text.
int64_t ParseLengthOption(const std::string& text, const std::string& option,
                          int64_t otherwise);

// Seconds of a time such as 90s, 10m or 1.5h. Throws std::invalid_argument.
double ParseSecondsOption(const std::string& text, const std::string& option);

// The text of -p, of the file of -f, or of standard input: for -f -, and where
// neither is given and standard input is no terminal.
struct TextOptions {
  std::vector<std::string> prompts;
  std::string file;
  bool escape = false;  // of the prompt
  CLI::Option* prompt_option = nullptr;
  CLI::Option* file_option = nullptr;

  // `questions`: -p may be given several times, and goes with -f, whose text
  // then comes first.
  void Add(CLI::App& command, bool questions = false);
  // One text; throws std::invalid_argument, IoError, and FormatError for text
  // that is not UTF-8.
  std::string Read() const;
  // Those of -p, without that of -f.
  std::vector<std::string> ReadPrompts() const;
  // That of -f or of standard input.
  std::string ReadFile() const;
  // What the text came from, where that was a file or a pipe, which should not
  // be empty; else nothing.
  std::string Source() const;
};

// `text` with \n, \t, \r, \\, \', \" and \xHH (a byte) read as what they stand
// for. Throws std::invalid_argument, naming `option`, for other escapes.
std::string Unescape(const std::string& text, const std::string& option);

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_OPTIONS_H_
