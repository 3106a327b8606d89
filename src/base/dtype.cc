#include "base/dtype.h"

#include "base/error.h"
#include "base/text.h"

namespace ropewalk {

const std::vector<DTypeInfo>& AllDTypes() {
  static const std::vector<DTypeInfo> kAll = {
      {DType::kF32, "f32", 1, 4},
      {DType::kF16, "f16", 1, 2},
      {DType::kBf16, "bf16", 1, 2},
      {DType::kQ8_0, "q8_0", 32, 34},
      {DType::kQ4_0, "q4_0", 32, 18},
      {DType::kQ4_1, "q4_1", 32, 20},
      {DType::kQ5_0, "q5_0", 32, 22},
      {DType::kQ5_1, "q5_1", 32, 24},
      {DType::kQ2K, "q2_K", 256, 84, false},
      {DType::kQ3K, "q3_K", 256, 110, false},
      {DType::kQ4K, "q4_K", 256, 144},
      {DType::kQ5K, "q5_K", 256, 176},
      {DType::kQ6K, "q6_K", 256, 210},
      {DType::kQ8K, "q8_K", 256, 292},
      {DType::kIq4Nl, "iq4_nl", 32, 18, false},
      {DType::kIq4Xs, "iq4_xs", 256, 136, false},
      {DType::kMxfp4, "mxfp4", 32, 17, false},
      {DType::kTq1_0, "tq1_0", 256, 54, false},
      {DType::kTq2_0, "tq2_0", 256, 66, false},
  };
  return kAll;
}

const DTypeInfo& InfoOf(DType type) {
  return AllDTypes()[static_cast<size_t>(type)];
}

std::optional<DType> ParseDType(std::string_view name) {
  for (const DTypeInfo& info : AllDTypes()) {
    if (EqualIgnoringCase(info.name, name)) return info.type;
  }
  return std::nullopt;
}

int64_t RowBytes(DType type, int64_t elements) {
  const DTypeInfo& info = InfoOf(type);
  ROPEWALK_CHECK(elements >= 0 && elements % info.block_elements == 0);
  return elements / info.block_elements * info.block_bytes;
}

}  // namespace ropewalk
