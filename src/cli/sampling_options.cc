#include "cli/sampling_options.h"

#include <limits>
#include <map>
#include <random>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "base/token.h"
#include "cli/options.h"
#include "program/numbers.h"

namespace ropewalk::cli {
namespace {

constexpr char kNoBreakers[] = "none";

std::map<Token, double> ParseBiases(const std::vector<std::string>& texts) {
  std::map<Token, double> biases;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    const auto id = ParseInt(text.substr(0, equals));
    std::optional<double> bias;
    if (equals != std::string::npos) {
      const std::string value = text.substr(equals + 1);
      bias = value == "-inf" ? -std::numeric_limits<double>::infinity()
                             : ParseNumber(value);
    }
    Require(id && *id >= 0 && *id <= std::numeric_limits<Token>::max() && bias,
            "--logit-bias must be ID=BIAS, as in 42=-1.5 or 42=-inf, got '" +
                Printable(text, 40) + "'");
    Require(biases.emplace(static_cast<Token>(*id), *bias).second,
            "--logit-bias names token " + std::to_string(*id) + " twice");
  }
  return biases;
}

std::vector<std::string> Unescaped(const std::vector<std::string>& texts,
                                   const std::string& option, bool escape) {
  std::vector<std::string> plain;
  for (const std::string& text : texts) {
    plain.push_back(escape ? Unescape(text, option) : text);
    Require(!plain.back().empty(), option + " must not be empty");
  }
  return plain;
}

// Adds options that stand together in --help.
class Group {
 public:
  Group(CLI::App& command, std::string name)
      : command_(command), name_(std::move(name)) {}

  const std::string& name() const { return name_; }

  // The help shows the default.
  template <typename Number>
  void Add(const std::string& option, Number& number, const std::string& help) {
    CLI::Option* added = nullptr;
    if constexpr (std::is_integral_v<Number>) {
      added = program::AddInteger(command_, option, number, help);
    } else {
      added = program::AddFloat(command_, option, number, help);
    }
    added->group(name_)->default_str(FormatNumber(number));
  }

  // May be repeated, with one text each time.
  void AddTexts(const std::string& option, std::vector<std::string>& texts,
                const std::string& type, const std::string& help) {
    command_.add_option(option, texts, help)
        ->group(name_)
        ->type_name(type)
        ->allow_extra_args(false);
  }

 private:
  CLI::App& command_;
  std::string name_;
};

}  // namespace

void SamplingOptions::Add(CLI::App& command) {
  Group choice(command, "Choice of tokens");
  choice.Add("--temp", numbers.temperature,
             "temperature; 0 always takes the most likely token");
  choice.Add("--top-k", numbers.top_k,
             "keep the k most likely tokens; 0 keeps all");
  choice.Add("--top-p", numbers.top_p,
             "keep the most likely tokens up to this probability");
  choice.Add("--min-p", numbers.min_p,
             "drop tokens below this share of the best one's");
  choice.Add("--typical-p", numbers.typical_p,
             "keep the tokens about as surprising as the model expects, up to "
             "this probability; 1 keeps all");
  choice.AddTexts("--logit-bias", biases, "ID=BIAS",
                  "add BIAS to the logit of token ID; -inf bans it; repeat for "
                  "more");
  program::AddSeed(command, "--seed", seed,
                   "of the random choices; default a new one each run")
      ->group(choice.name());

  Group repetition(command, "Repetition");
  engine::PenaltyOptions& penalties = numbers.penalties;
  repetition.Add("--repeat-penalty", penalties.repetition,
                 "lower the logit of each token that the text has by this "
                 "factor; 1 is off");
  repetition.Add("--frequency-penalty", penalties.frequency,
                 "take this from the logit of a token for each time that the "
                 "text has it");
  repetition.Add("--presence-penalty", penalties.presence,
                 "take this from the logit of each token that the text has");
  repetition.Add("--penalty-last", penalties.last,
                 "how many of the last tokens of prompt and answer these three "
                 "look at; 0 none, -1 all");
  engine::DryOptions& dry = numbers.dry;
  repetition.Add("--dry-multiplier", dry.multiplier,
                 "DRY: penalty on a token that would prolong a repeated "
                 "sequence; 0 is off");
  repetition.Add("--dry-base", dry.base,
                 "DRY: each further token of the sequence multiplies the "
                 "penalty by this");
  repetition.Add("--dry-allowed-length", dry.allowed_length,
                 "DRY: tokens of the shortest sequence that has a penalty");
  repetition.Add("--dry-penalty-last", dry.last,
                 "DRY: how many of the last tokens it looks at; 0 none, -1 "
                 "all");
  repetition.AddTexts("--dry-breaker", breakers, "STRING",
                      "DRY: a text or special token that no sequence reaches "
                      "over; repeat for more; default newline, colon, quote "
                      "and asterisk; `none` for none");

  Group output(command, "Stopping and reporting");
  output.AddTexts("--stop", stops, "STRING",
                  "stop before this text, which is not shown; repeat for more");
  program::AddInteger(command, "--logprobs", logprobs,
                      "report the log probability of each token and of the N "
                      "most likely ones",
                      {.least = 0})
      ->group(output.name());
}

engine::SampleOptions SamplingOptions::ForSampler(bool escape) const {
  engine::SampleOptions options = numbers;
  options.logit_bias = ParseBiases(biases);
  if (breakers == std::vector<std::string>{kNoBreakers}) {
    options.dry.breakers.clear();
  } else if (!breakers.empty()) {
    options.dry.breakers = Unescaped(breakers, "--dry-breaker", escape);
  }
  engine::Validate(options);
  return options;
}

std::vector<std::string> SamplingOptions::StopTexts(bool escape) const {
  return Unescaped(stops, "--stop", escape);
}

std::optional<int64_t> SamplingOptions::LogProbabilities() const {
  return logprobs < 0 ? std::nullopt : std::optional(logprobs);
}

uint64_t SamplingOptions::Seed() const {
  return seed ? *seed : std::random_device()();
}

}  // namespace ropewalk::cli
