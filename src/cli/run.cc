// ropewalk run: read a prompt of any length and go on writing.

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/grammar_options.h"
#include "cli/memory_options.h"
#include "cli/options.h"
#include "cli/outputs.h"
#include "cli/prompt_options.h"
#include "cli/reading_progress.h"
#include "cli/sampling_options.h"
#include "engine/generate.h"
#include "engine/session.h"
#include "position/recommendation.h"
#include "program/numbers.h"

namespace ropewalk::cli {
namespace {

using engine::Engine;
using engine::Session;
using Json = nlohmann::ordered_json;

struct RunJob {
  ModelOptions model;
  PositionOptions position;
  KvOptions kv;
  MemoryOptions memory;
  PromptOptions prompt;
  SamplingOptions sampling;
  GrammarOptions grammar;
  int64_t tokens = 256;
  std::string context;
  bool force = false;
  bool echo = false;
  bool ignore_eos = false;
  std::string prompt_cache;
  bool cache_read_only = false;
  std::string json;
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
    case engine::StopReason::kStopText:
      return "stop text";
    case engine::StopReason::kStopped:
      return "interrupted";
  }
  return "";
}

void WriteText(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) != 0) {
    throw IoError(std::string("cannot write to standard output: ") +
                  std::strerror(errno));
  }
}

double Rate(int64_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
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

void CheckJob(const RunJob& job, const std::optional<Switch>& change) {
  Require(!change || job.prompt_cache.empty(),
          "--prompt-cache and --switch exclude each other: a kept text belongs "
          "to one scheme from its first token");
  job.memory.Check();
  Require(!job.memory.Any() || (job.prompt_cache.empty() && !change),
          "--memory excludes --prompt-cache, which keeps a text without "
          "memories, and --switch");
  Require(job.shift || job.keep == 0, "--keep goes with --shift");
  Require(!job.cache_read_only || !job.prompt_cache.empty(),
          "--prompt-cache-ro goes with --prompt-cache FILE");
  Require(!job.sampling.LogProbabilities() || !job.json.empty(),
          "--logprobs goes with --json FILE, which they are written to");
}

// What a prompt led to.
struct Answer {
  std::string text;
  std::vector<engine::GeneratedToken> tokens;
  engine::GenerateResult result;
};

std::string ToJson(const Session& session, const Prompts& prompts,
                   const std::vector<Answer>& answers, uint64_t seed) {
  Engine& engine = session.engine();
  Json json;
  json["model"] = engine.model().config().name;
  json["position"] = session.scheme().described;
  json["context"] = session.length();
  json["seed"] = seed;
  for (size_t i = 0; i < answers.size(); ++i) {
    const Answer& answer = answers[i];
    Json row;
    row["prompt"] = prompts.all[i].text;
    row["prompt_tokens"] = prompts.all[i].tokens.size();
    row["text"] = answer.text;
    row["stopped"] = ReasonText(answer.result.reason);
    if (!answer.result.stop.empty()) row["stop"] = answer.result.stop;
    for (const engine::GeneratedToken& token : answer.tokens) {
      Json entry{{"id", token.token},
                 {"piece", engine.tokenizer().Piece(token.token)}};
      if (token.log_probabilities) {
        entry["logprob"] = token.log_probabilities->chosen.log_probability;
        entry["top"] = Json::array();
        for (const auto& other : token.log_probabilities->most_likely) {
          entry["top"].push_back(
              {{"id", other.token},
               {"piece", engine.tokenizer().Piece(other.token)},
               {"logprob", other.log_probability}});
        }
      }
      row["tokens"].push_back(entry);
    }
    json["answers"].push_back(row);
  }
  // Texts may end within a character.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

// The generation of one call: sessions, prompts and what is shown of them.
class Run {
 public:
  Run(const RunJob& job, const std::optional<Switch>& change,
      const PromptTexts& texts, const std::optional<grammar::Grammar>& grammar)
      : job_(job),
        sample_(job.sampling.ForSampler(job.prompt.text.escape)),
        stops_(job.sampling.StopTexts(job.prompt.text.escape)),
        seed_(job.sampling.Seed()),
        json_(job.json),
        engine_(std::make_shared<Engine>(EngineOptionsOf(job))),
        memories_(job.memory, *engine_),
        prompts_(job.prompt.Encode(texts, *engine_)),
        session_(OpenSession(change)) {
    if (grammar) options_.grammar = engine_->Constrain(*grammar);
    if (change) {
      options_.change = {change->at,
                         Resolve(change->scheme, session_.length())};
    }
  }

  void Go() {
    CatchInterrupts();
    Announce();
    LoadCache();
    ReadShared();
    try {
      Generate();
    } catch (const Interrupted&) {
      if (prompts_.shared == 0) SaveWhatIsMore(sessions_.front());
      throw;
    }
    if (prompts_.shared == 0) SaveCache(sessions_.front());
    json_.Finish(ToJson(session_, prompts_, answers_, seed_));
    Summarise();
  }

 private:
  static engine::EngineOptions EngineOptionsOf(const RunJob& job) {
    engine::EngineOptions options = job.model.ForEngine();
    options.memory_limit = job.kv.MemoryLimit();
    return options;
  }

  // Of a message that --force would pass over.
  engine::ResolvedScheme Resolve(const position::Scheme& scheme,
                                 int64_t length) {
    try {
      return engine_->Resolve(scheme, length, job_.force);
    } catch (const std::invalid_argument& error) {
      RequireNotForced(error, scheme, length);
      throw;
    }
  }

  void RequireNotForced(const std::invalid_argument& error,
                        const position::Scheme& scheme, int64_t length) {
    const auto resolved =
        position::Resolve(scheme, engine_->positions(), length);
    Require(!position::KnownToFail(resolved, engine_->positions(), length),
            std::string(error.what()) + " (or --force)");
  }

  // Room for prompt and answer; never less than the model was trained to, and
  // no more where the context shifts.
  Session OpenSession(const std::optional<Switch>& change) {
    int64_t longest = 0;
    for (const Prompt& prompt : prompts_.all) {
      longest = std::max(longest, static_cast<int64_t>(prompt.tokens.size()));
    }
    Require(prompts_.all.size() == 1 || job_.prompt_cache.empty() ||
                prompts_.shared > 0,
            "--prompt-cache keeps one text: give one -p, or the text that "
            "several -p ask about with -f");
    Require(prompts_.all.size() == 1 || (!change && !job_.echo),
            "several -p exclude --switch and --echo");
    const int64_t trained = engine_->positions().train_length;
    const int64_t length = ParseLengthOption(
        job_.context, "--context",
        job_.shift ? trained : std::max(trained, longest + job_.tokens));
    Require(longest < length,
            "the prompt has " + std::to_string(longest) +
                " tokens and does not fit a context of " +
                std::to_string(length) +
                "; give a larger --context (nothing is cut silently)");
    Require(job_.keep + 1 < length, "--keep " + std::to_string(job_.keep) +
                                        " leaves no room in a context of " +
                                        std::to_string(length));
    const std::string spelling = job_.position.Spellings({"auto"}).front();
    const position::Scheme scheme = position::ParseScheme(spelling);
    const int64_t first = change ? std::min(change->at, length) : length;
    const engine::ResolvedScheme resolved = Resolve(scheme, first);
    Session session(engine_, {.length = length,
                              .position = spelling,
                              .kv_type = memories_.TypeFor(job_.kv),
                              .allow_failing = job_.force || change});
    if (change) session.ChangeScheme(resolved);
    // Several questions choose together.
    std::vector<Token> question;
    for (const Prompt& prompt : prompts_.all) {
      question.insert(question.end(), prompt.tokens.begin() + prompts_.shared,
                      prompt.tokens.end());
    }
    memories_.Attach(session, question);
    return session;
  }

  void Announce() const {
    std::string described = session_.scheme().described;
    if (options_.change) {
      described += ", " + options_.change->scheme.described + " from " +
                   std::to_string(options_.change->at) + " on";
    }
    if (memories_.Any()) described += "; " + memories_.Describe();
    std::fprintf(stderr, "%s; %sposition %s; context %lld; seed %llu\n",
                 engine_->Describe().c_str(),
                 prompts_.form.empty()
                     ? ""
                     : ("chat form " + prompts_.form + "; ").c_str(),
                 described.c_str(), static_cast<long long>(session_.length()),
                 static_cast<unsigned long long>(seed_));
    WarnOf(session_.scheme().scheme);
    if (options_.change) WarnOf(options_.change->scheme.scheme);
  }

  void WarnOf(const position::Scheme& scheme) const {
    if (const auto warning = position::NotTrainedFor(
            scheme, engine_->positions(), session_.length())) {
      std::fprintf(stderr, "warning: %s\n", warning->c_str());
    }
  }

  // An existing file is taken up; that one can be written is found out before
  // anything is read.
  void LoadCache() {
    if (job_.prompt_cache.empty()) return;
    if (!job_.cache_read_only) AtomicFile probe(job_.prompt_cache);
    std::error_code error;
    if (!std::filesystem::exists(job_.prompt_cache, error)) {
      Require(!job_.cache_read_only, "there is no prompt cache '" +
                                         job_.prompt_cache +
                                         "' for --prompt-cache-ro");
      return;
    }
    const std::string before = session_.scheme().described;
    // Of several prompts, or of a question, only the text they share is taken
    // up: what follows it belongs to one of them.
    std::span<const Token> wanted = prompts_.all.front().tokens;
    if (prompts_.shared > 0) {
      wanted = wanted.first(static_cast<size_t>(prompts_.shared + 1));
    }
    const int64_t reused = session_.LoadCache(job_.prompt_cache, wanted);
    std::fprintf(stderr, "prompt cache: %lld tokens begin this prompt too%s\n",
                 static_cast<long long>(reused),
                 before == session_.scheme().described
                     ? ""
                     : (", position " + session_.scheme().described).c_str());
  }

  // The text that questions are about is read once, and kept as it is before
  // the first question.
  void ReadShared() {
    const int64_t unread = prompts_.shared - session_.size();
    if (unread > 0) {
      ReadingProgress progress("reading the text", *engine_, session_.scheme(),
                               session_.size(), unread);
      const std::vector<Token>& tokens = prompts_.all.front().tokens;
      session_.Read(
          std::span(tokens).subspan(static_cast<size_t>(session_.size()),
                                    static_cast<size_t>(unread)),
          [&](int64_t read) {
            progress.Add(read);
            return PendingInterrupt() == 0;
          });
      progress.Clear();
    }
    ThrowIfInterrupted();
    if (unread > 0) SaveCache(session_);
  }

  void SaveCache(const Session& session) const {
    if (job_.prompt_cache.empty() || job_.cache_read_only) return;
    session.SaveCache(job_.prompt_cache);
  }

  // Of a run that was stopped: a file that holds more is worth more.
  void SaveWhatIsMore(const Session& session) const {
    std::error_code error;
    if (std::filesystem::exists(job_.prompt_cache, error)) {
      const engine::PromptCache kept(job_.prompt_cache, *engine_,
                                     job_.kv.Type());
      if (kept.size() > session.size()) return;
    }
    SaveCache(session);
  }

  void Generate() {
    const size_t count = prompts_.all.size();
    answers_.resize(count);
    std::vector<engine::GenerateJob> jobs(count);
    for (size_t i = 0; i < count; ++i) sessions_.push_back(session_.Fork());
    int64_t unread = 0;
    for (size_t i = 0; i < count; ++i) {
      const std::vector<Token>& tokens = prompts_.all[i].tokens;
      jobs[i].session = &sessions_[i];
      jobs[i].prompt.assign(tokens.begin() + session_.size(), tokens.end());
      unread += static_cast<int64_t>(jobs[i].prompt.size());
    }
    ReadingProgress progress("reading the prompt", *engine_, session_.scheme(),
                             session_.size(), unread);
    int64_t left = unread;
    for (size_t i = 0; i < count; ++i) {
      jobs[i].options = options_;
      jobs[i].options.max_tokens = job_.tokens;
      jobs[i].options.ignore_end_of_text = job_.ignore_eos;
      jobs[i].options.shift = job_.shift;
      jobs[i].options.keep = job_.keep;
      jobs[i].options.sampling = sample_;
      jobs[i].options.seed = seed_ + i;
      jobs[i].options.stops = stops_;
      jobs[i].options.log_probabilities = job_.sampling.LogProbabilities();
      jobs[i].callbacks = {
          .on_prompt =
              [&](int64_t read) {
                progress.Add(read);
                left -= read;
                if (left == 0) progress.Clear();
                return PendingInterrupt() == 0;
              },
          .on_token =
              [&, i](const engine::GeneratedToken& token) {
                Show(answers_[i], token.text);
                if (json_) answers_[i].tokens.push_back(token);
                return PendingInterrupt() == 0;
              },
          .on_end = [&,
                     i](const std::string& text) { Show(answers_[i], text); }};
    }
    if (job_.echo) WriteText(prompts_.all.front().text);
    auto results = engine::Generate(jobs);
    progress.Clear();
    for (size_t i = 0; i < count; ++i) {
      answers_[i].result = std::move(results[i]);
      if (count > 1) {
        WriteText((i > 0 ? "\n[" : "[") + std::to_string(i + 1) + "] " +
                  Printable(job_.prompt.text.prompts[i], 70) + "\n" +
                  answers_[i].text);
      }
      WriteText("\n");
    }
    ThrowIfInterrupted();
  }

  // One answer is shown as it comes, several when all are there.
  void Show(Answer& answer, const std::string& text) const {
    answer.text += text;
    if (prompts_.all.size() == 1 && !text.empty()) WriteText(text);
  }

  void Summarise() const {
    int64_t read = 0;
    int64_t generated = 0;
    int64_t shifted = 0;
    double reading = 0;
    double generating = 0;
    for (const Answer& answer : answers_) {
      read += answer.result.prompt_tokens;
      generated += answer.result.generated_tokens;
      shifted += answer.result.shifted_tokens;
      // Texts are read and written at the same time.
      reading = std::max(reading, answer.result.prompt_seconds);
      generating = std::max(generating, answer.result.generate_seconds);
    }
    std::fprintf(
        stderr,
        "stopped: %s; prompt %lld tokens at %s/s, %lld generated at %s/s%s; "
        "keys and values %s\n",
        answers_.size() == 1 ? ReasonText(answers_.front().result.reason)
                             : "all prompts are answered",
        static_cast<long long>(read), FormatCount(Rate(read, reading)).c_str(),
        static_cast<long long>(generated),
        FormatCount(Rate(generated, generating)).c_str(),
        shifted == 0 ? ""
                     : (", " + std::to_string(shifted) + " taken out").c_str(),
        FormatBytes(engine_->workspace().pool()->bytes()).c_str());
  }

  const RunJob& job_;
  const engine::SampleOptions sample_;
  const std::vector<std::string> stops_;
  const uint64_t seed_;
  OutputFile json_;
  std::shared_ptr<Engine> engine_;
  OpenMemories memories_;
  Prompts prompts_;
  engine::GenerateOptions options_;  // what is known of them so far
  Session session_;                  // the text that all prompts share
  std::vector<Session> sessions_;
  std::vector<Answer> answers_;
};

void RunCommand(const RunJob& job) {
  const std::optional<Switch> change = ParseSwitch(job.change);
  CheckJob(job, change);
  job.kv.Type();
  job.kv.MemoryLimit();
  for (const std::string& spelling : job.position.Spellings({})) {
    position::ParseScheme(spelling);
  }
  const std::optional<grammar::Grammar> grammar = job.grammar.Read();
  const PromptTexts texts = job.prompt.Read();
  Run(job, change, texts, grammar).Go();
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
  job->kv.AddMemory(*command);
  job->memory.Add(*command);
  program::AddInteger(*command, "-n,--tokens", job->tokens,
                      "tokens to write at most",
                      {.least = 1, .most = kMostTokens})
      ->default_str(std::to_string(job->tokens));
  command
      ->add_option("-c,--context", job->context,
                   "tokens of prompt and answer together; default what they "
                   "need, at least the trained length")
      ->type_name("LEN");
  job->sampling.Add(*command);
  job->grammar.Add(*command);
  command->add_flag("--echo", job->echo, "print the prompt first");
  command->add_flag("--ignore-eos", job->ignore_eos,
                    "go on past the end-of-text token");
  command->add_flag("--force", job->force,
                    "run a scheme that is known to fail at this length");
  command
      ->add_option("--prompt-cache", job->prompt_cache,
                   "file that keeps the text read and its keys and values; "
                   "what the next prompt shares with it is not read again")
      ->type_name("FILE");
  command->add_flag("--prompt-cache-ro", job->cache_read_only,
                    "take the prompt cache up, but do not write it");
  command
      ->add_option("--json", job->json,
                   "file for the texts, tokens and log probabilities")
      ->type_name("FILE");
  command->add_flag("--shift", job->shift,
                    "a full context takes out the older half, closes up and "
                    "goes on; --context then defaults to the trained length");
  program::AddInteger(*command, "--keep", job->keep,
                      "with --shift: first tokens that always stay",
                      {.least = 0, .most = kMostTokens});
  command
      ->add_option("--switch", job->change,
                   "other positions from that length on, over what was read "
                   "so far")
      ->type_name("LEN=SCHEME");
  command->footer(
      "Without --position the choice is `auto`: the model's own scheme as long "
      "as it holds\n(up to the trained length, further for models trained to "
      "be "
      "read long),\nrerope with a far offset beyond. A scheme changes the "
      "layers "
      "that "
      "read the whole text; @all behind it, as in\nrerope@all, those with a "
      "window too. The choice is printed.\n\n"
      "Examples:\n"
      "  ropewalk run -m model.gguf -p 'Once upon a time' --temp 0\n"
      "  ropewalk run -m model.gguf -f book.txt -n 200 --position "
      "rerope:window=1024+logn-clip\n"
      "  ropewalk run -m model.gguf -f book.txt --prompt-cache book.kv "
      "--kv-type q8_0\n"
      "  ropewalk run -m model.gguf -f book.txt --prompt-cache book.kv -p "
      "'Who is Rupert?'\n"
      "  ropewalk run -m model.gguf -p 'The sea' -p 'The sky' -n 40 --json "
      "answers.json\n"
      "  ropewalk run -m model.gguf -p 'Once' -n 10000 --shift --keep 4\n"
      "  ropewalk run -m instruct.gguf --chat -p 'Why is the sky blue?' --temp "
      "0\n"
      "  ropewalk run -m instruct.gguf --special -e -p "
      "'<|im_start|>user\\nHi<|im_end|>\\n'\n"
      "  ropewalk run -m instruct.gguf --chat -p 'Name a city.' -j "
      "'{\"properties\": {\"city\":\n      {\"type\": \"string\"}}, "
      "\"required\": [\"city\"]}'\n"
      "  ropewalk run -m instruct.gguf --chat -p 'Is water wet?' --grammar "
      "'root ::= \"yes\" | \"no\"'\n"
      "  ropewalk run -m model.gguf --memory memories -p 'Who is Rupert?'\n"
      "  zcat book.txt.gz | ropewalk run -m model.gguf -n 200\n"
      "  ropewalk run -m model.gguf -f book.txt --position rope "
      "--switch 4k=rerope:window=2k");
  command->callback([job] { RunCommand(*job); });
}

}  // namespace ropewalk::cli
