#include "lab/nn/config.h"

#include <algorithm>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "position/scheme.h"

namespace ropewalk::lab::nn {
namespace {

template <typename T>
struct Name {
  T value;
  std::string_view name;
};

constexpr Name<Block> kBlocks[] = {{Block::kLlama, "llama"},
                                   {Block::kGau, "gau"}};
constexpr Name<Architecture> kArchitectures[] = {
    {Architecture::kDecoder, "decoder"},
    {Architecture::kEncoderDecoder, "encoder-decoder"},
    {Architecture::kEncoderDecoderShared, "encoder-decoder-shared"}};
constexpr Name<Mask> kMasks[] = {{Mask::kCausal, "causal"},
                                 {Mask::kPrefix, "prefix"},
                                 {Mask::kBidirectional, "bidirectional"},
                                 {Mask::kMixedHeads, "mixed-heads"},
                                 {Mask::kMixedLayers, "mixed-layers"}};
constexpr Name<Head> kHeads[] = {{Head::kTied, "tied"},
                                 {Head::kTiedSigma, "tied-sigma"},
                                 {Head::kUntied, "untied"},
                                 {Head::kTiedOrthogonal, "tied-orthogonal"},
                                 {Head::kTiedHalfSwap, "tied-half-swap"},
                                 {Head::kTiedShuffle, "tied-shuffle"},
                                 {Head::kTiedRootWidth, "tied-root-width"}};
constexpr Name<ops::Precision> kPrecisions[] = {
    {ops::Precision::kFull, "f32"}, {ops::Precision::kBf16, "bf16"}};
constexpr Name<Init> kInits[] = {{Init::kOrdinary, "ordinary"},
                                 {Init::kDeepNorm, "deepnorm"}};

template <typename T, size_t kCount>
std::string NameOf(const Name<T> (&names)[kCount], T value) {
  for (const Name<T>& entry : names) {
    if (entry.value == value) return std::string(entry.name);
  }
  ROPEWALK_CHECK(false);
  return {};
}

template <typename T, size_t kCount>
T Parse(const Name<T> (&names)[kCount], std::string_view what,
        const std::string& name) {
  std::string allowed;
  for (const Name<T>& entry : names) {
    if (entry.name == name) return entry.value;
    allowed += (allowed.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw std::invalid_argument(std::string(what) + ": '" + name +
                              "' is none of " + allowed);
}

void RequireRange(std::string_view key, int64_t value, int64_t least,
                  int64_t most) {
  Require(value >= least && value <= most,
          std::string(key) + " must lie in " + std::to_string(least) + " .. " +
              std::to_string(most) + ", got " + std::to_string(value));
}

}  // namespace

std::string ToString(Block block) { return NameOf(kBlocks, block); }
std::string ToString(Architecture a) { return NameOf(kArchitectures, a); }
std::string ToString(Mask mask) { return NameOf(kMasks, mask); }
std::string ToString(Head head) { return NameOf(kHeads, head); }
std::string ToString(Init init) { return NameOf(kInits, init); }
std::string ToString(ops::Precision precision) {
  return NameOf(kPrecisions, precision);
}

Block ParseBlock(const std::string& name) {
  return Parse(kBlocks, "block", name);
}
Architecture ParseArchitecture(const std::string& name) {
  return Parse(kArchitectures, "architecture", name);
}
Mask ParseMask(const std::string& name) { return Parse(kMasks, "mask", name); }
Head ParseHead(const std::string& name) { return Parse(kHeads, "head", name); }
Init ParseInit(const std::string& name) { return Parse(kInits, "init", name); }
ops::Precision ParsePrecision(const std::string& name) {
  return Parse(kPrecisions, "precision", name);
}

position::ModelPositions PositionsOf(const ModelConfig& config) {
  position::ModelPositions positions;
  positions.head_width = config.D;
  positions.rotary_width = config.D;
  positions.base = config.rope_base;
  positions.train_length = config.N;
  positions.declared_length = config.N;
  const position::Scheme trained = position::ParseScheme(config.position);
  const auto learned = [](const position::Scheme& scheme) {
    return scheme.logn == position::ScoreScale::Kind::kLearned;
  };
  positions.has_learned_logn =
      learned(trained) || std::ranges::any_of(trained.layers, learned);
  const std::string& law =
      config.inference.empty() ? config.position : config.inference;
  if (law != "rope") positions.own_spelling = {law};
  return positions;
}

void Validate(const ModelConfig& c) {
  RequireRange("layers", c.L, 1, 1024);
  RequireRange("width", c.E, 2, 65536);
  RequireRange("heads", c.H, 1, 1024);
  RequireRange("kv_heads", c.G, 1, c.H);
  RequireRange("head_width", c.D, 2, 4096);
  RequireRange("feed_width", c.F, 1, 1 << 20);
  RequireRange("length", c.N, 1, 1 << 24);
  RequireRange("vocabulary", c.V, 2, 1 << 24);
  Require(c.H % c.G == 0, "heads must be a multiple of kv_heads, got " +
                              std::to_string(c.H) + " and " +
                              std::to_string(c.G));
  Require(c.D % 2 == 0, "head_width must be even, got " + std::to_string(c.D));
  Require(c.rope_base > 1,
          "rope_base must be above 1, got " + std::to_string(c.rope_base));
  Require(c.norm_epsilon > 0 && c.norm_epsilon < 1,
          "norm_epsilon must lie between 0 and 1, got " +
              std::to_string(c.norm_epsilon));
  const bool gau = c.block == Block::kGau;
  Require(!gau || (c.H == 1 && c.G == 1),
          "block gau has one head; heads and kv_heads must be 1");
  Require(!gau || c.architecture == Architecture::kDecoder,
          "block gau has no cross attention; architecture must be decoder");
  Require(
      !(c.mask == Mask::kMixedHeads && c.H < 2),
      "mask mixed-heads needs at least 2 heads, got " + std::to_string(c.H));
  Require(c.architecture == Architecture::kDecoder || c.mask == Mask::kCausal,
          "mask is for architecture decoder; an encoder-decoder has its own "
          "(see causal_encoder)");
  Require(!c.causal_encoder || c.architecture != Architecture::kDecoder,
          "causal_encoder is for encoder-decoders");
  Require(!c.rotate_cross || c.architecture != Architecture::kDecoder,
          "rotate_cross is for encoder-decoders");
  Require(!(c.head == Head::kTiedHalfSwap || c.head == Head::kTiedShuffle) ||
              c.E % 2 == 0,
          "head " + ToString(c.head) + " needs an even width, got " +
              std::to_string(c.E));
  // The schemes say themselves what they do not allow.
  position::ModelPositions positions = PositionsOf(c);
  positions.own_spelling.clear();
  const bool ahead = c.architecture == Architecture::kDecoder
                         ? c.mask != Mask::kCausal
                         : !c.causal_encoder || c.rotate_cross;
  for (const std::string& law : {c.position, c.inference}) {
    if (law.empty()) continue;
    for (const position::Plan& plan : position::BuildStack(
             position::Resolve(position::ParseScheme(law), positions, c.N),
             positions, c.N, c.L)) {
      if (ahead) plan.Mirror();  // throws where keys ahead have no law
    }
  }
}

}  // namespace ropewalk::lab::nn
