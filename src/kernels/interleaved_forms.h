// What each block type stores when its rows are interleaved (interleaved.h).

#ifndef ROPEWALK_KERNELS_INTERLEAVED_FORMS_H_
#define ROPEWALK_KERNELS_INTERLEAVED_FORMS_H_

#include <cstdint>

#include "base/dtype.h"
#include "kernels/block_tables.h"
#include "kernels/interleaved.h"

namespace ropewalk::kernels {

// How the scales of a group lie in memory. [16] stands for the rows.
enum class ScaleForm {
  kHalf,      // each unit: f16 scale[16], then f16 offset[16] if it has any
  kExponent,  // each unit: 8-bit exponent[16], value 2^(e - 128)
  // Each 8 units: f16 step[16], then f16 least[16] if there are offsets; for
  // each unit and subgroup a byte for each row, then, with offsets, another.
  // scale = step * byte, offset = -(least * second byte).
  kSigned,    // bytes are int8
  kUnsigned,  // bytes are uint8
  kNibbles,   // one byte: the low nibble for the scale, the high one for offset
};

template <int kBitsOf, int kZeroOf, ScaleForm kScaleOf, bool kOffsetOf = false,
          int kSubgroupsOf = 1>
struct Form {
  static constexpr int kBits = kBitsOf;  // 2 to 6, or 8
  // Subtracted from the code. With a table it is that of the table's bytes.
  static constexpr int kZero = kZeroOf;
  static constexpr ScaleForm kScale = kScaleOf;
  static constexpr bool kOffset = kOffsetOf;
  static constexpr int kSubgroups = kSubgroupsOf;  // of a unit: 1 or 2
  // The codes' values with kZero added to them, or null if they are the codes.
  static constexpr const int8_t* kTable = nullptr;

  static constexpr int kLargest = (1 << kBits) - 1;  // of the codes
};

template <const int8_t* kSteps, ScaleForm kScaleOf>
struct TableForm : Form<4, 0, kScaleOf> {
  static constexpr const int8_t* kTable = kSteps;
};

// Codes of q8_0 are stored with 128 added.
using Q8_0Form = Form<8, 128, ScaleForm::kHalf>;
using Q4_0Form = Form<4, 8, ScaleForm::kHalf>;
using Q4_1Form = Form<4, 0, ScaleForm::kHalf, true>;
using Q5_0Form = Form<5, 16, ScaleForm::kHalf>;
using Q5_1Form = Form<5, 0, ScaleForm::kHalf, true>;
using Q2KForm = Form<2, 0, ScaleForm::kNibbles, true, 2>;
using Q3KForm = Form<3, 4, ScaleForm::kSigned, false, 2>;
using Q4KForm = Form<4, 0, ScaleForm::kUnsigned, true>;
using Q5KForm = Form<5, 0, ScaleForm::kUnsigned, true>;
using Q6KForm = Form<6, 32, ScaleForm::kSigned, false, 2>;
using TernaryForm = Form<2, 1, ScaleForm::kSigned>;  // the bytes are 1
using Iq4NlForm = TableForm<kIq4Steps, ScaleForm::kHalf>;
using Iq4XsForm = TableForm<kIq4Steps, ScaleForm::kSigned>;
using Mxfp4Form = TableForm<kMxfp4Steps, ScaleForm::kExponent>;

// Calls use(Form()) with the form of `type`; returns false if it has none.
template <class Use>
constexpr bool WithForm(DType type, const Use& use) {
  switch (type) {
    case DType::kF32:
    case DType::kF16:
    case DType::kBf16:
    case DType::kQ8K:
      return false;
    case DType::kQ8_0:
      return use(Q8_0Form()), true;
    case DType::kQ4_0:
      return use(Q4_0Form()), true;
    case DType::kQ4_1:
      return use(Q4_1Form()), true;
    case DType::kQ5_0:
      return use(Q5_0Form()), true;
    case DType::kQ5_1:
      return use(Q5_1Form()), true;
    case DType::kQ2K:
      return use(Q2KForm()), true;
    case DType::kQ3K:
      return use(Q3KForm()), true;
    case DType::kQ4K:
      return use(Q4KForm()), true;
    case DType::kQ5K:
      return use(Q5KForm()), true;
    case DType::kQ6K:
      return use(Q6KForm()), true;
    case DType::kIq4Nl:
      return use(Iq4NlForm()), true;
    case DType::kIq4Xs:
      return use(Iq4XsForm()), true;
    case DType::kMxfp4:
      return use(Mxfp4Form()), true;
    case DType::kTq1_0:
    case DType::kTq2_0:
      return use(TernaryForm()), true;
  }
  return false;
}

// The bytes of a unit's codes for 16 rows.
template <class F>
constexpr int64_t UnitBytes() {
  return kGroupRows * kUnitColumns * F::kBits / 8;
}

// Whether scales are kept for 8 units at a time.
template <class F>
constexpr bool InSupers() {
  return F::kScale != ScaleForm::kHalf && F::kScale != ScaleForm::kExponent;
}

// The bytes of the scales of a unit (of 8 units if InSupers) for 16 rows.
template <class F>
constexpr int64_t ScaleStride() {
  constexpr int64_t kNumbers = F::kOffset ? 2 : 1;
  if constexpr (F::kScale == ScaleForm::kHalf) {
    return kGroupRows * 2 * kNumbers;
  } else if constexpr (F::kScale == ScaleForm::kExponent) {
    return kGroupRows;
  } else {
    constexpr int64_t kBytes = F::kScale == ScaleForm::kNibbles ? 1 : kNumbers;
    return kGroupRows * (2 * kNumbers + kUnitsOfSuper * F::kSubgroups * kBytes);
  }
}

// The byte at which the codes of a group begin.
template <class F>
constexpr int64_t CodesAt(int64_t units) {
  const int64_t scales = InSupers<F>() ? units / kUnitsOfSuper : units;
  return (scales * ScaleStride<F>() + 63) / 64 * 64;
}

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_INTERLEAVED_FORMS_H_
