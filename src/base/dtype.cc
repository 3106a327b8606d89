#include "base/dtype.h"

#include "base/error.h"

namespace ropewalk {

const std::vector<DTypeInfo>& AllDTypes() {
  // q8_0: f16 scale, 32 int8. q4_0: f16 scale, 16 bytes of two nibbles.
  static const std::vector<DTypeInfo> kAll = {
      {DType::kF32, "f32", 1, 4},     {DType::kF16, "f16", 1, 2},
      {DType::kBf16, "bf16", 1, 2},   {DType::kQ8_0, "q8_0", 32, 34},
      {DType::kQ4_0, "q4_0", 32, 18},
  };
  return kAll;
}

const DTypeInfo& InfoOf(DType type) {
  return AllDTypes()[static_cast<size_t>(type)];
}

std::string DTypeNames() {
  std::string names;
  for (const DTypeInfo& info : AllDTypes()) {
    if (!names.empty()) names += '|';
    names += info.name;
  }
  return names;
}

std::optional<DType> ParseDType(std::string_view name) {
  for (const DTypeInfo& info : AllDTypes()) {
    if (info.name == name) return info.type;
  }
  return std::nullopt;
}

int64_t RowBytes(DType type, int64_t elements) {
  const DTypeInfo& info = InfoOf(type);
  ROPEWALK_CHECK(elements >= 0 && elements % info.block_elements == 0);
  return elements / info.block_elements * info.block_bytes;
}

}  // namespace ropewalk
