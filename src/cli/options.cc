#include "cli/options.h"

#include <unistd.h>

#include <cstdio>
#include <map>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "engine/machine.h"
#include "formats/text_file.h"
#include "program/numbers.h"

namespace ropewalk::cli {

void ModelOptions::Add(CLI::App& command, bool required) {
  auto* model =
      command
          .add_option("-m,--model", path,
                      "model: a GGUF file, or a folder of Hugging Face")
          ->type_name("FILE");
  if (required) model->required();
  program::AddInteger(command, "--threads", threads,
                      "threads; default one for each core",
                      {.least = 0, .most = kMostThreads});
  command
      .add_option("--train-length", train_length,
                  "length the model was trained to, where its file is "
                  "wrong about it")
      ->type_name("LEN");
  command.add_flag("--exact", exact,
                   "multiply weights of block types (q8_0, q4_K, ...) in "
                   "float32; default in integers, with activations in 8 bits");
  command.add_flag("--mlock", mlock,
                   "keep the memory of the process from being swapped out");
}

engine::EngineOptions ModelOptions::ForEngine() const {
  return {.path = path,
          .train_length = ParseLengthOption(train_length, "--train-length", 0),
          .threads = threads,
          .exact = exact,
          .lock_memory = mlock};
}

void PositionOptions::Add(CLI::App& command, bool several) {
  auto* option = command.add_option(
      "--position", spellings,
      several ? "position scheme, as in rerope:window=512+logn-clip; repeat "
                "for more"
              : "position scheme, as in rerope:window=512+logn-clip");
  option->allow_extra_args(false)->type_name("SCHEME");
  if (!several) option->expected(1);
  const std::string group_name = "llama.cpp names";
  command.add_option("--rope-scaling", rope_scaling, "none, linear or yarn")
      ->type_name("NAME")
      ->group(group_name);
  program::AddFloat(command, "--rope-scale", rope_scale, "its factor")
      ->group(group_name);
  program::AddInteger(command, "--grp-attn-n", group,
                      "self-extend: tokens a group (also -gan)",
                      {.least = 1, .most = kMostTokens})
      ->group(group_name);
  program::AddInteger(command, "--grp-attn-w", group_window,
                      "self-extend: window (also -gaw)",
                      {.least = 1, .most = kMostTokens})
      ->group(group_name);
}

std::vector<std::string> PositionOptions::Spellings(
    const std::vector<std::string>& otherwise) const {
  std::string alias;
  const auto factor = [&] {
    return rope_scale == 0 ? "" : ":factor=" + FormatNumber(rope_scale);
  };
  if (rope_scaling == "none") {
    alias = "rope";
  } else if (rope_scaling == "linear") {
    alias = "pi" + factor();
  } else if (rope_scaling == "yarn") {
    alias = "yarn" + factor();
  } else {
    Require(rope_scaling.empty(),
            "--rope-scaling must be none, linear or "
            "yarn, got '" +
                Printable(rope_scaling, 40) + "'");
    Require(rope_scale == 0, "--rope-scale needs --rope-scaling");
  }
  if (group != 0 || group_window != 0) {
    Require(alias.empty(),
            "--rope-scaling and --grp-attn-n are two schemes; give one");
    Require(group != 0, "--grp-attn-w needs --grp-attn-n");
    alias = "self-extend:";
    if (group_window > 0) {
      alias += "window=" + std::to_string(group_window) + ",";
    }
    alias += "group=" + std::to_string(group);
  }
  if (alias.empty()) return spellings.empty() ? otherwise : spellings;
  Require(spellings.empty(),
          "--position and llama.cpp's names for the same thing exclude each "
          "other; give --position " +
              alias);
  return {alias};
}

void KvOptions::Add(CLI::App& command) {
  type_option = command
                    .add_option("--kv-type", type,
                                "keys and values in memory: " +
                                    engine::StorableKeyNames())
                    ->type_name("TYPE")
                    ->capture_default_str();
}

void KvOptions::AddMemory(CLI::App& command) {
  command
      .add_option("--kv-memory", memory,
                  "most memory of keys and values, such as 2G; default what "
                  "the machine has available")
      ->type_name("SIZE");
}

DType KvOptions::Type() const {
  const std::optional<DType> parsed = ParseDType(type);
  Require(parsed && engine::CanStoreKeys(*parsed),
          "--kv-type must be " + engine::StorableKeyNames() + ", got '" +
              Printable(type, 40) + "'");
  return *parsed;
}

int64_t KvOptions::MemoryLimit() const {
  if (memory.empty()) return 0;
  const std::optional<int64_t> bytes = ParseSize(memory);
  Require(bytes && *bytes > 0,
          "--kv-memory must be a size in bytes such as "
          "512M or 2G, got '" +
              Printable(memory, 40) + "'");
  return *bytes;
}

std::vector<position::Scheme> ParseSchemes(
    const std::vector<std::string>& spellings) {
  std::vector<position::Scheme> schemes;
  schemes.reserve(spellings.size());
  for (const std::string& spelling : spellings) {
    schemes.push_back(position::ParseScheme(spelling));
  }
  return schemes;
}

int64_t ParseLengthOption(const std::string& text, const std::string& option,
                          int64_t otherwise) {
  if (text.empty()) return otherwise;
  const std::optional<int64_t> length = ParseLength(text);
  Require(length && *length > 0 && *length <= kMostTokens,
          option + " must be a length in tokens such as 512 or 16k, got '" +
              Printable(text, 40) + "'");
  return *length;
}

double ParseSecondsOption(const std::string& text, const std::string& option) {
  double unit = 1;
  std::string_view number = text;
  for (const auto& [suffix, seconds] :
       {std::pair<char, double>{'s', 1}, {'m', 60}, {'h', 3600}}) {
    if (!number.ends_with(suffix)) continue;
    unit = seconds;
    number.remove_suffix(1);
    break;
  }
  const auto value = ParseNumber(number);
  Require(value && *value > 0 && *value <= 1e6,
          option + " must be a time such as 90s, 10m or 2h, got '" +
              Printable(text, 30) + "'");
  return *value * unit;
}

std::vector<int64_t> ParseLengths(const std::vector<std::string>& texts,
                                  const std::string& option) {
  std::vector<int64_t> lengths;
  for (const std::string& text : texts) {
    Require(!text.empty(), option + ": an empty length");
    lengths.push_back(ParseLengthOption(text, option, 0));
  }
  return lengths;
}

void TextOptions::Add(CLI::App& command, bool questions) {
  prompt_option = command.add_option(
      "-p,--prompt", prompts,
      questions ? "the text; several times for several texts at once, behind "
                  "the text of -f where that is given too"
                : "the text");
  prompt_option->type_name("STRING")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(questions ? CLI::MultiOptionPolicy::TakeAll
                                      : CLI::MultiOptionPolicy::Throw);
  file_option =
      command
          .add_option("-f,--file", file,
                      "a file with the text (UTF-8, may be .gz); - is standard "
                      "input, which is also read where neither is given and it "
                      "is no terminal")
          ->type_name("FILE");
  command.add_flag(
      "-e,--escape", escape,
      "read \\n, \\t, \\r, \\\\, \\', \\\" and \\xHH (a byte) in -p "
      "as what they stand for; default: as they are written");
}

std::string TextOptions::Source() const {
  if (prompt_option->count() > 0 && file_option->count() == 0) return "";
  return file.empty() || file == "-" ? "standard input" : file;
}

namespace {

constexpr char kTextRule[] =
    "give the text with either -p TEXT or -f FILE (- is standard input)";

}  // namespace

std::string TextOptions::Read() const {
  Require(prompt_option->count() + file_option->count() <= 1, kTextRule);
  return prompt_option->count() > 0 ? ReadPrompts().front() : ReadFile();
}

std::vector<std::string> TextOptions::ReadPrompts() const {
  std::vector<std::string> texts;
  for (const std::string& prompt : prompts) {
    std::string text = escape ? Unescape(prompt, "-p") : prompt;
    const auto broken = FindInvalidUtf8(text);
    Require(!broken, "the text of -p is not UTF-8 at byte " +
                         std::to_string(broken.value_or(0)));
    texts.push_back(std::move(text));
  }
  return texts;
}

std::string TextOptions::ReadFile() const {
  const bool has_file = file_option->count() > 0;
  const bool terminal = isatty(STDIN_FILENO) != 0;
  Require(has_file || !terminal, kTextRule);
  Require(!escape || prompt_option->count() > 0,
          "--escape goes with -p; a file is read as it is");
  std::string text;
  if (has_file && file != "-") {
    text = formats::ReadTextFile(file);
  } else {
    if (terminal) {
      std::fprintf(stderr,
                   "reading the text from the terminal; Ctrl-D ends it\n");
    }
    text = formats::ReadText(stdin, Source());
    Require(has_file || !text.empty(),
            std::string(kTextRule) + "; there, it is empty");
  }
  formats::RequireUtf8(has_file ? file : Source(), text);
  return text;
}

std::string Unescape(const std::string& text, const std::string& option) {
  static const std::map<char, char> kEscapes = {{'n', '\n'},  {'t', '\t'},
                                                {'r', '\r'},  {'\\', '\\'},
                                                {'\'', '\''}, {'"', '"'}};
  const auto digit = [](char c) {
    const char lower = static_cast<char>(c | 0x20);
    if (c >= '0' && c <= '9') return c - '0';
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
  };
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      plain += text[i];
      continue;
    }
    const std::string_view rest = std::string_view(text).substr(i);
    const auto escape =
        rest.size() > 1 ? kEscapes.find(rest[1]) : kEscapes.end();
    if (escape != kEscapes.end()) {
      plain += escape->second;
      i += 1;
    } else if (rest.size() >= 4 && rest[1] == 'x' && digit(rest[2]) >= 0 &&
               digit(rest[3]) >= 0) {
      plain += static_cast<char>(16 * digit(rest[2]) + digit(rest[3]));
      i += 3;
    } else {
      Require(false,
              "--escape: '" + Printable(rest.substr(0, 4)) + "' at byte " +
                  std::to_string(i) + " of " + option +
                  " is no escape; there are \\n, \\t, \\r, \\\\, \\', \\\" and "
                  "\\xHH");
    }
  }
  return plain;
}

}  // namespace ropewalk::cli
