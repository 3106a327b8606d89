#include "study/memories.h"

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "evaluate/scorer.h"
#include "evaluate/statistics.h"
#include "memory/reread.h"
#include "model/forward.h"
#include "position/scheme.h"

namespace ropewalk::study {
namespace {

// A law with everything that it leaves to the model.
std::string SpelledFor(const std::string& law,
                       const position::ModelPositions& positions) {
  return memory::ToString(memory::LawFor(memory::ParseLaw(law), positions));
}

}  // namespace

std::string RereadName(double share) {
  char text[64];
  std::snprintf(text, sizeof(text), "read alone, %.3g %% read again",
                100 * share);
  return text;
}

std::vector<MemoryCondition> MemoryConditions(
    const MemorySetting& setting, const position::ModelPositions& positions) {
  const int64_t N = positions.train_length;
  using Kind = MemoryCondition::Kind;
  std::vector<MemoryCondition> conditions = {
      {.name = kNothing, .kind = Kind::kNothing},
      {.name = kAlone, .kind = Kind::kAlone, .law = "far"},
      // One of these two is what `far` takes for the model.
      {.name = "read alone, calibrated",
       .kind = Kind::kAlone,
       .law = "far:sharpness=1.1,bias=-1"},
      {.name = "read alone, not calibrated",
       .kind = Kind::kAlone,
       .law = "far:sharpness=1,bias=0"},
      {.name = "read alone, seen by the first tokens too",
       .kind = Kind::kAlone,
       .law = "far:alone=0,sharpness=1,bias=0"},
      {.name = "read alone, with their first tokens",
       .kind = Kind::kAlone,
       .law = "far:skip=0,alone=0,sharpness=1,bias=0"},
      {.name = "read alone, all at one place",
       .kind = Kind::kAlone,
       .law = "place:sharpness=1,bias=0"},
      {.name = "read alone, one after another",
       .kind = Kind::kAlone,
       .law = "order:sharpness=1,bias=0"},
  };
  const int64_t before = setting.blocks * setting.block;
  if (before <= N) {
    conditions.insert(conditions.begin() + 1, {.name = kTogetherAttached,
                                               .kind = Kind::kTogetherAttached,
                                               .law = "far"});
  }
  // Reading so much as one text would take hours.
  constexpr int64_t kMostTimes = 4;
  if (before <= kMostTimes * N) {
    conditions.insert(
        conditions.begin() + 1,
        {.name = kTogether, .kind = Kind::kTogether, .scheme = "auto"});
  }
  const std::string far = SpelledFor("far", positions);
  std::erase_if(conditions, [&](const MemoryCondition& condition) {
    return condition.kind == Kind::kAlone && condition.name != kAlone &&
           SpelledFor(condition.law, positions) == far;
  });
  return conditions;
}

MemoryCase::MemoryCase(engine::Engine& engine,
                       const evaluate::Document& document,
                       const MemorySetting& setting,
                       const memory::ReadOptions& options,
                       const std::function<void(int64_t)>& on_read)
    : engine_(engine), setting_(setting), options_(options), on_read_(on_read) {
  const int64_t before = tokens_before();
  const auto n = static_cast<int64_t>(document.size());
  Require(n >= before + texts_.tokens,
          "a document of " + std::to_string(n) + " tokens is too short for " +
              setting.Name() + " tokens and a text behind them");
  const auto begin = document.begin() + (n - before - texts_.tokens) / 2;
  before_.assign(begin, begin + before);
  texts_.goes_on.assign(begin + before, begin + before + texts_.tokens);
  // From the second block on, behind its first tokens.
  const auto stretch = begin + std::min(setting.block, before - setting.block) +
                       setting.block / 8;
  texts_.repeats.assign(
      stretch, stretch + std::min(texts_.tokens, setting.block * 3 / 4));
  memory::ReadOptions whole = options_;
  whole.overlap = 0;
  whole.part = setting.block;
  for (int64_t b = 0; b < setting.blocks; ++b) {
    const auto at = before_.begin() + b * setting.block;
    alone_.push_back(std::make_shared<const memory::Memory>(
        memory::ReadMemory(engine_, "block " + std::to_string(b), "",
                           {at, at + setting.block}, whole, on_read_)));
  }
}

MemoryRow MemoryCase::Measure(const MemoryCondition& condition) {
  const MemoryScore goes_on = Measure(true, condition);
  const MemoryScore repeats = Measure(false, condition);
  return {.setting = setting_.Name(),
          .condition = condition.name,
          .law = condition.law,
          .goes_on_loss = goes_on.loss,
          .goes_on_accuracy = goes_on.accuracy,
          .repeats_loss = repeats.loss,
          .repeats_accuracy = repeats.accuracy};
}

MemoryScore MemoryCase::Measure(bool goes_on,
                                const MemoryCondition& condition) {
  using Kind = MemoryCondition::Kind;
  switch (condition.kind) {
    case Kind::kNothing:
      return Score(goes_on, {}, "rope", {}, {});
    case Kind::kTogether:
      return Score(goes_on, before_, condition.scheme, {}, {});
    case Kind::kTogetherAttached:
      ReadTogether();
      return Score(goes_on, {}, "rope", joint_,
                   memory::ParseLaw(condition.law));
    case Kind::kAlone:
      break;
  }
  const memory::Law law = memory::ParseLaw(condition.law);
  if (condition.reread == 0) return Score(goes_on, {}, "rope", alone_, law);
  if (reread_.share != condition.reread || reread_.law != condition.law) {
    reread_ = {
        condition.reread, condition.law,
        memory::Reread(engine_, alone_, law, condition.reread, on_read_)};
  }
  return Score(goes_on, {}, "rope", reread_.memories, law);
}

void MemoryCase::ReadTogether() {
  if (!joint_.empty()) return;
  memory::ReadOptions whole = options_;
  whole.overlap = 0;
  whole.part = tokens_before();
  joint_.push_back(std::make_shared<const memory::Memory>(
      memory::ReadMemory(engine_, "all blocks", "", before_, whole, on_read_)));
}

MemoryScore MemoryCase::Score(
    bool goes_on, const evaluate::Document& before, const std::string& scheme,
    std::span<const std::shared_ptr<const memory::Memory>> memories,
    const memory::Law& law) {
  const evaluate::Document& text = goes_on ? texts_.goes_on : texts_.repeats;
  evaluate::Document ids = engine_.tokenizer().Encode("", {.add_eos = false});
  ids.insert(ids.end(), before.begin(), before.end());
  ids.insert(ids.end(), text.begin(), text.end());
  const auto n = static_cast<int64_t>(ids.size());
  const position::ModelPositions& positions = engine_.positions();
  const position::Stack stack = position::BuildStack(
      position::Resolve(position::ParseScheme(scheme), positions, n), positions,
      n, engine_.model().config().L);
  model::Sequence sequence(engine_.model(), stack,
                           {.length = n, .kv_type = options_.type},
                           engine_.workspace().pool());
  if (!memories.empty()) {
    sequence.Attach(memory::Arrange(memories, law, engine_, stack));
  }
  const std::lock_guard lock(engine_.pass_mutex());
  std::vector<evaluate::TokenScore> scores;
  // The last token has no target.
  for (int64_t at = 0; at < n - 1;) {
    const int64_t T = std::min(engine::kPromptChunk, n - 1 - at);
    const int64_t wanted =
        std::clamp<int64_t>(at + T - (n - 1 - texts_.scored), 0, T);
    const model::Slice slice{
        &sequence,
        std::span<const Token>(ids).subspan(static_cast<size_t>(at),
                                            static_cast<size_t>(T)),
        wanted};
    model::Forward(engine_.model(), {&slice, 1}, engine_.workspace());
    at += T;
    const std::vector<evaluate::TokenScore> scored = evaluate::ScoreRows(
        engine_.threads(),
        std::span<const Token>(ids).subspan(
            static_cast<size_t>(at - wanted + 1), static_cast<size_t>(wanted)),
        engine_.model().config().V, [&](int64_t first, int64_t rows) {
          return engine_.workspace().Logits(first, rows);
        });
    scores.insert(scores.end(), scored.begin(), scored.end());
    on_read_(T);
  }
  evaluate::ScoreSummary summary;
  summary.AddDocument(scores);
  return {summary.loss(), summary.accuracy()};
}

}  // namespace ropewalk::study
