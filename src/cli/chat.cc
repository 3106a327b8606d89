// ropewalk chat: a conversation with an instruct model.

#include "engine/chat.h"

#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "cli/chat_loop.h"
#include "cli/commands.h"
#include "cli/memory_options.h"
#include "cli/options.h"
#include "cli/sampling_options.h"
#include "formats/json_file.h"
#include "program/numbers.h"

namespace ropewalk::cli {
namespace {

struct ChatJob {
  ModelOptions model;
  PositionOptions position;
  KvOptions kv;
  MemoryOptions memory;
  SamplingOptions sampling;
  int64_t tokens = 512;
  std::string context;
  bool shift = false;
  bool force = false;
  std::string system;
  CLI::Option* system_option = nullptr;
  std::vector<std::string> variables;  // NAME=JSON
  ChatLoopOptions loop;
};

// NAME=VALUE as variables of the template; a value that is no JSON is a text.
formats::Json Variables(const std::vector<std::string>& texts) {
  formats::Json variables = formats::Json::object();
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    Require(equals != std::string::npos && equals > 0,
            "--set must be NAME=VALUE, as in enable_thinking=false, got '" +
                Printable(text, 40) + "'");
    const std::string value = text.substr(equals + 1);
    Require(!FindInvalidUtf8(value), "the value of --set is not UTF-8");
    try {
      variables[text.substr(0, equals)] = formats::ParseJson(value, "--set");
    } catch (const FormatError&) {
      variables[text.substr(0, equals)] = value;
    }
  }
  return variables;
}

engine::ChatOptions OptionsOf(const ChatJob& job) {
  engine::ChatOptions options{
      .position = job.position.Spellings({"auto"}).front(),
      .kv_type = job.kv.Type(),
      .allow_failing = job.force,
      .length = ParseLengthOption(job.context, "--context", 0),
      .shift = job.shift,
      .answer_tokens = job.tokens,
      .sampling = job.sampling.ForSampler(false),
      .seed = job.sampling.Seed(),
      .stops = job.sampling.StopTexts(false),
      .variables = Variables(job.variables)};
  Require(!job.sampling.LogProbabilities(), "--logprobs goes with run --json");
  position::ParseScheme(options.position);
  const auto broken = FindInvalidUtf8(job.system);
  Require(!broken, "the text of --system is not UTF-8 at byte " +
                       std::to_string(broken.value_or(0)));
  return options;
}

void ChatCommand(ChatJob& job) {
  engine::ChatOptions options = OptionsOf(job);
  job.memory.Check();
  Require(!job.memory.Any() || job.loop.prompt_cache.empty(),
          "--memory excludes --prompt-cache, which keeps a text without "
          "memories");
  engine::EngineOptions for_engine = job.model.ForEngine();
  for_engine.memory_limit = job.kv.MemoryLimit();
  const auto engine = std::make_shared<engine::Engine>(for_engine);
  OpenMemories memories(job.memory, *engine);
  if (memories.Any()) {
    options.kv_type = memories.TypeFor(job.kv);
    options.memories = [&](const position::Stack& stack,
                           std::span<const Token> questions) {
      return memories.ChosenFor(stack, questions);
    };
  }
  engine::Chat chat(engine, options);
  if (job.system_option->count() > 0) chat.SetSystem(job.system);
  std::fprintf(stderr, "%s; chat form %s; seed %llu\n",
               engine->Describe().c_str(), chat.chat_template().name().c_str(),
               static_cast<unsigned long long>(options.seed));
  if (memories.Any()) {
    std::fprintf(stderr, "beside %s\n", memories.Describe().c_str());
  }
  job.loop.is_terminal = isatty(STDIN_FILENO) != 0;
  ChatReader reader(std::cin, job.loop.is_terminal);
  ChatLoop(chat, job.loop).Run(reader);
}

}  // namespace

void AddChat(CLI::App& app) {
  CLI::App* command = app.add_subcommand("chat", "talk with an instruct model");
  auto job = std::make_shared<ChatJob>();
  job->model.Add(*command);
  job->position.Add(*command, false);
  job->kv.Add(*command);
  job->kv.AddMemory(*command);
  job->memory.Add(*command);
  program::AddInteger(*command, "-n,--tokens", job->tokens,
                      "tokens of an answer at most",
                      {.least = 1, .most = kMostTokens})
      ->default_str(std::to_string(job->tokens));
  command
      ->add_option("-c,--context", job->context,
                   "tokens of the whole conversation; default the trained "
                   "length, and more as it grows")
      ->type_name("LEN");
  command->add_flag("--shift", job->shift,
                    "a full context takes out the oldest turns and closes up, "
                    "instead of going on under a scheme for longer texts");
  job->system_option = command->add_option(
      "--system", job->system,
      "the system text, in place of the chat template's own");
  job->system_option->type_name("STRING");
  command
      ->add_option("--set", job->variables,
                   "a variable of the chat template, as in "
                   "enable_thinking=false")
      ->type_name("NAME=VALUE");
  command
      ->add_option("--session", job->loop.session,
                   "file that keeps the conversation; an existing one is "
                   "taken up")
      ->type_name("FILE");
  command
      ->add_option("--prompt-cache", job->loop.prompt_cache,
                   "file that keeps its keys and values, so that it need not "
                   "be read again")
      ->type_name("FILE");
  job->sampling.Add(*command);
  command->add_flag("--force", job->force,
                    "go on under a scheme that is known to fail");
  command->footer(
      "Questions are lines; /help lists the commands. Answers go to standard "
      "output,\nall else to standard error.\n\n"
      "Examples:\n"
      "  ropewalk chat -m instruct.gguf --system 'Be brief.'\n"
      "  ropewalk chat -m instruct.gguf --session talk.json --prompt-cache "
      "talk.kv\n"
      "  ropewalk chat -m instruct.gguf --memory manuals --memory-top 2\n"
      "  ropewalk chat -m instruct.gguf --temp 0 < questions.txt");
  command->callback([job] { ChatCommand(*job); });
}

}  // namespace ropewalk::cli
