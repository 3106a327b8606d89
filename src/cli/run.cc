// ropewalk run: read a prompt of any length and go on writing.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/prompt_options.h"
#include "engine/engine.h"
#include "engine/generator.h"
#include "model/context.h"
#include "model/session.h"

namespace ropewalk::cli {
namespace {

using engine::Engine;

struct RunJob {
  ModelOptions model;
  PositionOptions position;
  KvOptions kv;
  PromptOptions prompt;
  int64_t tokens = 256;
  std::string context;
  engine::SampleOptions sampling;
  int64_t seed = -1;
  bool force = false;
  bool echo = false;
  bool ignore_eos = false;
  std::string prompt_cache;
  bool shift = false;
  int64_t keep = 0;
  std::string change;  // LEN=SCHEME
};

const char* ReasonText(engine::StopReason reason) {
  switch (reason) {
    case engine::StopReason::kEndOfText:
      return "end of text";
    case engine::StopReason::kTokenLimit:
      return "token limit (-n)";
    case engine::StopReason::kContextFull:
      return "context full (--context)";
  }
  return "";
}

void WriteText(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) != 0) {
    throw IoError("cannot write to standard output");
  }
}

double Rate(int64_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

// A scheme as it runs at `length`; refused where it is known to fail there.
struct Law {
  position::Scheme scheme;
  position::Stack stack;
};

Law LawFor(const RunJob& job, const position::Scheme& scheme,
           const Engine& engine, int64_t length) {
  const position::ModelPositions& positions = engine.positions();
  Law law{position::Resolve(scheme, positions, length), {}};
  law.stack = position::BuildStack(law.scheme, positions, length,
                                   engine.model().config().L);
  if (!job.force) {
    const auto reason = position::KnownToFail(law.scheme, positions, length);
    Require(!reason, reason.value_or("") + " (or --force)");
  }
  return law;
}

struct Switch {
  int64_t at = 0;
  position::Scheme scheme;
};

std::optional<Switch> ParseSwitch(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const size_t equals = text.find('=');
  Require(equals != std::string::npos,
          "--switch must be LENGTH=SCHEME, as in 4k=rerope:window=4k, got '" +
              Printable(text, 60) + "'");
  return Switch{ParseLengthOption(text.substr(0, equals), "--switch", 0),
                position::ParseScheme(text.substr(equals + 1))};
}

void RunCommand(const RunJob& job) {
  constexpr int64_t kMostTokens = int64_t{1} << 30;  // as of any length
  Require(job.tokens > 0 && job.tokens <= kMostTokens,
          "-n must be from 1 to " + std::to_string(kMostTokens) + ", got " +
              std::to_string(job.tokens));
  Require(job.seed >= -1, "--seed must be at least 0 (-1: a new one), got " +
                              std::to_string(job.seed));
  engine::Validate(job.sampling);
  const DType kv_type = job.kv.Type();
  const std::optional<Switch> change = ParseSwitch(job.change);
  Require(job.keep >= 0,
          "--keep must be at least 0, got " + std::to_string(job.keep));
  Require(!change || job.prompt_cache.empty(),
          "--prompt-cache and --switch exclude each other: a kept text belongs "
          "to one scheme from its first token");
  Require(job.shift || job.keep == 0, "--keep goes with --shift");
  const std::string text = job.prompt.Read();
  const std::string spelling = job.position.Spellings({"auto"}).front();
  const position::Scheme scheme = position::ParseScheme(spelling);
  Engine engine(job.model.ForEngine());
  const position::ModelPositions& positions = engine.positions();
  const Prompt prompt = job.prompt.Encode(text, engine);
  const auto prompt_tokens = static_cast<int64_t>(prompt.tokens.size());

  // Room for prompt and answer; never less than the model was trained to, and
  // no more where the context shifts.
  const int64_t context_length = ParseLengthOption(
      job.context, "--context",
      job.shift ? positions.train_length
                : std::max(positions.train_length, prompt_tokens + job.tokens));
  Require(prompt_tokens < context_length,
          "the prompt has " + std::to_string(prompt_tokens) +
              " tokens and does not fit a context of " +
              std::to_string(context_length) +
              "; give a larger --context (nothing is cut silently)");
  Require(job.keep + 1 < context_length,
          "--keep " + std::to_string(job.keep) +
              " leaves no room in a context of " +
              std::to_string(context_length));
  const int64_t first_length =
      change ? std::min(change->at, context_length) : context_length;
  const Law law = LawFor(job, scheme, engine, first_length);
  std::string described = position::ToString(law.scheme);
  const std::string changed = position::ChangedLayers(law.scheme, positions);
  if (!changed.empty()) described += " " + changed;
  engine::GenerateOptions options{.max_tokens = job.tokens,
                                  .ignore_end_of_text = job.ignore_eos,
                                  .shift = job.shift,
                                  .keep = job.keep};
  if (change) {
    Law later = LawFor(job, change->scheme, engine, context_length);
    options.change = {change->at, std::move(later.stack)};
    described += ", " + position::ToString(later.scheme) + " from " +
                 std::to_string(change->at) + " on";
  }
  const uint64_t seed =
      job.seed >= 0 ? static_cast<uint64_t>(job.seed) : std::random_device()();
  CatchInterrupts();
  std::fprintf(
      stderr, "%s; %sposition %s; context %lld; seed %llu\n",
      engine.Describe().c_str(),
      prompt.form.empty() ? "" : ("chat form " + prompt.form + "; ").c_str(),
      described.c_str(), static_cast<long long>(context_length),
      static_cast<unsigned long long>(seed));

  model::Context context(engine.model(), law.stack,
                         {.length = context_length, .kv_type = kv_type},
                         engine.threads());
  int64_t reused = 0;
  if (!job.prompt_cache.empty() && std::filesystem::exists(job.prompt_cache)) {
    model::LoadSession(job.prompt_cache, engine.model(), context.sequence());
    const int64_t cached = context.size();
    reused = context.sequence().ReusePrefix(prompt.tokens);
    std::fprintf(
        stderr, "prompt cache: %lld of %lld tokens begin this prompt too\n",
        static_cast<long long>(reused), static_cast<long long>(cached));
  }
  const std::span<const Token> unread =
      std::span(prompt.tokens).subspan(static_cast<size_t>(reused));
  // Written however the reading ends; the old file stays until then.
  const auto save = [&] {
    if (job.prompt_cache.empty()) return;
    model::SaveSession(job.prompt_cache, engine.model(), context.sequence(),
                       described);
  };
  engine::Sampler sampler(job.sampling, seed);
  engine::GenerateResult result;
  if (job.echo) WriteText(prompt.text);
  try {
    Progress progress("reading the prompt", static_cast<int64_t>(unread.size()),
                      "tokens");
    result =
        engine::Generate(context, engine.tokenizer(), unread, sampler, options,
                         {.on_prompt =
                              [&](int64_t tokens) {
                                progress.Add(tokens);
                                ThrowIfInterrupted();
                                if (context.size() == prompt_tokens)
                                  progress.Clear();
                              },
                          .on_text =
                              [&](const std::string& piece) {
                                if (!piece.empty()) WriteText(piece);
                                if (PendingInterrupt() != 0) {
                                  WriteText("\n");
                                  ThrowIfInterrupted();
                                }
                              }});
  } catch (const Interrupted&) {
    save();
    throw;
  }
  save();
  WriteText("\n");
  const std::string shifted =
      result.shifted_tokens == 0
          ? ""
          : ", " + std::to_string(result.shifted_tokens) + " taken out";
  std::fprintf(
      stderr,
      "stopped: %s; prompt %lld tokens at %s/s, %lld generated at %s/s%s; "
      "keys and values %s\n",
      ReasonText(result.reason), static_cast<long long>(result.prompt_tokens),
      FormatCount(Rate(result.prompt_tokens, result.prompt_seconds)).c_str(),
      static_cast<long long>(result.generated_tokens),
      FormatCount(Rate(result.generated_tokens, result.generate_seconds))
          .c_str(),
      shifted.c_str(), FormatBytes(context.sequence().KvBytes()).c_str());
}

}  // namespace

void AddRun(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("run", "read a prompt of any length and continue it");
  auto job = std::make_shared<RunJob>();
  job->model.Add(*command);
  job->prompt.Add(*command);
  job->position.Add(*command, false);
  job->kv.Add(*command);
  command->add_option("-n,--tokens", job->tokens, "tokens to write at most")
      ->capture_default_str();
  command->add_option("-c,--context", job->context,
                      "tokens of prompt and answer together; default what they "
                      "need, at least the trained length");
  command
      ->add_option("--temp", job->sampling.temperature,
                   "temperature; 0 always takes the most likely token")
      ->capture_default_str();
  command
      ->add_option("--top-k", job->sampling.top_k,
                   "keep the k most likely tokens; 0 keeps all")
      ->capture_default_str();
  command
      ->add_option("--top-p", job->sampling.top_p,
                   "keep the most likely tokens up to this probability")
      ->capture_default_str();
  command
      ->add_option("--min-p", job->sampling.min_p,
                   "drop tokens below this share of the best one's")
      ->capture_default_str();
  command->add_option("--seed", job->seed,
                      "of the random choices; default a new one each run");
  command->add_flag("--echo", job->echo, "print the prompt first");
  command->add_flag("--ignore-eos", job->ignore_eos,
                    "go on past the end-of-text token");
  command->add_flag("--force", job->force,
                    "run a scheme that is known to fail at this length");
  command->add_option("--prompt-cache", job->prompt_cache,
                      "file that keeps the text read and its keys and values; "
                      "what the next prompt shares with it is not read again");
  command->add_flag("--shift", job->shift,
                    "a full context takes out the older half, closes up and "
                    "goes on; --context then defaults to the trained length");
  command->add_option("--keep", job->keep,
                      "with --shift: first tokens that always stay");
  command->add_option("--switch", job->change,
                      "LENGTH=SCHEME: other positions from that length on, "
                      "over what was read so far");
  command->footer(
      "Without --position the choice is `auto`: the model's own law as long as "
      "it holds (up\nto the trained length, further for models trained to be "
      "read long), rerope+logn-clip\nbeyond. A scheme changes the layers that "
      "read the whole text; @all behind it, as in\nrerope@all, those with a "
      "window too. The choice is printed.\n\n"
      "Examples:\n"
      "  ropewalk run -m model.gguf -p 'Once upon a time' --temp 0\n"
      "  ropewalk run -m model.gguf -f book.txt -n 200 --position "
      "rerope:window=1024+logn-clip\n"
      "  ropewalk run -m model.gguf -f book.txt --prompt-cache book.kv "
      "--kv-type q8_0\n"
      "  ropewalk run -m model.gguf -p 'Once' -n 10000 --shift --keep 4\n"
      "  ropewalk run -m instruct.gguf --chat -p 'Why is the sky blue?' --temp "
      "0\n"
      "  ropewalk run -m instruct.gguf --special -e -p "
      "'<|im_start|>user\\nHi<|im_end|>\\n'\n"
      "  zcat book.txt.gz | ropewalk run -m model.gguf -n 200\n"
      "  ropewalk run -m model.gguf -f book.txt --position rope "
      "--switch 4k=rerope:window=2k");
  command->callback([job] { RunCommand(*job); });
}

}  // namespace ropewalk::cli
