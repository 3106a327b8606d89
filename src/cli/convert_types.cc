#include "cli/convert_types.h"

#include <algorithm>

#include "base/text.h"

namespace ropewalk::cli {
namespace {

using formats::GgufFile;
using formats::GgufTensor;

// Numbers are llama.cpp's enum llama_ftype. q8_K is missing on purpose: it has
// no number there, and no engine multiplies it as a weight.
constexpr ConvertTarget kTargets[] = {
    {"f32", DType::kF32, false, 0},    {"f16", DType::kF16, false, 1},
    {"bf16", DType::kBf16, false, 32}, {"q8_0", DType::kQ8_0, false, 7},
    {"q4_0", DType::kQ4_0, false, 2},  {"q4_1", DType::kQ4_1, false, 3},
    {"q5_0", DType::kQ5_0, false, 8},  {"q5_1", DType::kQ5_1, false, 9},
    {"q4_K_S", DType::kQ4K, true, 14}, {"q4_K_M", DType::kQ4K, true, 15},
    {"q5_K_S", DType::kQ5K, true, 16}, {"q5_K_M", DType::kQ5K, true, 17},
    {"q6_K", DType::kQ6K, true, 18},
};

bool Contains(std::string_view name, std::string_view part) {
  return name.find(part) != std::string_view::npos;
}

bool IsValueProjection(std::string_view name) {
  return Contains(name, "attn_v.weight") || Contains(name, "attn_qkv.weight");
}

// Of the layers, the first and the last eighth and every third between.
bool GetsMoreBits(int64_t layer, int64_t layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 ||
         (layer - layers / 8) % 3 == 2;
}

// What llama.cpp's quantisation decides from the whole file.
struct Model {
  bool own_output = false;  // output.weight is there
  int64_t layers = 0;
  int64_t value_layers = 0;  // that have attn_v or attn_qkv
  int64_t experts = 0;
};

Model Examine(const GgufFile& file) {
  Model model;
  model.own_output = file.Find("output.weight") != nullptr;
  const std::string architecture =
      file.metadata().FindString("general.architecture").value_or("");
  model.layers =
      file.metadata().FindInt(architecture + ".block_count").value_or(0);
  model.experts =
      file.metadata().FindInt(architecture + ".expert_count").value_or(0);
  for (const GgufTensor& tensor : file.tensors()) {
    if (IsValueProjection(tensor.name)) ++model.value_layers;
  }
  return model;
}

// N of "blk.N.", or 0.
int64_t LayerOf(std::string_view name) {
  if (!name.starts_with("blk.")) return 0;
  name.remove_prefix(4);
  return ParseInt(name.substr(0, name.find('.'))).value_or(0);
}

// `values` counts the value projections before this one: some layers of mixed
// models have none. After llama.cpp's llama_tensor_get_type.
DType MixedType(const ConvertTarget& target, const Model& model,
                std::string_view name, int64_t values) {
  const bool medium = target.name.ends_with("_M");
  const bool q4 = target.type == DType::kQ4K;
  const bool few_experts = model.experts == 8;
  if (name == "output.weight" ||
      (name == "token_embd.weight" && !model.own_output)) {
    return DType::kQ6K;
  }
  if (Contains(name, "attn_v.weight")) {
    if (few_experts) return DType::kQ8_0;
    if (medium && GetsMoreBits(values, model.value_layers)) return DType::kQ6K;
    if (q4 && !medium && values < 4) return DType::kQ5K;
  } else if (Contains(name, "attn_k.weight") && few_experts) {
    return DType::kQ8_0;
  } else if (Contains(name, "attn_output.weight") && few_experts && q4) {
    return DType::kQ5K;
  } else if (Contains(name, "attn_qkv.weight") && medium) {
    return q4 ? DType::kQ5K : DType::kQ6K;
  } else if (Contains(name, "ffn_down")) {
    const int64_t layer = LayerOf(name);
    if (medium && GetsMoreBits(layer, model.layers)) return DType::kQ6K;
    if (q4 && !medium && layer < model.layers / 8) return DType::kQ5K;
  }
  return target.type;
}

// Norms, biases, routers and the like count little and matter much.
bool IsMatrix(const GgufTensor& tensor) {
  const std::string_view name = tensor.name;
  return tensor.shape.size() >= 2 && name.ends_with(".weight") &&
         !name.ends_with("_norm.weight") &&
         !name.ends_with("ffn_gate_inp.weight") &&
         name != "position_embd.weight" && name != "token_types.weight";
}

// The next type for rows that are not whole blocks of 256.
DType SmallerBlocks(DType type) {
  switch (type) {
    case DType::kQ4K:
      return DType::kQ5_0;
    case DType::kQ5K:
      return DType::kQ5_1;
    default:
      return DType::kQ8_0;  // q6_K
  }
}

std::vector<DType> Candidates(DType type, int64_t columns) {
  const bool blocks = InfoOf(type).block_elements > 1;
  if (columns % InfoOf(type).block_elements != 0 &&
      InfoOf(type).block_elements > 32) {
    type = SmallerBlocks(type);
  }
  if (columns % InfoOf(type).block_elements != 0) type = DType::kF16;
  std::vector<DType> types = {type};
  // bf16 has the range of f32, but three bits less than f16: it does for what
  // was to become blocks, not for what was to become f16.
  if (blocks) types.push_back(DType::kBf16);
  if (type != DType::kF32) types.push_back(DType::kF32);
  return types;
}

}  // namespace

std::optional<ConvertTarget> ParseConvertTarget(std::string_view name) {
  if (EqualIgnoringCase(name, "q4_K")) name = "q4_K_M";
  if (EqualIgnoringCase(name, "q5_K")) name = "q5_K_M";
  for (const ConvertTarget& target : kTargets) {
    if (EqualIgnoringCase(target.name, name)) return target;
  }
  return std::nullopt;
}

std::string ConvertTargetNames() {
  std::string names;
  for (const ConvertTarget& target : kTargets) {
    if (!names.empty()) names += '|';
    names += target.name;
  }
  return names;
}

std::vector<std::vector<DType>> ConvertTypes(const GgufFile& file,
                                             const ConvertTarget& target) {
  const Model model = Examine(file);
  int64_t values = 0;
  std::vector<std::vector<DType>> types;
  for (const GgufTensor& tensor : file.tensors()) {
    if (!IsMatrix(tensor)) {
      types.push_back({DType::kF32});
      continue;
    }
    const DType type = target.mix
                           ? MixedType(target, model, tensor.name, values)
                           : target.type;
    if (IsValueProjection(tensor.name)) ++values;
    types.push_back(Candidates(type, tensor.Columns()));
  }
  return types;
}

}  // namespace ropewalk::cli
