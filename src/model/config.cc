#include "model/config.h"

#include <cmath>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "kernels/blocks.h"
#include "position/scheme.h"

namespace ropewalk::model {
namespace {

using position::ModelPositions;

// No model comes near these; a file that says more is broken, and the bounds
// keep products of two of them far from overflow.
constexpr int64_t kLargestWidth = int64_t{1} << 24;
constexpr int64_t kLargestHead = int64_t{1} << 14;
constexpr int64_t kLargestLayers = int64_t{1} << 16;
constexpr int64_t kLargestContext = int64_t{1} << 30;

class Reader {
 public:
  Reader(const formats::GgufFile& file, std::string architecture)
      : file_(file), architecture_(std::move(architecture)) {}

  std::string Key(const std::string& suffix) const {
    return architecture_ + "." + suffix;
  }

  [[noreturn]] void Fail(const std::string& what) const {
    throw FormatError(file_.path(), 0, what);
  }

  std::optional<int64_t> FindCount(const std::string& suffix,
                                   int64_t largest) const {
    const auto value = file_.metadata().FindInt(Key(suffix));
    if (value && (*value < 1 || *value > largest)) {
      throw file_.metadata().Error(
          Key(suffix), "must be between 1 and " + std::to_string(largest) +
                           ", got " + std::to_string(*value));
    }
    return value;
  }

  int64_t Count(const std::string& suffix, int64_t largest) const {
    const auto value = FindCount(suffix, largest);
    if (!value) Fail("key '" + Key(suffix) + "' is missing");
    return *value;
  }

  double Float(const std::string& suffix, double otherwise) const {
    return file_.metadata().FindFloat(Key(suffix)).value_or(otherwise);
  }

 private:
  const formats::GgufFile& file_;
  std::string architecture_;
};

// A small vector tensor as doubles; empty where it is absent.
std::vector<double> ReadVector(const formats::GgufFile& file,
                               const std::string& name, int64_t size) {
  const formats::GgufTensor* tensor = file.Find(name);
  if (tensor == nullptr) return {};
  if (!tensor->type || tensor->Elements() != size ||
      InfoOf(*tensor->type).block_elements != 1) {
    throw FormatError(file.path(), tensor->file_offset,
                      "tensor '" + name + "' must hold " +
                          std::to_string(size) + " plain floats, got " +
                          std::to_string(tensor->Elements()) + " of type " +
                          tensor->type_name);
  }
  std::vector<float> values(static_cast<size_t>(size));
  kernels::UnpackRow(*tensor->type, tensor->bytes.data(), size, values.data());
  return {values.begin(), values.end()};
}

void ReadScaling(const formats::GgufFile& file, const Reader& reader,
                 ModelPositions& positions) {
  const int64_t pairs = positions.rotary_width / 2;
  positions.frequency_divisors = ReadVector(file, "rope_freqs.weight", pairs);
  const std::string type = file.metadata()
                               .FindString(reader.Key("rope.scaling.type"))
                               .value_or("none");
  positions.attention_factor = reader.Float("rope.scaling.attn_factor", 1);
  positions.has_attention_factor =
      file.metadata().FindFloat(reader.Key("rope.scaling.attn_factor")) !=
      std::nullopt;
  // Old files spell linear scaling as a key of its own.
  positions.scaling_factor =
      reader.Float("rope.scaling.factor", reader.Float("rope.scale_linear", 1));
  // Zero is how some files say that there is none.
  if (positions.scaling_factor == 0) positions.scaling_factor = 1;
  positions.yarn_fast = reader.Float("rope.scaling.yarn_beta_fast", 32);
  positions.yarn_slow = reader.Float("rope.scaling.yarn_beta_slow", 1);
  positions.short_factors =
      ReadVector(file, "rope_factors_short.weight", pairs);
  positions.long_factors = ReadVector(file, "rope_factors_long.weight", pairs);
  using Scaling = ModelPositions::Scaling;
  if (type == "longrope" || !positions.long_factors.empty()) {
    positions.scaling = Scaling::kLongRope;
  } else if (type == "yarn") {
    positions.scaling = Scaling::kYarn;
  } else if (type == "linear" ||
             (type == "none" && positions.scaling_factor != 1)) {
    positions.scaling = Scaling::kLinear;
  } else if (type != "none") {
    reader.Fail("rope scaling type '" + Printable(type, 40) +
                "' is not known; known: none, linear, yarn, longrope");
  }
}

// `ropewalk.position` is a spelling, or an array with one a layer.
void ReadOwnLaw(const formats::GgufFile& file, const Config& config,
                ModelPositions& positions) {
  constexpr std::string_view kKey = "ropewalk.position";
  const formats::Metadata& metadata = file.metadata();
  if (!metadata.Has(kKey)) return;
  if (metadata.IsArray(kKey)) {
    positions.own_spelling = *metadata.FindStrings(kKey);
    const auto count = static_cast<int64_t>(positions.own_spelling.size());
    if (count != config.L) {
      throw FormatError(file.path(), 0,
                        "key 'ropewalk.position' has " + std::to_string(count) +
                            " entries for " + std::to_string(config.L) +
                            " layers");
    }
  } else {
    positions.own_spelling = {*metadata.FindString(kKey)};
  }
  // Plain rope is what `rope` means anyway.
  if (positions.own_spelling.size() == 1 &&
      positions.own_spelling.front() == "rope") {
    positions.own_spelling.clear();
  }
  for (const std::string& spelling : positions.own_spelling) {
    // A model file has no say in which files of ours are opened.
    Require(!spelling.starts_with('@') && spelling != "auto",
            "key 'ropewalk.position' must spell schemes out, got '" +
                Printable(spelling, 40) + "'");
  }
}

Block ReadBlock(const formats::GgufFile& file, const Reader& reader,
                const std::string& architecture) {
  const std::string block =
      file.metadata().FindString("ropewalk.block").value_or("llama");
  if (block == "llama") return Block::kLlama;
  if (block != "gau") {
    reader.Fail("block '" + Printable(block, 40) +
                "' is not supported; supported: llama, gau");
  }
  if (architecture != "ropewalk") {
    reader.Fail("block 'gau' belongs to the architecture 'ropewalk', got '" +
                architecture + "'");
  }
  return Block::kGau;
}

void ReadLlamaShape(const Reader& reader, Config& config) {
  config.F = reader.Count("feed_forward_length", kLargestWidth);
  config.heads.H = reader.Count("attention.head_count", kLargestWidth);
  config.heads.G = reader.FindCount("attention.head_count_kv", kLargestWidth)
                       .value_or(config.heads.H);
  if (config.heads.H % config.heads.G != 0) {
    reader.Fail("key heads must divide query heads, got " +
                std::to_string(config.heads.G) + " and " +
                std::to_string(config.heads.H));
  }
  const auto width = reader.FindCount("attention.key_length", kLargestHead);
  if (!width && config.E % config.heads.H != 0) {
    reader.Fail("width " + std::to_string(config.E) + " is not a multiple of " +
                std::to_string(config.heads.H) + " heads");
  }
  config.heads.D = width.value_or(config.E / config.heads.H);
  if (config.heads.D > kLargestHead) {
    reader.Fail("heads of width " + std::to_string(config.heads.D) +
                " are beyond the " + std::to_string(kLargestHead) +
                " that this build computes");
  }
  if (reader.FindCount("attention.value_length", kLargestHead)
          .value_or(config.heads.D) != config.heads.D) {
    reader.Fail(
        "value heads of another width than key heads are not "
        "supported");
  }
}

// Expansion and key length stand under `ropewalk.gau.` whatever the
// architecture is called.
void ReadGauShape(const formats::GgufFile& file, const Reader& reader,
                  Config& config) {
  const Reader own(file, "ropewalk");
  config.F = own.Count("gau.expansion", kLargestWidth);
  config.heads = {.H = 1,
                  .G = 1,
                  .D = own.Count("gau.key_length", kLargestHead),
                  .value_width = config.F};
  for (const char* heads :
       {"attention.head_count", "attention.head_count_kv"}) {
    if (reader.FindCount(heads, kLargestWidth).value_or(1) != 1) {
      reader.Fail("key '" + reader.Key(heads) +
                  "' must be 1: a gated attention unit has one head");
    }
  }
}

bool HasLearnedLogn(const formats::GgufFile& file, int64_t L) {
  for (int64_t l = 0; l < L; ++l) {
    if (file.Find("blk." + std::to_string(l) + ".attn_logn.weight") !=
        nullptr) {
      return true;
    }
  }
  return false;
}

}  // namespace

int64_t Config::LayerElements() const {
  const int64_t queries = heads.H * heads.D;
  const int64_t keys = heads.G * heads.D;
  return block == Block::kGau ? E * (2 * F + heads.D) + F * E
                              : 2 * E * queries + 2 * E * keys + 3 * E * F;
}

Config ReadConfig(const formats::GgufFile& file) {
  Config config;
  const formats::Metadata& metadata = file.metadata();
  config.architecture =
      metadata.FindString("general.architecture").value_or("");
  const Reader reader(file, config.architecture);
  if (config.architecture != "llama" && config.architecture != "ropewalk") {
    reader.Fail("architecture '" + Printable(config.architecture, 40) +
                "' is not supported; supported: llama, ropewalk");
  }
  config.block = ReadBlock(file, reader, config.architecture);
  config.name = metadata.FindString("general.name")
                    .value_or(std::filesystem::path(file.path()).stem());
  config.L = reader.Count("block_count", kLargestLayers);
  config.E = reader.Count("embedding_length", kLargestWidth);
  if (config.block == Block::kGau) {
    ReadGauShape(file, reader, config);
  } else {
    ReadLlamaShape(reader, config);
  }
  config.key_norm =
      metadata.FindBool("ropewalk.attention.key_norm").value_or(false);
  if (reader.FindCount("attention.sliding_window", kLargestContext)) {
    reader.Fail(
        "sliding-window attention in the file is not supported; its "
        "position law would be ignored");
  }
  const double epsilon = reader.Float("attention.layer_norm_rms_epsilon", 1e-5);
  if (!(epsilon >= 0 && epsilon < 1)) {
    reader.Fail("key '" + reader.Key("attention.layer_norm_rms_epsilon") +
                "' must be in [0, 1), got " + FormatNumber(epsilon));
  }
  config.rms_epsilon = static_cast<float>(epsilon);

  ModelPositions& positions = config.positions;
  positions.head_width = config.heads.D;
  positions.rotary_width =
      reader.FindCount("rope.dimension_count", kLargestHead)
          .value_or(config.heads.D);
  positions.base = reader.Float("rope.freq_base", 10000);
  positions.train_length =
      metadata.FindInt("ropewalk.train_length")
          .value_or(reader.Count("context_length", kLargestContext));
  if (positions.train_length < 1 || positions.train_length > kLargestContext) {
    reader.Fail("key 'ropewalk.train_length' must be between 1 and " +
                std::to_string(kLargestContext) + ", got " +
                std::to_string(positions.train_length));
  }
  positions.declared_length = reader.Count("context_length", kLargestContext);
  positions.original_length =
      reader.FindCount("rope.scaling.original_context_length", kLargestContext)
          .value_or(0);
  positions.has_learned_logn = HasLearnedLogn(file, config.L);
  try {
    // Before the tables are sized by it.
    Require(positions.rotary_width % 2 == 0 &&
                positions.rotary_width <= positions.head_width,
            "rotary width must be even and at most the head width " +
                std::to_string(positions.head_width) + ", got " +
                std::to_string(positions.rotary_width));
    ReadScaling(file, reader, positions);
    ReadOwnLaw(file, config, positions);
    position::Validate(positions);
    // A law that is not defined is this file's mistake, not that of the caller
    // who meets it later.
    (void)position::Resolve(position::ParseScheme("rope"), positions,
                            positions.train_length);
  } catch (const std::invalid_argument& error) {
    reader.Fail(error.what());
  }
  return config;
}

}  // namespace ropewalk::model
