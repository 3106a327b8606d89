#include "model/key_reader.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::model {
namespace {

using formats::Metadata;
using formats::MetadataValue;

// Keys that do not change the computation, or only with other values.
struct Harmless {
  std::string_view name;
  std::vector<double> values;  // harmless ones; empty: every value is
};

const std::vector<Harmless>& HarmlessKeys() {
  static const std::vector<Harmless> kKeys = {
      {"vocab_size", {}},
      {"tensor_data_layout", {}},
      {"rope.scaling.finetuned", {}},
      {"pooling_type", {}},
      // One of the two is for the kind of norm that the model does not have.
      {"attention.layer_norm_epsilon", {}},
      {"attention.layer_norm_rms_epsilon", {}},
      {"interleave_moe_layer_step", {0, 1}},
      {"attention.causal", {1}},
      {"logit_scale", {0, 1}},
      {"embedding_scale", {0, 1}},
      {"residual_scale", {0, 1}},
      {"attention.output_scale", {0, 1}},
      {"expert_weights_scale", {0, 1}},
      {"rope.scaling.yarn_ext_factor", {-1, 1}},
      {"attention.group_norm_groups", {0, 1}},
      // These describe experts; they are left over if expert_count is 0.
      {"expert_used_count", {}},
      {"expert_feed_forward_length", {}},
      {"expert_shared_feed_forward_length", {}},
  };
  return kKeys;
}

bool IsNumber(formats::GgufType type) {
  return type != formats::GgufType::kString &&
         type != formats::GgufType::kArray && type != formats::GgufType::kBool;
}

// The numbers of a key, with a bool as 0 or 1; nullopt for text.
std::optional<std::vector<double>> Numbers(const Metadata& metadata,
                                           const Metadata::Entry& entry) {
  const MetadataValue& value = entry.value;
  if (value.type == formats::GgufType::kArray) {
    if (value.element_type == formats::GgufType::kString) return std::nullopt;
    if (value.element_type == formats::GgufType::kBool) {
      const auto flags = *metadata.FindBools(entry.key);
      return std::vector<double>(flags.begin(), flags.end());
    }
    return *metadata.FindFloats(entry.key);
  }
  if (value.type == formats::GgufType::kBool) {
    return std::vector<double>{*metadata.FindBool(entry.key) ? 1.0 : 0.0};
  }
  if (IsNumber(value.type)) {
    return std::vector<double>{*metadata.FindFloat(entry.key)};
  }
  return std::nullopt;
}

bool ChangesNothing(const Metadata& metadata, const Metadata::Entry& entry,
                    std::string_view name) {
  const auto numbers = Numbers(metadata, entry);
  for (const Harmless& key : HarmlessKeys()) {
    if (key.name != name) continue;
    if (key.values.empty()) return true;
    return numbers &&
           std::all_of(numbers->begin(), numbers->end(), [&](double number) {
             return std::count(key.values.begin(), key.values.end(), number) >
                    0;
           });
  }
  if (!numbers) {
    return entry.value.type == formats::GgufType::kArray
               ? entry.value.count == 0
               : entry.value.bytes.empty();
  }
  return std::all_of(numbers->begin(), numbers->end(),
                     [](double number) { return number == 0; });
}

}  // namespace

void KeyReader::Fail(const std::string& what) const {
  throw FormatError(file_.path(), 0, what);
}

std::optional<int64_t> KeyReader::FindInt(const std::string& key) const {
  const Metadata& metadata = file_.metadata();
  if (!metadata.IsArray(key)) return metadata.FindInt(key);
  const auto values = *metadata.FindInts(key);
  if (values.empty()) return std::nullopt;
  for (const int64_t value : values) {
    if (value == values.front()) continue;
    throw metadata.Error(
        key,
        "must be equal for all layers (layers that differ are not "
        "supported), got " +
            std::to_string(values.front()) + " and " + std::to_string(value));
  }
  return values.front();
}

std::optional<int64_t> KeyReader::FindCount(const std::string& name,
                                            int64_t largest) {
  const std::string key = Key(name);
  taken_.insert(key);
  const auto value = FindInt(key);
  if (value && (*value < 1 || *value > largest)) {
    throw file_.metadata().Error(key, "must be between 1 and " +
                                          std::to_string(largest) + ", got " +
                                          std::to_string(*value));
  }
  return value;
}

int64_t KeyReader::Count(const std::string& name, int64_t largest) {
  const auto value = FindCount(name, largest);
  if (!value) Fail("key '" + Key(name) + "' is missing");
  return *value;
}

int64_t KeyReader::CountOrZero(const std::string& name, int64_t largest) {
  const std::string key = Key(name);
  taken_.insert(key);
  const int64_t value = FindInt(key).value_or(0);
  if (value < 0 || value > largest) {
    throw file_.metadata().Error(key, "must be between 0 and " +
                                          std::to_string(largest) + ", got " +
                                          std::to_string(value));
  }
  return value;
}

std::optional<double> KeyReader::FindFloat(const std::string& name) {
  taken_.insert(Key(name));
  return file_.metadata().FindFloat(Key(name));
}

double KeyReader::Float(const std::string& name, double otherwise) {
  return FindFloat(name).value_or(otherwise);
}

double KeyReader::Factor(const std::string& name, double otherwise) {
  const double value = Float(name, 0);
  if (value == 0) return otherwise;
  // Kernels use it as a float32.
  if (!(value >= 1e-30 && value <= 1e30)) {
    throw file_.metadata().Error(Key(name),
                                 "must be above 0, got " + FormatNumber(value));
  }
  return value;
}

bool KeyReader::Bool(const std::string& name, bool otherwise) {
  taken_.insert(Key(name));
  return file_.metadata().FindBool(Key(name)).value_or(otherwise);
}

std::optional<std::string> KeyReader::FindString(const std::string& name) {
  taken_.insert(Key(name));
  return file_.metadata().FindString(Key(name));
}

std::optional<std::vector<bool>> KeyReader::FindFlags(const std::string& name,
                                                      int64_t layers) {
  const std::string key = Key(name);
  const Metadata& metadata = file_.metadata();
  const MetadataValue* value = metadata.Find(key);
  if (value == nullptr || value->type != formats::GgufType::kArray) {
    return std::nullopt;
  }
  taken_.insert(key);
  std::vector<bool> flags;
  if (value->element_type == formats::GgufType::kBool) {
    flags = *metadata.FindBools(key);
  } else {
    const auto numbers = metadata.FindInts(key);
    for (const int64_t number : *numbers) flags.push_back(number != 0);
  }
  if (static_cast<int64_t>(flags.size()) != layers) {
    throw metadata.Error(key, "must have one entry for each of " +
                                  std::to_string(layers) + " layers, got " +
                                  std::to_string(flags.size()));
  }
  return flags;
}

void KeyReader::RequireAllTaken() const {
  const std::string prefix = prefix_ + ".";
  for (const Metadata::Entry& entry : file_.metadata().entries()) {
    if (!entry.key.starts_with(prefix) || taken_.count(entry.key) > 0) continue;
    const std::string_view name =
        std::string_view(entry.key).substr(prefix.size());
    if (ChangesNothing(file_.metadata(), entry, name)) continue;
    throw file_.metadata().Error(
        entry.key, "= " + entry.value.ShortValue() +
                       " may change what the model computes, and this build "
                       "does not read it for the architecture '" +
                       prefix_ + "'");
  }
}

}  // namespace ropewalk::model
