#include "model/position_keys.h"

#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "kernels/blocks.h"
#include "position/frequencies.h"
#include "position/scheme.h"

namespace ropewalk::model {
namespace {

using position::ModelPositions;

// Reads a small vector tensor as doubles; empty if it is absent.
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

void ReadScaling(KeyReader& keys, ModelPositions& positions) {
  const int64_t pairs = positions.rotary_width / 2;
  const formats::GgufFile& file = keys.file();
  positions.frequency_divisors = ReadVector(file, "rope_freqs.weight", pairs);
  const auto type = keys.FindString("rope.scaling.type");
  const auto attention_factor = keys.FindFloat("rope.scaling.attn_factor");
  positions.attention_factor = attention_factor.value_or(1);
  positions.has_attention_factor = attention_factor.has_value();
  // Old files have a key of its own for linear scaling. Some files write 0 for
  // "no scaling".
  positions.scaling_factor =
      keys.Factor("rope.scaling.factor", keys.Factor("rope.scale_linear", 1));
  positions.yarn_fast = keys.Float("rope.scaling.yarn_beta_fast", 32);
  positions.yarn_slow = keys.Float("rope.scaling.yarn_beta_slow", 1);
  positions.yarn_truncates =
      file.metadata().FindBool("ropewalk.yarn_truncate").value_or(true);
  positions.short_factors =
      ReadVector(file, "rope_factors_short.weight", pairs);
  positions.long_factors = ReadVector(file, "rope_factors_long.weight", pairs);
  using Scaling = ModelPositions::Scaling;
  if (type == "longrope" || !positions.long_factors.empty()) {
    positions.scaling = Scaling::kLongRope;
  } else if (type == "yarn") {
    positions.scaling = Scaling::kYarn;
  } else if (type == "linear" || (!type && positions.scaling_factor != 1)) {
    positions.scaling = Scaling::kLinear;
  } else if (type.value_or("none") != "none") {
    keys.Fail("rope scaling type '" + Printable(*type, 40) +
              "' is not known; known: none, linear, yarn, longrope");
  }
}

// The factor of yarn decides what it multiplies attention by. Some files also
// state that number; a different one would be a different scheme.
void ReadYarnMagnitude(KeyReader& keys, ModelPositions& positions) {
  const double rule = positions.scaling == ModelPositions::Scaling::kYarn
                          ? position::YarnMagnitude(positions.scaling_factor)
                          : 1;
  const auto is_rule = [&](double value) {
    return std::abs(value - rule) < 1e-4;
  };
  constexpr const char* kAgain = "rope.scaling.yarn_attn_factor";
  const double again = keys.Float(kAgain, 1);
  if (again != 1 && !is_rule(again)) {
    keys.Fail("key '" + keys.Key(kAgain) +
              "' must be 1 or the magnitude that the "
              "factor of yarn gives, " +
              FormatNumber(rule) + ", got " + FormatNumber(again));
  }
  if (positions.scaling == ModelPositions::Scaling::kYarn &&
      positions.has_attention_factor && is_rule(positions.attention_factor)) {
    positions.attention_factor = 1;
  }
}

// Reads the spellings of schemes: one for the model, or an array with one for
// each layer; empty if `key` is missing.
std::vector<std::string> ReadSchemes(const formats::GgufFile& file,
                                     const std::string& key, int64_t layers) {
  const formats::Metadata& metadata = file.metadata();
  if (!metadata.Has(key)) return {};
  std::vector<std::string> spellings;
  if (metadata.IsArray(key)) {
    spellings = *metadata.FindStrings(key);
    const auto count = static_cast<int64_t>(spellings.size());
    if (count != layers) {
      throw FormatError(file.path(), 0,
                        "key '" + key + "' has " + std::to_string(count) +
                            " entries for " + std::to_string(layers) +
                            " layers");
    }
  } else {
    spellings = {*metadata.FindString(key)};
  }
  // The spelling `rope` means the file's own positions anyway.
  if (spellings.size() == 1 && spellings.front() == "rope") return {};
  for (const std::string& spelling : spellings) {
    // A model file must not choose which other files are opened.
    Require(!spelling.starts_with('@') && spelling != "auto",
            "key '" + key + "' must spell schemes out, got '" +
                Printable(spelling, 40) + "'");
  }
  return spellings;
}

bool HasLearnedLogn(const formats::GgufFile& file, int64_t layers) {
  for (int64_t l = 0; l < layers; ++l) {
    if (file.Find("blk." + std::to_string(l) + ".attn_logn.weight") !=
        nullptr) {
      return true;
    }
  }
  return false;
}

}  // namespace

void ReadPositionKeys(KeyReader& keys, Config& config) {
  ModelPositions& positions = config.positions;
  const formats::GgufFile& file = keys.file();
  positions.head_width = config.heads.D;
  positions.rotary_width = keys.FindCount("rope.dimension_count", kLargestHead)
                               .value_or(config.heads.D);
  // This is checked before tables of that size are made.
  Require(positions.rotary_width % 2 == 0 &&
              positions.rotary_width <= positions.head_width,
          "rotary width must be even and at most the head width " +
              std::to_string(positions.head_width) + ", got " +
              std::to_string(positions.rotary_width));
  if (keys.FindCount("rope.dimension_count_swa", kLargestHead)
          .value_or(positions.rotary_width) != positions.rotary_width) {
    keys.Fail("key '" + keys.Key("rope.dimension_count_swa") +
              "' must be that of the other layers, " +
              std::to_string(positions.rotary_width));
  }
  positions.base = keys.Float("rope.freq_base", 10000);
  positions.declared_length = keys.Count("context_length", kLargestContext);
  positions.train_length = file.metadata()
                               .FindInt("ropewalk.train_length")
                               .value_or(positions.declared_length);
  if (positions.train_length < 1 || positions.train_length > kLargestContext) {
    keys.Fail("key 'ropewalk.train_length' must be between 1 and " +
              std::to_string(kLargestContext) + ", got " +
              std::to_string(positions.train_length));
  }
  positions.original_length =
      keys.FindCount("rope.scaling.original_context_length", kLargestContext)
          .value_or(0);
  positions.has_learned_logn = HasLearnedLogn(file, config.L);
  ReadScaling(keys, positions);
  ReadYarnMagnitude(keys, positions);
  positions.own_spelling = ReadSchemes(file, "ropewalk.position", config.L);
  positions.trained_spelling =
      ReadSchemes(file, "ropewalk.position_trained", config.L);
}

void CheckSchemes(const ModelPositions& positions) {
  // A scheme that is not defined is a mistake of this file, so it is reported
  // here and not to the caller who would meet it later.
  const int64_t N = positions.train_length;
  const auto own =
      position::Resolve(position::ParseScheme("rope"), positions, N);
  (void)position::KnownToFail(own, positions, N + 1);
}

}  // namespace ropewalk::model
