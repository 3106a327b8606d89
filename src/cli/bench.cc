// ropewalk bench: tokens a second, by depth and position scheme.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/outputs.h"
#include "engine/engine.h"
#include "engine/machine.h"
#include "engine/session.h"
#include "evaluate/statistics.h"
#include "program/numbers.h"
#include "report/json.h"
#include "report/table.h"

namespace ropewalk::cli {
namespace {

using engine::Engine;
using Clock = std::chrono::steady_clock;

struct BenchJob {
  ModelOptions model;
  PositionOptions position;
  KvOptions kv;
  std::string prompt = "512";
  int64_t tokens = 32;
  std::vector<std::string> depths = {"0"};
  int64_t rounds = 1;
  std::string json;
};

struct BenchRow {
  std::string position;
  std::string resolved;
  int64_t prompt = 0;
  int64_t depth = 0;
  std::vector<double> prefill;  // tokens/s, one a round
  std::vector<double> decode;
  int64_t kv_bytes = 0;
  std::optional<std::string> known_to_fail;
};

// Reads `count` made-up ids. Which ones does not matter to the time, so they
// come from the position alone and nothing of their number is kept.
void Feed(engine::Session& session, int64_t count, int64_t vocabulary,
          Progress& progress) {
  std::vector<Token> ids;
  while (count > 0) {
    const int64_t T = std::min(engine::kPromptChunk, count);
    ids.clear();
    for (int64_t t = 0; t < T; ++t) {
      // A large prime steps through the vocabulary in no order of its own.
      ids.push_back(
          static_cast<Token>((session.size() + t) * 1000003 % vocabulary));
    }
    session.Read(ids);
    progress.Add(T);
    ThrowIfInterrupted();
    count -= T;
  }
}

// Prefill: the prompt after `depth` tokens are cached. Decode: one token after
// another behind that.
void RunOnce(const std::shared_ptr<Engine>& engine, const std::string& spelling,
             DType kv_type, int64_t decode, BenchRow& row, Progress& progress) {
  const int64_t V = engine->model().config().V;
  const int64_t length = row.depth + row.prompt + decode;
  engine::Session session(engine, {.length = length,
                                   .position = spelling,
                                   .kv_type = kv_type,
                                   .allow_failing = true});
  const position::Scheme& resolved = session.scheme().scheme;
  row.resolved = position::ToString(resolved);
  row.known_to_fail =
      position::KnownToFail(resolved, engine->positions(), length);
  const auto seconds_of = [](const auto& work) {
    const Clock::time_point begin = Clock::now();
    work();
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  Feed(session, row.depth, V, progress);
  if (row.prompt > 0) {
    const double seconds =
        seconds_of([&] { Feed(session, row.prompt, V, progress); });
    row.prefill.push_back(static_cast<double>(row.prompt) / seconds);
  }
  if (decode > 0) {
    const double seconds = seconds_of([&] {
      for (int64_t t = 0; t < decode; ++t) {
        Feed(session, 1, V, progress);
      }
    });
    row.decode.push_back(static_cast<double>(decode) / seconds);
  }
  row.kv_bytes = session.sequence().KvBytes();
}

report::Table ToTable(const std::vector<BenchRow>& rows) {
  report::Table table({{.name = "position"},
                       {.name = "depth"},
                       {.name = "prompt"},
                       {.name = "prefill", .unit = "tokens/s", .digits = 1},
                       {.name = "decode", .unit = "tokens/s", .digits = 1},
                       {.name = "keys and values"}});
  for (const BenchRow& row : rows) {
    const auto rate = [](const std::vector<double>& values) {
      return values.empty() ? report::Cell()
                            : report::Cell(evaluate::Median(values));
    };
    table.AddRow({row.position + (row.known_to_fail ? " !" : ""), row.depth,
                  row.prompt, rate(row.prefill), rate(row.decode),
                  FormatBytes(row.kv_bytes)});
  }
  return table;
}

std::string ToJson(const std::vector<BenchRow>& rows, Engine& engine,
                   DType kv_type, int64_t rounds) {
  nlohmann::ordered_json json;
  json["model"] = engine.model().config().name;
  json["threads"] = engine.threads().workers();
  json["isa"] = engine::InstructionSet();
  json["kv_type"] = InfoOf(kv_type).name;
  json["rounds"] = rounds;
  json["rows"] = nlohmann::ordered_json::array();
  for (const BenchRow& row : rows) {
    nlohmann::ordered_json out = {
        {"position", row.position},
        {"resolved", row.resolved},
        {"prompt", row.prompt},
        {"depth", row.depth},
        {"prefill_tokens_per_second", evaluate::Median(row.prefill)},
        {"decode_tokens_per_second", evaluate::Median(row.decode)},
        {"kv_bytes", row.kv_bytes}};
    if (row.known_to_fail) out["known_to_fail"] = *row.known_to_fail;
    json["rows"].push_back(std::move(out));
  }
  return report::DumpJson(json);
}

void RunCommand(const BenchJob& job) {
  const auto spellings = job.position.Spellings({"rope", "rerope+logn-clip"});
  ParseSchemes(spellings);  // a wrong one is found at once
  const DType kv_type = job.kv.Type();
  std::vector<int64_t> depths;
  for (const std::string& depth : job.depths) {
    depths.push_back(depth == "0" ? 0 : ParseLengthOption(depth, "--depth", 0));
  }
  const int64_t prompt =
      job.prompt == "0" ? 0 : ParseLengthOption(job.prompt, "--prompt", 0);
  Require(prompt + job.tokens > 0, "bench: one of -p and -n must be above 0");
  CatchInterrupts();  // before there is a temporary file to leave behind
  OutputFile json(job.json);
  const auto shared = std::make_shared<Engine>(job.model.ForEngine());
  Engine& engine = *shared;
  std::vector<BenchRow> rows;
  int64_t total = 0;
  for (const int64_t depth : depths) {
    for (const std::string& spelling : spellings) {
      rows.push_back({.position = spelling, .prompt = prompt, .depth = depth});
      total += (depth + prompt + job.tokens) * job.rounds;
    }
  }
  bool interrupted = false;
  try {
    Progress progress("bench", total, "tokens");
    // A round visits every row, so that rows that are compared share the
    // machine's moods.
    for (int64_t round = 0; round < job.rounds; ++round) {
      for (size_t r = 0; r < rows.size(); ++r) {
        RunOnce(shared, rows[r].position, kv_type, job.tokens, rows[r],
                progress);
      }
    }
  } catch (const Interrupted&) {
    interrupted = true;
    std::erase_if(rows, [](const BenchRow& row) {
      return row.prefill.empty() && row.decode.empty();
    });
  }
  std::printf(
      "%s; %lld threads, %s; %s of weights a token; keys and values in %s\n",
      engine.Describe().c_str(),
      static_cast<long long>(engine.threads().workers()),
      engine::InstructionSet().c_str(),
      FormatBytes(engine.model().WeightBytes()).c_str(),
      std::string(InfoOf(kv_type).name).c_str());
  std::printf("%s", report::ToText(ToTable(rows)).c_str());
  if (std::ranges::any_of(rows, [](const BenchRow& row) {
        return row.known_to_fail.has_value();
      })) {
    std::printf("! reads noise at this length; timed all the same\n");
  }
  if (!rows.empty()) json.Finish(ToJson(rows, engine, kv_type, job.rounds));
  if (interrupted) throw Interrupted();
}

}  // namespace

void AddBench(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "bench", "tokens a second, by depth and position scheme");
  auto job = std::make_shared<BenchJob>();
  job->model.Add(*command);
  job->position.Add(*command, true);
  job->kv.Add(*command);
  command
      ->add_option("-p,--prompt", job->prompt,
                   "tokens of the timed prompt; 0 for none")
      ->type_name("LEN")
      ->capture_default_str();
  program::AddInteger(*command, "-n,--tokens", job->tokens,
                      "tokens decoded one by one; 0 for none",
                      {.least = 0, .most = kMostTokens})
      ->capture_default_str();
  command
      ->add_option("-d,--depth", job->depths,
                   "tokens cached before the prompt, as in 0,4k,16k")
      ->type_name("LEN")
      ->delimiter(',')
      ->capture_default_str();
  program::AddInteger(*command, "--rounds", job->rounds,
                      "rounds over all rows; medians are shown",
                      {.least = 1, .most = 1000000})
      ->capture_default_str();
  command->add_option("--json", job->json, "write the rows as JSON")
      ->type_name("FILE");
  command->footer(
      "Example:\n  ropewalk bench -m model.gguf -d 0,16k --position rope "
      "--position rerope --rounds 5");
  command->callback([job] { RunCommand(*job); });
}

}  // namespace ropewalk::cli
