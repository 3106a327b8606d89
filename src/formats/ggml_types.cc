#include "formats/ggml_types.h"

#include "base/error.h"

namespace ropewalk::formats {
namespace {

// Ids 4, 5, 31 to 33 and 36 to 38 belonged to formats that ggml has dropped.
constexpr GgmlType kTypes[] = {
    {0, "f32", 1, 4, DType::kF32},
    {1, "f16", 1, 2, DType::kF16},
    {2, "q4_0", 32, 18, DType::kQ4_0},
    {3, "q4_1", 32, 20, DType::kQ4_1},
    {6, "q5_0", 32, 22, DType::kQ5_0},
    {7, "q5_1", 32, 24, DType::kQ5_1},
    {8, "q8_0", 32, 34, DType::kQ8_0},
    {9, "q8_1", 32, 36, {}},
    {10, "q2_K", 256, 84, DType::kQ2K},
    {11, "q3_K", 256, 110, DType::kQ3K},
    {12, "q4_K", 256, 144, DType::kQ4K},
    {13, "q5_K", 256, 176, DType::kQ5K},
    {14, "q6_K", 256, 210, DType::kQ6K},
    {15, "q8_K", 256, 292, DType::kQ8K},
    {16, "iq2_xxs", 256, 66, {}},
    {17, "iq2_xs", 256, 74, {}},
    {18, "iq3_xxs", 256, 98, {}},
    {19, "iq1_s", 256, 50, {}},
    {20, "iq4_nl", 32, 18, DType::kIq4Nl},
    {21, "iq3_s", 256, 110, {}},
    {22, "iq2_s", 256, 82, {}},
    {23, "iq4_xs", 256, 136, DType::kIq4Xs},
    {24, "i8", 1, 1, {}},
    {25, "i16", 1, 2, {}},
    {26, "i32", 1, 4, {}},
    {27, "i64", 1, 8, {}},
    {28, "f64", 1, 8, {}},
    {29, "iq1_m", 256, 56, {}},
    {30, "bf16", 1, 2, DType::kBf16},
    {34, "tq1_0", 256, 54, DType::kTq1_0},
    {35, "tq2_0", 256, 66, DType::kTq2_0},
    {39, "mxfp4", 32, 17, DType::kMxfp4},
    {40, "nvfp4", 64, 36, {}},
};

}  // namespace

const GgmlType* FindGgmlType(uint32_t id) {
  for (const GgmlType& type : kTypes) {
    if (type.id == id) return &type;
  }
  return nullptr;
}

const GgmlType* FindGgmlType(std::string_view name) {
  for (const GgmlType& type : kTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

const GgmlType& GgmlTypeOf(DType type) {
  for (const GgmlType& entry : kTypes) {
    if (entry.type == type) return entry;
  }
  ROPEWALK_CHECK(false && "a DType is missing in kTypes");
}

std::span<const GgmlType> AllGgmlTypes() { return kTypes; }

std::string UnreadType(std::string_view type_name) {
  return "is of type " + std::string(type_name) +
         ", which Ropewalk cannot read; take the q4_K_M file of the same "
         "model, "
         "or rewrite it with llama.cpp's llama-quantize --allow-requantize";
}

// The numbers are llama.cpp's enum llama_ftype. It has no number for q8_K,
// which llama.cpp uses for intermediate results only, and none for files that
// are mxfp4 throughout (38 means mxfp4 in the experts only).
int64_t FileTypeOf(DType type) {
  switch (type) {
    case DType::kF32:
      return 0;
    case DType::kF16:
      return 1;
    case DType::kQ4_0:
      return 2;
    case DType::kQ4_1:
      return 3;
    case DType::kQ8_0:
    case DType::kQ8K:
      return 7;
    case DType::kQ5_0:
      return 8;
    case DType::kQ5_1:
      return 9;
    case DType::kQ2K:
      return 10;
    case DType::kQ3K:
      return 11;
    case DType::kQ4K:
      return 14;
    case DType::kQ5K:
      return 16;
    case DType::kQ6K:
      return 18;
    case DType::kIq4Nl:
      return 25;
    case DType::kIq4Xs:
      return 30;
    case DType::kBf16:
      return 32;
    case DType::kTq1_0:
      return 36;
    case DType::kTq2_0:
      return 37;
    case DType::kMxfp4:
      return 38;
  }
  return 0;
}

}  // namespace ropewalk::formats
