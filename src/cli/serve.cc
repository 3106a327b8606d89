// ropewalk serve: an OpenAI-compatible server and a page over one model.

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "formats/text_file.h"
#include "program/numbers.h"
#include "serve/service.h"

namespace ropewalk::cli {
namespace {

struct ServeJob {
  ModelOptions model;
  PositionOptions position;
  KvOptions kv;
  std::string context;
  std::string chunk = "128";
  int64_t tokens = 2048;
  int64_t parallel = 1024;
  int64_t queue = 1024;
  int64_t grace = 10;
  int64_t timeout = 3600;
  int64_t body = 64;
  std::string host = "127.0.0.1";
  int64_t port = 8080;
  std::vector<std::string> keys;
  std::string key_file;
  std::vector<std::string> origins;
  std::vector<std::string> memories;
  std::string state;
  std::string alias;
  bool log = false;
};

KvType TypeOf(DType type) {
  switch (type) {
    case DType::kF32:
      return KvType::kF32;
    case DType::kBf16:
      return KvType::kBF16;
    case DType::kQ8_0:
      return KvType::kQ8_0;
    case DType::kQ4_0:
      return KvType::kQ4_0;
    default:
      return KvType::kF16;
  }
}

// Those of the options, of the file, a line each, and of the environment.
std::vector<std::string> Keys(const ServeJob& job) {
  std::vector<std::string> keys = job.keys;
  if (!job.key_file.empty()) {
    std::string line;
    for (const char c : formats::ReadTextFile(job.key_file) + "\n") {
      if (c != '\n' && c != '\r') {
        line += c;
        continue;
      }
      if (!line.empty()) keys.push_back(line);
      line.clear();
    }
    Require(!keys.empty(), "'" + Printable(job.key_file, 200) +
                               "' has no key; a file of keys has one a line");
  }
  if (const char* key = std::getenv("ROPEWALK_API_KEY");
      key != nullptr && *key != '\0') {
    keys.emplace_back(key);
  }
  for (const std::string& key : keys) {
    Require(!key.empty(), "an API key must not be empty");
  }
  return keys;
}

serve::ServiceOptions OptionsOf(const ServeJob& job) {
  serve::ServiceOptions options;
  options.http.host = job.host;
  options.http.port = static_cast<int>(job.port);
  options.http.connections = job.parallel + job.queue;
  options.http.limits.body_bytes = job.body << 20;
  options.access.keys = Keys(job);
  options.access.origins = job.origins;
  options.access.loopback = serve::IsLoopback(job.host);
  options.worker.position = job.position.Spellings({"auto"}).front();
  options.worker.context = ParseLengthOption(job.context, "--context", 0);
  options.worker.prompt_chunk = ParseLengthOption(job.chunk, "--chunk", 128);
  options.worker.kv_type = TypeOf(job.kv.Type());
  options.worker.parallel = job.parallel;
  options.worker.queue = job.queue;
  options.worker.answer_tokens = job.tokens;
  options.worker.state = job.state;
  options.worker.time = std::chrono::seconds(job.timeout);
  options.documents.memories = job.memories;
  options.documents.kv_type = options.worker.kv_type;
  if (!job.state.empty()) options.documents.folder = job.state + "/files";
  options.alias = job.alias;
  options.grace = std::chrono::seconds(job.grace);
  if (job.log) {
    options.log = [](const std::string& line) {
      std::fprintf(stderr, "%s\n", line.c_str());
    };
  }
  return options;
}

void ServeCommand(const ServeJob& job) {
  serve::ServiceOptions options = OptionsOf(job);
  const engine::EngineOptions for_engine = job.model.ForEngine();
  const Model model =
      Model::Load(for_engine.path, {.train_length = for_engine.train_length,
                                    .threads = for_engine.threads,
                                    .memory_limit = job.kv.MemoryLimit(),
                                    .exact = for_engine.exact,
                                    .lock_memory = for_engine.lock_memory});
  serve::Service service(model, options);
  CatchInterrupts();
  const std::string host =
      job.host.find(':') == std::string::npos ? job.host : "[" + job.host + "]";
  std::fprintf(stderr,
               "%s, trained to %lld tokens; requests of up to %lld tokens, %s "
               "of keys and values for all\n"
               "http://%s:%d/ is the page, http://%s:%d/v1 the API%s\n",
               Printable(model.name()).c_str(),
               static_cast<long long>(model.train_length()),
               static_cast<long long>(service.worker().MostContext()),
               FormatBytes(model.kv_memory_limit()).c_str(), host.c_str(),
               service.port(), host.c_str(), service.port(),
               options.access.keys.empty() ? "" : "; a key is needed");
  if (!options.access.loopback && options.access.keys.empty()) {
    std::fprintf(stderr,
                 "anybody who reaches %s may use it: --api-key sets a key\n",
                 host.c_str());
  }
  // A signal comes to any thread, and what it asks for is done by this one.
  std::atomic<bool> ended = false;
  std::thread watch([&] {
    while (!ended && PendingInterrupt() == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    if (!ended) {
      std::fprintf(stderr, "stopping: answers have %lld s to end\n",
                   static_cast<long long>(job.grace));
    }
    service.Stop();
  });
  service.Serve();
  ended = true;
  watch.join();
}

}  // namespace

void AddServe(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "serve", "an OpenAI-compatible server, with a page to chat");
  auto job = std::make_shared<ServeJob>();
  job->model.Add(*command);
  job->position.Add(*command, false);
  job->kv.Add(*command);
  job->kv.AddMemory(*command);
  command
      ->add_option("-c,--context", job->context,
                   "tokens of one request at most; default 4 times the trained "
                   "length. A short request is read as the model was trained, "
                   "whatever this is")
      ->type_name("LEN");
  program::AddInteger(*command, "-n,--tokens", job->tokens,
                      "tokens of an answer, where a request does not say",
                      {.least = 1, .most = kMostTokens})
      ->default_str(std::to_string(job->tokens));
  command->add_option("--host", job->host, "the address to listen on")
      ->type_name("ADDRESS")
      ->capture_default_str();
  program::AddInteger(*command, "--port", job->port,
                      "the port to listen on; 0 takes one that is free",
                      {.least = 0, .most = 65535})
      ->default_str(std::to_string(job->port));
  command
      ->add_option("--api-key", job->keys,
                   "a key that requests must have, also by ROPEWALK_API_KEY; "
                   "may be repeated")
      ->type_name("KEY");
  command
      ->add_option("--api-key-file", job->key_file,
                   "a file of keys, a line each")
      ->type_name("FILE");
  command
      ->add_option("--cors", job->origins,
                   "an origin whose pages may ask; * for all")
      ->type_name("ORIGIN");
  command
      ->add_option("--memory", job->memories,
                   "memories that requests may name (remember)")
      ->type_name("PATH");
  command
      ->add_option("--state", job->state,
                   "keep conversations and uploads in this folder, so that "
                   "they survive a restart")
      ->type_name("DIR");
  command->add_option("--alias", job->alias, "the model's name in the API")
      ->type_name("NAME");
  program::AddInteger(*command, "--parallel", job->parallel,
                      "answers that are written at once",
                      {.least = 1, .most = 4096})
      ->default_str(std::to_string(job->parallel));
  program::AddInteger(*command, "--queue", job->queue,
                      "answers that may wait beyond these",
                      {.least = 0, .most = 65536})
      ->default_str(std::to_string(job->queue));
  command
      ->add_option(
          "--chunk", job->chunk,
          "tokens of a prompt that are read in one pass, from 1 to 512")
      ->type_name("LEN")
      ->default_str(job->chunk);
  program::AddInteger(*command, "--max-body", job->body,
                      "MiB of the body of a request",
                      {.least = 1, .most = 4096})
      ->default_str(std::to_string(job->body));
  program::AddInteger(*command, "--timeout", job->timeout,
                      "seconds from a request to its last token; 0: any",
                      {.least = 0, .most = 1 << 30})
      ->default_str(std::to_string(job->timeout));
  program::AddInteger(*command, "--grace", job->grace,
                      "seconds that answers have to end when the server stops",
                      {.least = 0, .most = 3600})
      ->default_str(std::to_string(job->grace));
  command->add_flag("--log", job->log, "a line a request on standard error");
  command->footer(
      "examples:\n"
      "  ropewalk serve -m model.gguf                  http://127.0.0.1:8080/\n"
      "  ropewalk serve -m model.gguf -c 64k --state ~/ropewalk-state\n"
      "  curl http://127.0.0.1:8080/v1/chat/completions -d '{\n"
      "    \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}],\n"
      "    \"position\": \"rerope:window=1024\", \"context\": \"16k\"}'\n"
      "docs/serve.md has the API");
  command->callback([job] { ServeCommand(*job); });
}

}  // namespace ropewalk::cli
