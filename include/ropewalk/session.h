// A session: one text in progress under one model, with the keys and values of
// what was read so far.
//
//   const ropewalk::Model model = ropewalk::Model::Load("model.gguf");
//   ropewalk::Session session(model);
//   session.Read(model.tokenizer().Encode("Once upon a time"));
//   session.Generate({.max_tokens = 200}, [](const auto& token) {
//     std::cout << token.text << std::flush;
//     return true;
//   });
//
// Numbers: what a session computes depends on its model, its options and its
// calls alone, bit for bit: not on the number of threads, and not on which
// other sessions share a pass. Reading a text in other portions changes its
// numbers by rounding only: by that of float32 if products are exact
// (ModelOptions::exact), else now and then by that of an activation to 8 bits.
//
// Threads: one thread at a time may use a session. Sessions of one model share
// its threads and its work memory; calls that compute wait for each other, so
// different threads may use different sessions of it, at the pace of one. A
// callback runs on the calling thread and may use any session but the one that
// calls it.

#ifndef ROPEWALK_SESSION_H_
#define ROPEWALK_SESSION_H_

#include <ropewalk/export.h>
#include <ropewalk/model.h>
#include <ropewalk/scheme.h>
#include <ropewalk/tokenizer.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {

// What keys and values are stored as. Smaller types hold longer texts: kQ8_0
// takes 8.5 bits a number, kQ4_0 4.5, which texts notice (docs/memories.md).
enum class KvType { kF32, kF16, kBF16, kQ8_0, kQ4_0 };

// "f32", "f16", "bf16" or "q8_0". Throws std::invalid_argument for a number
// that is no KvType.
ROPEWALK_EXPORT std::string_view NameOf(KvType type);
// By that name, in any case; throws std::invalid_argument for others.
ROPEWALK_EXPORT KvType ParseKvType(std::string_view name);

struct SessionOptions {
  // Tokens that the session can hold; 0: the model's trained length. No memory
  // is taken for them before they are read.
  int64_t context_length = 0;
  // `auto` by default. Parameters that the spelling leaves out follow from the
  // model and from context_length, once and for all.
  Scheme scheme = {};
  KvType kv_type = KvType::kF16;
  // Run a scheme that is known to give noise at this length (see
  // Model::KnownToFail), instead of refusing it.
  bool allow_known_failure = false;
};

// How a token is chosen. The steps, in this order: logit bias; penalties; DRY;
// top-k; typical-p; top-p and min-p; temperature. Those that speak of
// probabilities see them at temperature 1, of the tokens that are left by then.
struct SampleOptions {
  double temperature = 0.8;  // 0 takes the most likely token
  int64_t top_k = 40;        // keep so many of the likeliest; 0: all
  double top_p = 0.95;       // keep the likeliest up to this sum, in (0, 1]
  double min_p = 0.05;       // drop those below this share of the best's
  double typical_p = 1;      // locally typical sampling, in (0, 1]; 1: off
  // Added to the logits of these tokens; -infinity bans one.
  std::map<Token, double> logit_bias = {};

  // Penalties on the tokens among the last `penalty_last` (0: none, -1: all).
  // A positive logit is divided by `repetition_penalty`, a negative one
  // multiplied; then `frequency_penalty` is taken off for each time a token
  // occurs, and `presence_penalty` once.
  double repetition_penalty = 1;
  double frequency_penalty = 0;
  double presence_penalty = 0;
  int64_t penalty_last = 64;

  // DRY: a token that would prolong a sequence of n tokens, at least
  // `dry_allowed_length`, that occurs among the last `dry_last` (-1: all) loses
  // dry_multiplier * dry_base^(n - dry_allowed_length). Sequences begin behind
  // these texts.
  double dry_multiplier = 0;  // 0: off
  double dry_base = 1.75;
  int64_t dry_allowed_length = 2;
  int64_t dry_last = -1;
  std::vector<std::string> dry_breakers = {"\n", ":", "\"", "*"};

  uint64_t seed = 0;  // equal seeds, options and tokens give equal choices
};

// Chooses tokens by logits, for callers that do not use Generate. One thread at
// a time.
class ROPEWALK_EXPORT Sampler {
 public:
  // Throws std::invalid_argument that names the option out of range. The
  // tokenizer gives DRY the texts of tokens; without DRY it is not asked.
  Sampler(const Tokenizer& tokenizer, const SampleOptions& options = {});

  Sampler(Sampler&&) noexcept;
  Sampler& operator=(Sampler&&) noexcept;
  ~Sampler();

  // The text goes on with these tokens, of a prompt or chosen: penalties act on
  // what was accepted. Sample does not accept what it chooses.
  void Accept(std::span<const Token> tokens);

  // A token, by its `logits` [V]. Logits behind the tokenizer's size are no
  // tokens and are passed over. Throws std::runtime_error where no logit is
  // finite, and std::invalid_argument where the bias bans every token.
  Token Sample(std::span<const float> logits);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

struct GenerateOptions {
  int64_t max_tokens = 256;  // at least 1
  SampleOptions sampling = {};
  // Write only texts of this grammar, in GBNF (docs/grammars.md), or JSON that
  // this schema allows; at most one of them, and none if both are empty. The
  // text that is drawn begins the grammar, whatever was read before. An end of
  // text is drawn where the grammar may end, and generation ends where it must
  // (kEndOfText).
  std::string grammar = {};
  std::string json_schema = {};
  // Texts that end generation; they and what follows are not shown.
  std::vector<std::string> stops = {};
  // Go on past the tokens that end a text, and show nothing for them.
  bool ignore_end_of_text = false;
  // Report log probabilities: of the token that was chosen, and of so many of
  // the most likely ones. Unset: none.
  std::optional<int64_t> log_probabilities = {};
  // Where the context is full: take the older half out of what lies behind the
  // first `keep` tokens, close up and go on, instead of stopping.
  bool shift = false;
  int64_t keep = 0;
};

struct TokenLogProbability {
  Token id = 0;
  double log_probability = 0;  // natural, at temperature 1, without penalties
};

struct GeneratedToken {
  Token id = 0;
  // What can be shown now: never half a character, and nothing that may be the
  // beginning of a stop text. Often empty. Lives as long as the call.
  std::string_view text;
  // Where they were asked for; else 0 and empty.
  double log_probability = 0;
  std::span<const TokenLogProbability> most_likely;  // the likeliest first
};

enum class StopReason {
  kEndOfText,    // the model ended its text
  kTokenLimit,   // max_tokens
  kContextFull,  // context_length
  kStopText,     // one of the stops was written
  kCaller,       // the callback said so
};

struct GenerateResult {
  StopReason reason = StopReason::kTokenLimit;
  std::string stop;            // for kStopText: which
  std::string text;            // all that can be shown
  int64_t tokens = 0;          // drawn, an end token not counted
  int64_t shifted_tokens = 0;  // taken out to make room
  double seconds = 0;
};

// What Read tells while it reads: tokens read so far and asked for. Returns
// whether to go on. May be empty.
using ReadCallback = std::function<bool(int64_t read, int64_t all)>;
// Returns whether to go on. May be empty.
using TokenCallback = std::function<bool(const GeneratedToken& token)>;

// Keys that the last token of a text sees under one rule of the scheme.
struct BandShare {
  std::string label;  // "at their distances", "all at distance 1024"
  int64_t tokens = 0;
};

class Batch;
class Memory;
struct Slice;

// Move-only; a moved-from session may only be assigned to or destroyed. It
// keeps its model alive.
//
// An exception thrown by a callback leaves the session as after the last token
// that was read, and passes through.
class ROPEWALK_EXPORT Session {
 public:
  // Throws std::invalid_argument for options out of range, for a scheme that
  // is not defined for the model, and for one that is known to fail at this
  // length unless that is allowed.
  explicit Session(const Model& model, const SessionOptions& options = {});

  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  Model model() const;
  int64_t context_length() const;
  // The scheme as it runs, every parameter given.
  Scheme scheme() const;
  // The same for people, with the layers that it changes where those are not
  // all: "rerope:window=256 on 3 of 18 layers, 15 keep their window of 512
  // keys".
  std::string DescribeScheme() const;
  // How the last token read sees the others, in the layer that sees most: near
  // keys first, the token itself among them; empty before a token was read.
  // Keys that no rule selects are not counted.
  std::vector<BandShare> Bands() const;
  // Tokens read and not taken out again; which they are, until the next call
  // that changes the session.
  int64_t size() const;
  std::span<const Token> tokens() const;
  // First tokens whose keys and values are those that a fresh session would
  // compute. What Shift or ChangeScheme let stand behind them was read beside
  // other tokens or under another scheme.
  int64_t exact_size() const;
  // Of keys and values, in memory. What forks share counts for each of them.
  int64_t kv_bytes() const;
  // The most that kv_bytes() returns when the text has `size` tokens.
  int64_t kv_bytes_for(int64_t size) const;

  // Lets the text attend to `memories` beside its own tokens (memory.h), by a
  // law: far, place or order, with keys as in "far:distance=1280,skip=4". Their
  // order changes no bit. Forks have them too. Throws std::invalid_argument for
  // a law that is not one, memories of another model, of several types or of
  // another type than this session's, one that is given twice or none at all,
  // and where something was read or attached before; and MemoryLimitError. What
  // a session with memories has read is saved to no file: SaveCache and
  // LoadCache throw std::invalid_argument.
  void Attach(std::span<const Memory> memories, const std::string& law = "far");

  // Reads `tokens` behind what is there, 512 in a pass; asks `go_on` after each
  // pass. Returns how many were read: all of them, unless `go_on` said no.
  // Throws, having read nothing: std::invalid_argument for an id outside the
  // vocabulary and for a text that does not fit context_length, and
  // MemoryLimitError where the memory limit of the model would be passed.
  int64_t Read(std::span<const Token> tokens, const ReadCallback& go_on = {});

  // The logits of what comes next [V], after the last token of the text. Live
  // until the next call that changes the session. Throws std::invalid_argument
  // where there are none: nothing was read since the session began, or since
  // Trim, Shift, ChangeScheme or LoadCache, or since the model ended its text.
  std::span<const float> Logits();

  // The same in memory that is never written again, for callers that keep
  // logits beyond the next call.
  std::shared_ptr<const std::vector<float>> SharedLogits();

  // Draws tokens after what was read, and calls `on_token` for each as it
  // comes. They become part of the text: a further Read or Generate goes on
  // behind them. (The last one is read only then, so that it costs nothing if
  // nothing follows: size() does not count it yet.) An end token does not.
  // Throws like Read and Logits; std::invalid_argument for options out of range
  // and for grammars that are wrong, with line and column or the place in the
  // schema; FormatError for a schema that is not JSON; std::runtime_error where
  // the vocabulary has no token that the grammar allows.
  GenerateResult Generate(const GenerateOptions& options = {},
                          const TokenCallback& on_token = {});

  // A session with the same text, independent from here on. It shares keys and
  // values with this one until either changes them, so it costs little time
  // and memory.
  Session Fork() const;

  // Keeps the first `size` tokens. Throws std::invalid_argument unless `size`
  // is from 0 to size(), and where a window has dropped what would be needed.
  void Trim(int64_t size);

  // Takes `count` tokens out behind the first `keep` and closes up, so that
  // there is room for as many. What was read behind them has seen them: its
  // keys and values stay as they are. Throws std::invalid_argument, with the
  // reason, where the scheme does not allow it.
  void Shift(int64_t keep, int64_t count);

  // Goes on under another scheme. What was read so far stays as the old one saw
  // it. Throws std::invalid_argument, with the reason, where the stored keys do
  // not allow it, and like the constructor. With `context_length` the scheme is
  // that for so many tokens, and the session holds as many if it held fewer; 0:
  // as many as before.
  void ChangeScheme(const Scheme& scheme, int64_t context_length = 0);

  // Keys, values and the tokens() in a file that names its model, scheme and
  // type. The file is replaced as a whole. Throws IoError.
  void SaveCache(const std::string& path) const;

  // Takes out of a saved file what its text has in common with the beginning
  // of `tokens`, into a session that is empty, and returns how many tokens that
  // is: Read the rest. At least one token is left to read. Throws IoError,
  // FormatError for a file that is broken or no cache, and
  // std::invalid_argument for one of another model, scheme or type, and where
  // the session is not empty.
  int64_t LoadCache(const std::string& path, std::span<const Token> tokens);

 private:
  struct Parts;
  friend class Batch;
  friend void Read(std::span<const Slice> slices);

  explicit Session(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

// What one session reads in a pass that many share.
struct Slice {
  Session* session = nullptr;
  std::span<const Token> tokens;  // at least one
};

// Reads all slices, each behind what its session holds, in passes that go
// through the weights once for all of them: many sessions then decode at
// several times the rate of one. Every session's Logits are those that a Read
// of its own would give, bit for bit. Sessions may differ in scheme, length and
// type. Throws, having read nothing, std::invalid_argument where sessions are
// of different models, one occurs twice or has no tokens to read, and like
// Session::Read.
ROPEWALK_EXPORT void Read(std::span<const Slice> slices);

}  // namespace ropewalk

#endif  // ROPEWALK_SESSION_H_
