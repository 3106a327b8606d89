#include "engine/session.h"

#include <ropewalk/session.h>

#include <algorithm>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "api/kv_type.h"
#include "api/memory_parts.h"
#include "api/parts.h"
#include "api/session_parts.h"
#include "base/dtype.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/generate.h"
#include "engine/sampler.h"
#include "memory/law.h"
#include "memory/memory.h"
#include "position/seen_bands.h"

namespace ropewalk {

struct Sampler::Parts {
  Parts(std::shared_ptr<const tokenizer::Tokenizer> shared,
        const SampleOptions& options)
      : tokenizer(std::move(shared)),
        sampler(EngineOptionsOf(options), options.seed, *tokenizer) {}

  std::shared_ptr<const tokenizer::Tokenizer> tokenizer;
  engine::Sampler sampler;
};

Sampler::Sampler(const Tokenizer& tokenizer, const SampleOptions& options)
    : parts_(std::make_unique<Parts>(tokenizer.parts_->tokenizer, options)) {}
Sampler::Sampler(Sampler&&) noexcept = default;
Sampler& Sampler::operator=(Sampler&&) noexcept = default;
Sampler::~Sampler() = default;

void Sampler::Accept(std::span<const Token> tokens) {
  parts_->sampler.Accept(tokens);
}

Token Sampler::Sample(std::span<const float> logits) {
  const auto size = static_cast<size_t>(parts_->tokenizer->VocabularySize());
  return parts_->sampler.Sample(logits.first(std::min(logits.size(), size)));
}

Session::Session(const Model& model, const SessionOptions& options)
    : parts_(new Parts{.model = model,
                       .session = engine::Session(
                           model.parts_->engine,
                           {.length = options.context_length,
                            .position = options.scheme.ToString(),
                            .kv_type = DTypeOf(options.kv_type),
                            .allow_failing = options.allow_known_failure})}) {}

Session::Session(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Model Session::model() const { return parts_->model; }
int64_t Session::context_length() const { return parts_->session.length(); }
int64_t Session::size() const { return parts_->session.size(); }

std::span<const Token> Session::tokens() const {
  return parts_->session.sequence().tokens();
}

int64_t Session::kv_bytes() const {
  return parts_->session.sequence().KvBytes();
}

int64_t Session::exact_size() const {
  return parts_->session.sequence().exact();
}

int64_t Session::kv_bytes_for(int64_t size) const {
  return parts_->session.sequence().KvBytesFor(size, engine::kPromptChunk);
}

Scheme Session::scheme() const {
  return Scheme(std::make_shared<const Scheme::Parts>(
      Scheme::Parts{parts_->session.scheme().scheme}));
}

std::string Session::DescribeScheme() const {
  return parts_->session.scheme().described;
}

std::vector<BandShare> Session::Bands() const {
  const model::Sequence& sequence = parts_->session.sequence();
  std::vector<BandShare> widest;
  if (sequence.size() == 0) return widest;
  int64_t most = -1;
  for (const position::Plan& plan : sequence.stack()) {
    std::vector<BandShare> bands;
    int64_t total = 0;
    for (const position::SeenBand& seen :
         position::SeenBands(plan, sequence.size() - 1)) {
      bands.push_back({seen.label, seen.keys});
      total += seen.keys;
    }
    if (total <= most) continue;
    most = total;
    widest = std::move(bands);
  }
  return widest;
}

void Session::Attach(std::span<const Memory> memories, const std::string& law) {
  engine::Session& session = parts_->session;
  std::vector<std::shared_ptr<const memory::Memory>> all;
  for (const Memory& memory : memories) {
    Require(memory.parts_->engine.lock() == session.shared_engine(),
            "memory '" + Printable(memory.name()) +
                "' was opened for another model than the session's");
    all.push_back(memory.parts_->read);
  }
  session.Attach(memory::Arrange(all, memory::ParseLaw(law), session.engine(),
                                 session.sequence().stack()));
}

int64_t Session::Read(std::span<const Token> tokens,
                      const ReadCallback& go_on) {
  if (tokens.empty()) return 0;
  const std::vector<Token> unread = parts_->Unread(tokens);
  parts_->RequireReadable(unread);
  const auto before = static_cast<int64_t>(unread.size() - tokens.size());
  const auto all = static_cast<int64_t>(tokens.size());
  int64_t read = -before;
  parts_->Forget();
  parts_->Keep(parts_->session.Read(unread, [&](int64_t count) {
    read += count;
    return !go_on || go_on(read, all);
  }));
  return read;
}

std::span<const float> Session::Logits() { return *SharedLogits(); }

std::shared_ptr<const std::vector<float>> Session::SharedLogits() {
  if (parts_->drawn) {
    const Token drawn = *parts_->drawn;
    parts_->RequireReadable({&drawn, 1});
    parts_->Keep(parts_->session.Read({&drawn, 1}));
    parts_->drawn.reset();
  }
  Require(parts_->logits != nullptr,
          "a session has no logits before it has read a token");
  return parts_->logits;
}

GenerateResult Session::Generate(const GenerateOptions& options,
                                 const TokenCallback& on_token) {
  GenerateResult result;
  Require(parts_->drawn || parts_->logits != nullptr,
          "a session has nothing to go on from before it has read a token");
  std::optional<Token> last;
  engine::GenerateJob job = parts_->JobOf({}, options);
  job.callbacks.on_token = [&](const engine::GeneratedToken& token) {
    last = token.token;
    result.text += token.text;
    return !on_token || Tell(token, on_token);
  };
  job.callbacks.on_end = [&](const std::string& rest) { result.text += rest; };
  const int64_t size = parts_->session.size();
  engine::GenerateResult done;
  try {
    done = engine::Generate(std::move(job));
  } catch (...) {
    // Refused before anything was read: all stays. Else the tokens so far do.
    if (last || parts_->session.size() != size) parts_->Forget();
    if (last) parts_->drawn = last;
    throw;
  }
  parts_->Ended(done, last, result);
  return result;
}

Session Session::Fork() const {
  return Session(
      std::unique_ptr<Parts>(new Parts{.model = parts_->model,
                                       .session = parts_->session.Fork(),
                                       .drawn = parts_->drawn,
                                       .logits = parts_->logits}));
}

void Session::Trim(int64_t size) {
  parts_->session.sequence().Trim(size);
  parts_->Forget();
}

void Session::Shift(int64_t keep, int64_t count) {
  parts_->session.sequence().Shift(keep, count);
  parts_->Forget();
}

void Session::ChangeScheme(const Scheme& scheme, int64_t context_length) {
  Require(context_length >= 0, "the context must be at least 0 tokens, got " +
                                   std::to_string(context_length));
  engine::Session& session = parts_->session;
  session.ChangeScheme(session.engine().Resolve(
      scheme.parts_->scheme,
      context_length == 0 ? session.length() : context_length, false));
  parts_->Forget();
}

void Session::SaveCache(const std::string& path) const {
  parts_->session.SaveCache(path);
}

int64_t Session::LoadCache(const std::string& path,
                           std::span<const Token> tokens) {
  const int64_t shared = parts_->session.LoadCache(path, tokens);
  parts_->Forget();
  return shared;
}

void Read(std::span<const Slice> slices) {
  struct Reader {
    Session::Parts* parts = nullptr;
    std::vector<Token> unread;
    size_t at = 0;
  };
  std::vector<Reader> readers;
  std::unordered_set<const Session*> seen;
  for (const Slice& slice : slices) {
    Require(slice.session != nullptr, "a slice has no session");
    Require(seen.insert(slice.session).second, "a session is in two slices");
    Require(!slice.tokens.empty(), "a slice has no tokens");
    Session::Parts& parts = *slice.session->parts_;
    Require(&parts.session.engine() ==
                &slices.front().session->parts_->session.engine(),
            "sessions that are read in one pass must be of one model");
    readers.push_back({&parts, parts.Unread(slice.tokens)});
    parts.RequireReadable(readers.back().unread);
  }
  // Each text is cut as Session::Read cuts it, so that it gets the same bits; a
  // pass takes those pieces that it has room for.
  size_t left = readers.size();
  while (left > 0) {
    std::vector<engine::SessionSlice> pass;
    std::vector<Reader*> passing;
    int64_t room = engine::kPassTokens;
    for (Reader& reader : readers) {
      const int64_t piece =
          std::min(engine::kPromptChunk,
                   static_cast<int64_t>(reader.unread.size() - reader.at));
      if (piece == 0 || piece > room) continue;
      room -= piece;
      pass.push_back({&reader.parts->session,
                      std::span<const Token>(reader.unread)
                          .subspan(reader.at, static_cast<size_t>(piece))});
      passing.push_back(&reader);
    }
    std::vector<std::vector<float>> logits = engine::ReadTogether(pass);
    for (size_t i = 0; i < passing.size(); ++i) {
      Reader& reader = *passing[i];
      reader.at += pass[i].tokens.size();
      reader.parts->Forget();
      if (reader.at < reader.unread.size()) continue;
      reader.parts->Keep(std::move(logits[i]));
      --left;
    }
  }
}

}  // namespace ropewalk
