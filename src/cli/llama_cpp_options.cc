#include "cli/llama_cpp_options.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace ropewalk::cli {
namespace {

enum class Kind {
  kRename,     // `text` is our name
  kSkip,       // has no effect; `text` says why, if there is need to
  kSkipValue,  // the same, with a value
  kSkipMaybe,  // the same, with a value of on, off or auto that may be there
  kAdvise,     // refused; `text` says what to type
};

struct Foreign {
  std::string_view name;
  Kind kind;
  std::string_view text;
};

constexpr std::string_view kCpu = "everything runs on the CPU here";
constexpr std::string_view kPass = "a pass has 512 tokens here";
constexpr std::string_view kNoDownload =
    "nothing is downloaded here: fetch the model and name its file or folder "
    "with -m";
constexpr std::string_view kYarn =
    "type --position yarn:factor=X, with fast=, slow= where they differ from "
    "32 and 1 (ropewalk positions yarn)";
constexpr std::string_view kNoSampler =
    "is not among the samplers here; see ropewalk run --help for those that "
    "are";
constexpr std::string_view kChat = "type ropewalk chat -m MODEL";

constexpr auto kForeign = std::to_array<Foreign>({
    {"-t", Kind::kRename, "--threads"},
    {"-s", Kind::kRename, "--seed"},
    {"--predict", Kind::kRename, "-n"},
    {"--n-predict", Kind::kRename, "-n"},
    {"--ctx-size", Kind::kRename, "--context"},
    {"-ctk", Kind::kRename, "--kv-type"},
    {"-ctv", Kind::kRename, "--kv-type"},
    {"--cache-type-k", Kind::kRename, "--kv-type"},
    {"--cache-type-v", Kind::kRename, "--kv-type"},
    {"-sys", Kind::kRename, "--system"},
    {"--system-prompt", Kind::kRename, "--system"},
    {"--temperature", Kind::kRename, "--temp"},
    {"--typical", Kind::kRename, "--typical-p"},
    {"--repeat-last-n", Kind::kRename, "--penalty-last"},
    {"-r", Kind::kRename, "--stop"},
    {"--reverse-prompt", Kind::kRename, "--stop"},
    {"--dry-sequence-breaker", Kind::kRename, "--dry-breaker"},
    {"--context-shift", Kind::kRename, "--shift"},
    {"-gan", Kind::kRename, "--grp-attn-n"},
    {"-gaw", Kind::kRename, "--grp-attn-w"},
    {"-ngl", Kind::kSkipValue, kCpu},
    {"--gpu-layers", Kind::kSkipValue, kCpu},
    {"--n-gpu-layers", Kind::kSkipValue, kCpu},
    {"-sm", Kind::kSkipValue, kCpu},
    {"--split-mode", Kind::kSkipValue, kCpu},
    {"-ts", Kind::kSkipValue, kCpu},
    {"--tensor-split", Kind::kSkipValue, kCpu},
    {"-mg", Kind::kSkipValue, kCpu},
    {"--main-gpu", Kind::kSkipValue, kCpu},
    {"-dev", Kind::kSkipValue, kCpu},
    {"--device", Kind::kSkipValue, kCpu},
    {"-ncmoe", Kind::kSkipValue, kCpu},
    {"--n-cpu-moe", Kind::kSkipValue, kCpu},
    {"-cmoe", Kind::kSkip, kCpu},
    {"--cpu-moe", Kind::kSkip, kCpu},
    {"-fa", Kind::kSkipMaybe, "attention is always fused here"},
    {"--flash-attn", Kind::kSkipMaybe, "attention is always fused here"},
    {"-b", Kind::kSkipValue, kPass},
    {"--batch-size", Kind::kSkipValue, kPass},
    {"-ub", Kind::kSkipValue, kPass},
    {"--ubatch-size", Kind::kSkipValue, kPass},
    {"-tb", Kind::kSkipValue, "prompt and answer have the same threads here"},
    {"--threads-batch", Kind::kSkipValue,
     "prompt and answer have the same threads here"},
    {"--no-mmap", Kind::kSkip, "files are always mapped here"},
    {"--mmap", Kind::kSkip, ""},
    {"--no-warmup", Kind::kSkip, ""},
    {"--warmup", Kind::kSkip, ""},
    {"--no-perf", Kind::kSkip, ""},
    {"--perf", Kind::kSkip, ""},
    {"--color", Kind::kSkipMaybe, ""},
    {"-co", Kind::kSkip, ""},
    {"--jinja", Kind::kSkip, ""},
    {"--no-display-prompt", Kind::kSkip, ""},
    {"--simple-io", Kind::kSkip, ""},
    {"--no-context-shift", Kind::kSkip, ""},
    {"--no-escape", Kind::kSkip, ""},
    {"-no-cnv", Kind::kSkip, ""},
    {"--no-conversation", Kind::kSkip, ""},
    {"-cnv", Kind::kAdvise, kChat},
    {"--conversation", Kind::kAdvise, kChat},
    {"-i", Kind::kAdvise, kChat},
    {"--interactive", Kind::kAdvise, kChat},
    {"-hf", Kind::kAdvise, kNoDownload},
    {"-hfr", Kind::kAdvise, kNoDownload},
    {"--hf-repo", Kind::kAdvise, kNoDownload},
    {"-hff", Kind::kAdvise, kNoDownload},
    {"--hf-file", Kind::kAdvise, kNoDownload},
    {"-mu", Kind::kAdvise, kNoDownload},
    {"--model-url", Kind::kAdvise, kNoDownload},
    {"--rope-freq-base", Kind::kAdvise,
     "type --position ntk-fixed:factor=X for what another base is for, the "
     "factor being how many times the trained length"},
    {"--rope-freq-scale", Kind::kAdvise,
     "type --position pi:factor=X, X being 1 over that number"},
    {"--yarn-orig-ctx", Kind::kAdvise,
     "type --train-length LEN with --position yarn:factor=X"},
    {"--yarn-ext-factor", Kind::kAdvise, kYarn},
    {"--yarn-attn-factor", Kind::kAdvise, kYarn},
    {"--yarn-beta-slow", Kind::kAdvise, kYarn},
    {"--yarn-beta-fast", Kind::kAdvise, kYarn},
    {"-np", Kind::kAdvise, "type -p once for each text"},
    {"--parallel", Kind::kAdvise, "type -p once for each text"},
    {"--mirostat", Kind::kAdvise, kNoSampler},
    {"--xtc-probability", Kind::kAdvise, kNoSampler},
    {"--xtc-threshold", Kind::kAdvise, kNoSampler},
    {"--top-nsigma", Kind::kAdvise, kNoSampler},
    {"--dynatemp-range", Kind::kAdvise, kNoSampler},
    {"--samplers", Kind::kAdvise, kNoSampler},
    {"-md", Kind::kAdvise, "there is no speculative decoding here"},
    {"--model-draft", Kind::kAdvise, "there is no speculative decoding here"},
    {"--lora", Kind::kAdvise,
     "adapters are not read; merge it into the model first"},
    {"--mmproj", Kind::kAdvise, "pictures are not read; text alone is"},
});

// Options whose value may look like an option.
constexpr std::array<std::string_view, 8> kTexts = {
    "-p", "--prompt", "--system", "--stop", "-sys", "-r", "-f", "--file"};

const Foreign* Find(std::string_view name) {
  const auto* found =
      std::find_if(kForeign.begin(), kForeign.end(),
                   [&](const Foreign& f) { return f.name == name; });
  return found == kForeign.end() ? nullptr : found;
}

bool IsSwitch(std::string_view value) {
  return value == "on" || value == "off" || value == "auto" || value == "0" ||
         value == "1";
}

class Translation {
 public:
  Translation(std::vector<std::string> arguments,
              const std::function<void(const std::string&)>& note)
      : from_(std::move(arguments)), note_(note) {}

  std::vector<std::string> Run() {
    to_.push_back(from_.front());
    for (at_ = 1; at_ < from_.size(); ++at_) {
      const std::string& argument = from_[at_];
      if (argument == "--") {
        to_.insert(to_.end(), from_.begin() + static_cast<int64_t>(at_),
                   from_.end());
        break;
      }
      const size_t equals =
          argument.starts_with("--") ? argument.find('=') : std::string::npos;
      const std::string name = argument.substr(0, equals);
      if (equals != std::string::npos) value_ = argument.substr(equals + 1);
      Take(name, argument);
      value_.reset();
    }
    return std::move(to_);
  }

 private:
  void Take(const std::string& name, const std::string& argument) {
    const Foreign* foreign = Find(name);
    if (foreign == nullptr) return TakeOurs(name, argument);
    switch (foreign->kind) {
      case Kind::kRename:
        return Rename(name, std::string(foreign->text));
      case Kind::kSkip:
        break;
      case Kind::kSkipValue:
        if (!value_ && HasNext()) ++at_;
        break;
      case Kind::kSkipMaybe:
        if (!value_ && HasNext() && IsSwitch(from_[at_ + 1])) ++at_;
        break;
      case Kind::kAdvise:
        throw std::invalid_argument(name + ": " + std::string(foreign->text));
    }
    if (!foreign->text.empty()) {
      note_(name + " is left out: " + std::string(foreign->text));
    }
  }

  // Our own options, of which two have numbers that mean something else there.
  void TakeOurs(const std::string& name, const std::string& argument) {
    const bool tokens = name == "-n" || name == "--tokens";
    const bool context = name == "-c" || name == "--context";
    if ((tokens || context) && (value_ || HasNext())) {
      return Rename(name, name);
    }
    to_.push_back(argument);
    const bool text =
        std::find(kTexts.begin(), kTexts.end(), name) != kTexts.end();
    if (text && !value_ && HasNext()) to_.push_back(from_[++at_]);
  }

  void Rename(const std::string& name, const std::string& ours) {
    const bool takes_value = ours != "--shift";
    if (takes_value && !value_ && HasNext()) value_ = from_[++at_];
    if ((ours == "-n" || ours == "--tokens") &&
        (value_ == "-1" || value_ == "-2")) {
      throw std::invalid_argument(
          name + " " + *value_ +
          ": say how many tokens at most, such as -n 4096; an answer that ends "
          "by itself ends before, and with --shift a full context is no end");
    }
    // 0 is llama.cpp's "from the model", which is what no option means here.
    if ((ours == "-c" || ours == "--context") && value_ == "0") return;
    if (ours == "--kv-type" && value_) {
      if (kv_type_ && *kv_type_ != *value_) {
        throw std::invalid_argument(
            name + ": keys and values have one type here, got " + *kv_type_ +
            " and " + *value_);
      }
      if (std::exchange(kv_type_, value_)) return;
    }
    to_.push_back(ours);
    if (takes_value && value_) to_.push_back(*value_);
  }

  bool HasNext() const { return at_ + 1 < from_.size(); }

  std::vector<std::string> from_;
  const std::function<void(const std::string&)>& note_;
  std::vector<std::string> to_;
  size_t at_ = 0;
  std::optional<std::string> value_;    // behind "=", or taken
  std::optional<std::string> kv_type_;  // given already
};

}  // namespace

std::vector<std::string> FromLlamaCpp(
    std::vector<std::string> arguments,
    const std::function<void(const std::string&)>& note) {
  const bool ours = arguments.empty() ||
                    (arguments.front() != "run" && arguments.front() != "chat");
  if (ours) return arguments;
  return Translation(std::move(arguments), note).Run();
}

}  // namespace ropewalk::cli
