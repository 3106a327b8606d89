#include "engine/session.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "model/forward.h"
#include "position/agreement.h"

namespace ropewalk::engine {
namespace {

int64_t LengthOf(const Engine& engine, const SessionOptions& options) {
  Require(options.length >= 0, "the context length must be at least 0, got " +
                                   std::to_string(options.length));
  return options.length > 0 ? options.length : engine.positions().train_length;
}

}  // namespace

Session::Session(std::shared_ptr<Engine> engine, const SessionOptions& options)
    : engine_(std::move(engine)),
      asked_(options.position),
      allow_failing_(options.allow_failing),
      scheme_(engine_->Resolve(position::ParseScheme(options.position),
                               LengthOf(*engine_, options),
                               options.allow_failing)),
      sequence_(engine_->model(), scheme_.attention,
                {.length = scheme_.length, .kv_type = options.kv_type},
                engine_->workspace().pool()) {}

Session::Session(std::shared_ptr<Engine> engine, std::string asked,
                 bool allow_failing, ResolvedScheme scheme,
                 model::Sequence sequence)
    : engine_(std::move(engine)),
      asked_(std::move(asked)),
      allow_failing_(allow_failing),
      scheme_(std::move(scheme)),
      sequence_(std::move(sequence)) {}

Session Session::Fork() const {
  return {engine_, asked_, allow_failing_, scheme_, sequence_.Fork()};
}

std::vector<float> Session::Read(std::span<const Token> tokens,
                                 const std::function<bool(int64_t)>& on_read) {
  std::vector<float> logits;
  // Known before the first chunk rather than at the last.
  sequence_.RequireFits(tokens);
  RequireRoomFor(size() + static_cast<int64_t>(tokens.size()));
  for (size_t at = 0; at < tokens.size();) {
    const auto count =
        std::min(tokens.size() - at, static_cast<size_t>(kPromptChunk));
    const bool last = at + count == tokens.size();
    const model::Slice slice{.sequence = &sequence_,
                             .tokens = tokens.subspan(at, count),
                             .logits = last ? 1 : 0};
    {
      const std::lock_guard lock(engine_->pass_mutex());
      model::Workspace& workspace = engine_->workspace();
      model::Forward(engine_->model(), {&slice, 1}, workspace);
      if (last) {
        const auto row = workspace.Logits(0, 1);
        logits.assign(row.begin(), row.end());
      }
    }
    at += count;
    if (!on_read(static_cast<int64_t>(count))) return {};
  }
  return logits;
}

int64_t Session::BytesToReach(int64_t size) const {
  const int64_t bytes = sequence_.KvBytesFor(size, kPromptChunk);
  return std::max<int64_t>(0, bytes - sequence_.KvBytes());
}

void Session::RequireRoomFor(int64_t size) const {
  engine_->workspace().pool()->RequireRoom(BytesToReach(size));
}

void Session::Attach(std::shared_ptr<const model::Memories> memories) {
  sequence_.Attach(std::move(memories));
}

void Session::ChangeScheme(const ResolvedScheme& scheme) {
  sequence_.ChangeStack(scheme.attention,
                        std::max(sequence_.length(), scheme.length));
  scheme_ = scheme;
}

void Session::RequireNoMemories(const std::string& path) const {
  Require(sequence_.memories() == nullptr,
          "prompt cache '" + Printable(path, 200) +
              "' cannot be used beside memories: keys and values of a text "
              "that attends to memories differ from those of the text alone");
}

int64_t Session::LoadCache(const std::string& path,
                           std::span<const Token> prompt) {
  RequireNoMemories(path);
  Require(size() == 0,
          "a prompt cache is loaded into an empty session, this "
          "one has " +
              std::to_string(size()) + " tokens");
  const PromptCache cache(path, *engine_, sequence_.kv_type());
  const CachedText& text = cache.text();
  const std::string own = position::ToString(scheme_.scheme);
  Require(text.asked == asked_ || text.scheme == own,
          "prompt cache '" + path + "' was read under other positions (" +
              Printable(text.scheme, 80) + ", this run has " + own +
              "); name another file, or delete it");
  Require(text.length > 0 && text.length < int64_t{1} << 40,
          "prompt cache '" + path + "' was made for " +
              std::to_string(text.length) +
              " tokens; the length must be from 1 to 2^40");
  const position::Scheme cached = position::ParseScheme(text.scheme);
  ResolvedScheme begun = engine_->Resolve(cached, text.length, true);
  const bool keeps =
      allow_failing_ ||
      !position::KnownToFail(begun.scheme, engine_->positions(), length());
  model::Sequence sequence(engine_->model(), begun.attention,
                           {.length = std::max(length(), cache.size()),
                            .kv_type = sequence_.kv_type()},
                           sequence_.pool());
  try {
    cache.Restore(sequence);
  } catch (const MemoryLimitError&) {
    return 0;  // the text may still fit without that of the file
  }
  int64_t reused = sequence.ReusePrefix(prompt);
  // The file's scheme counts where it saves reading.
  int64_t own_reuse = reused;
  for (size_t l = 0; l < begun.attention->size(); ++l) {
    own_reuse = position::AgreeUpTo((*begun.attention)[l].plan(),
                                    (*scheme_.attention)[l].plan(), own_reuse);
  }
  if (keeps && own_reuse < reused) {
    sequence.ChangeStack(begun.attention, length());
    scheme_ = std::move(begun);
  } else {
    // Tokens that both schemes treat alike stay; the rest is read again.
    if (sequence.WhyNotChangeStack(sequence.StackOf(*scheme_.attention))) {
      sequence.Trim(0);
    }
    sequence.ChangeStack(scheme_.attention,
                         std::max(length(), sequence.size()));
    reused = sequence.ReusePrefix(prompt);
    sequence.ChangeStack(scheme_.attention, length());
  }
  sequence_ = std::move(sequence);
  return reused;
}

void Session::SaveCache(const std::string& path) const {
  RequireNoMemories(path);
  WritePromptCache(path, *engine_,
                   {.asked = asked_,
                    .scheme = position::ToString(scheme_.scheme),
                    .length = scheme_.length},
                   sequence_);
}

std::vector<std::vector<float>> ReadTogether(
    std::span<const SessionSlice> slices) {
  std::vector<std::vector<float>> logits;
  if (slices.empty()) return logits;
  Engine& engine = slices.front().session->engine();
  std::vector<model::Slice> pass;
  for (const SessionSlice& slice : slices) {
    Require(&slice.session->engine() == &engine,
            "sessions that read together belong to one model");
    Require(!slice.tokens.empty(),
            "a session that reads together with others needs a token to read");
    pass.push_back({.sequence = &slice.session->sequence(),
                    .tokens = slice.tokens,
                    .logits = 1});
  }
  const std::lock_guard lock(engine.pass_mutex());
  model::Workspace& workspace = engine.workspace();
  model::Forward(engine.model(), pass, workspace);
  const auto rows = static_cast<int64_t>(pass.size());
  const std::span<const float> all = workspace.Logits(0, rows);
  const size_t V = all.size() / pass.size();
  for (size_t s = 0; s < pass.size(); ++s) {
    const auto row = all.subspan(s * V, V);
    logits.emplace_back(row.begin(), row.end());
  }
  return logits;
}

}  // namespace ropewalk::engine
