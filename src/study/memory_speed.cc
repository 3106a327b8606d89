#include "study/memory_speed.h"

#include <algorithm>
#include <filesystem>
#include <span>
#include <system_error>
#include <vector>

#include "engine/session.h"
#include "evaluate/statistics.h"
#include "memory/memory.h"
#include "memory/memory_file.h"
#include "study/processor_time.h"

namespace ropewalk::study {
namespace {

double SecondsOf(const std::function<void()>& work) {
  const ProcessorTimer timer;
  work();
  return timer.Seconds();
}

// Made-up ids: which ones does not matter to the time. A large prime steps
// through the vocabulary in no order of its own.
std::vector<Token> MadeUp(int64_t count, int64_t vocabulary) {
  std::vector<Token> ids;
  for (int64_t t = 0; t < count; ++t) {
    ids.push_back(static_cast<Token>((t + 1) * 1000003 % vocabulary));
  }
  return ids;
}

class RemovedAtTheEnd {
 public:
  explicit RemovedAtTheEnd(const std::string& path) : path_(path) {}
  ~RemovedAtTheEnd() {
    std::error_code error;
    std::filesystem::remove(path_, error);
  }
  RemovedAtTheEnd(const RemovedAtTheEnd&) = delete;
  RemovedAtTheEnd& operator=(const RemovedAtTheEnd&) = delete;

 private:
  const std::string& path_;
};

}  // namespace

SpeedRow MeasureSpeed(const std::shared_ptr<engine::Engine>& engine,
                      const SpeedOptions& options,
                      const std::function<void(int64_t)>& on_read) {
  const int64_t V = engine->model().config().V;
  const int64_t N = engine->positions().train_length;
  const std::vector<Token> text = MadeUp(options.tokens, V);
  const std::vector<Token> question = MadeUp(options.question, V);
  const int64_t behind = options.question + options.rounds * options.decoded;
  SpeedRow row{.tokens = options.tokens};

  const RemovedAtTheEnd removed(options.file);
  row.memory_read = SecondsOf([&] {
    memory::Remember(*engine, {.name = "made up", .source = "", .tokens = text},
                     {.part = std::min<int64_t>(2048, N),
                      .overlap = std::min<int64_t>(128, N / 4),
                      .type = options.kv_type},
                     options.file, on_read);
  });
  engine::Session beside(engine, {.length = behind,
                                  .position = "rope",
                                  .kv_type = options.kv_type,
                                  .allow_failing = true});
  row.memory_first = SecondsOf([&] {
    const std::shared_ptr<const memory::Memory> kept =
        memory::OpenMemory(options.file, *engine);
    beside.Attach(
        memory::Arrange({&kept, 1}, {}, *engine, beside.sequence().stack()));
    beside.Read(question);
  });
  row.memory_bytes = memory::ReadInfo(options.file).bytes;

  engine::Session after(engine, {.length = options.tokens + behind,
                                 .position = "rerope",
                                 .kv_type = options.kv_type,
                                 .allow_failing = true});
  row.text_read = SecondsOf([&] {
    after.Read(text, [&](int64_t tokens) {
      on_read(tokens);
      return true;
    });
  });
  row.text_bytes = after.sequence().KvBytes();
  row.text_first = SecondsOf([&] { after.Read(question); });

  std::vector<double> of_text;
  std::vector<double> of_memory;
  std::vector<double> ratios;
  const std::span<const Token> next(question);
  const auto decode = [&](engine::Session& session) {
    return SecondsOf([&] {
      for (int64_t t = 0; t < options.decoded; ++t) {
        session.Read(next.subspan(static_cast<size_t>(t) % next.size(), 1));
      }
    });
  };
  for (int64_t round = 0; round < options.rounds; ++round) {
    // Whoever goes first changes from round to round.
    if (round % 2 == 0) of_text.push_back(decode(after));
    of_memory.push_back(decode(beside));
    if (round % 2 == 1) of_text.push_back(decode(after));
    ratios.push_back(of_memory.back() / of_text.back());
    on_read(2 * options.decoded);
  }
  const auto decoded = static_cast<double>(options.decoded);
  row.text_decode = decoded / evaluate::Median(of_text);
  row.memory_decode = decoded / evaluate::Median(of_memory);
  row.ratio = evaluate::Median(ratios);
  return row;
}

}  // namespace ropewalk::study
