// ropewalk run: read a prompt of any length and go on writing.

#include <algorithm>
#include <cstdio>
#include <memory>
#include <random>
#include <string>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/runtime.h"
#include "generate/generator.h"
#include "model/context.h"

namespace ropewalk::cli {
namespace {

struct RunJob {
  ModelOptions model;
  PositionOptions position;
  TextOptions text;
  int64_t tokens = 256;
  std::string context;
  generate::SampleOptions sampling;
  int64_t seed = -1;
  bool force = false;
  bool echo = false;
  bool ignore_eos = false;
};

const char* ReasonText(generate::StopReason reason) {
  switch (reason) {
    case generate::StopReason::kEndOfText:
      return "end of text";
    case generate::StopReason::kTokenLimit:
      return "token limit (-n)";
    case generate::StopReason::kContextFull:
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

void RunCommand(const RunJob& job) {
  constexpr int64_t kMostTokens = int64_t{1} << 30;  // as of any length
  Require(job.tokens > 0 && job.tokens <= kMostTokens,
          "-n must be from 1 to " + std::to_string(kMostTokens) + ", got " +
              std::to_string(job.tokens));
  Require(job.seed >= -1, "--seed must be at least 0 (-1: a new one), got " +
                              std::to_string(job.seed));
  generate::Validate(job.sampling);
  const std::string text = job.text.Read();
  // An empty -p asks for a text from nothing; an empty file is a mistake.
  Require(!text.empty() || job.text.file.empty(),
          "the prompt is empty: nothing in '" + job.text.file + "'");
  const std::string spelling = job.position.Spellings({"auto"}).front();
  const position::Scheme scheme = position::ParseScheme(spelling);
  Runtime runtime(job.model);
  const position::ModelPositions& positions = runtime.positions();
  const std::vector<Token> prompt = runtime.tokenizer().Encode(text);
  const auto prompt_tokens = static_cast<int64_t>(prompt.size());

  // Room for prompt and answer; never less than the model was trained to.
  const int64_t context_length = ParseLengthOption(
      job.context, "--context",
      std::max(positions.train_length, prompt_tokens + job.tokens));
  Require(prompt_tokens < context_length,
          "the prompt has " + std::to_string(prompt_tokens) +
              " tokens and does not fit a context of " +
              std::to_string(context_length) +
              "; give a larger --context (nothing is cut silently)");
  const position::Scheme resolved =
      position::Resolve(scheme, positions, context_length);
  const position::Stack stack = position::BuildStack(
      resolved, positions, context_length, runtime.model().config().L);
  if (!job.force) {
    const auto reason =
        position::KnownToFail(resolved, positions, context_length);
    Require(!reason, reason.value_or("") + " (or --force)");
  }
  const uint64_t seed =
      job.seed >= 0 ? static_cast<uint64_t>(job.seed) : std::random_device()();
  CatchInterrupts();
  std::fprintf(stderr, "%s; position %s; context %lld; seed %llu\n",
               runtime.Describe().c_str(), position::ToString(resolved).c_str(),
               static_cast<long long>(context_length),
               static_cast<unsigned long long>(seed));

  model::Context context(runtime.model(), stack, {.length = context_length},
                         runtime.threads());
  generate::Sampler sampler(job.sampling, seed);
  generate::GenerateResult result;
  if (job.echo) WriteText(text);
  {
    Progress progress("reading the prompt", prompt_tokens, "tokens");
    result = generate::Generate(
        context, runtime.tokenizer(), prompt, sampler,
        {.max_tokens = job.tokens, .ignore_end_of_text = job.ignore_eos},
        {.on_prompt =
             [&](int64_t tokens) {
               progress.Add(tokens);
               ThrowIfInterrupted();
               if (context.size() == prompt_tokens) progress.Clear();
             },
         .on_text =
             [&](const std::string& piece) {
               if (!piece.empty()) WriteText(piece);
               if (PendingInterrupt() != 0) {
                 WriteText("\n");
                 ThrowIfInterrupted();
               }
             }});
  }
  WriteText("\n");
  std::fprintf(
      stderr,
      "stopped: %s; prompt %lld tokens at %s/s, %lld generated at %s/s; keys "
      "and values %s\n",
      ReasonText(result.reason), static_cast<long long>(result.prompt_tokens),
      FormatCount(Rate(result.prompt_tokens, result.prompt_seconds)).c_str(),
      static_cast<long long>(result.generated_tokens),
      FormatCount(Rate(result.generated_tokens, result.generate_seconds))
          .c_str(),
      FormatBytes(context.KvBytes()).c_str());
}

}  // namespace

void AddRun(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("run", "read a prompt of any length and continue it");
  auto job = std::make_shared<RunJob>();
  job->model.Add(*command);
  job->text.Add(*command);
  job->position.Add(*command, false);
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
  command->footer(
      "Without --position the choice is `auto`: the model's own rope up to its "
      "trained\nlength, rerope+logn-clip beyond. The choice is printed.\n\n"
      "Examples:\n"
      "  ropewalk run -m model.gguf -p 'Once upon a time' --temp 0\n"
      "  ropewalk run -m model.gguf -f book.txt -n 200 --position "
      "rerope:window=1024+logn-clip");
  command->callback([job] { RunCommand(*job); });
}

}  // namespace ropewalk::cli
