// Stored keys and values read back to within a step of their type, and writing
// one does not change its neighbours.

#include "kernels/stored.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "base/half.h"
#include "kernels/blocks.h"
#include "kernels/kernels_for_test.h"
#include "kernels/nibbles.h"

namespace ropewalk::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr uint8_t kByte = 0xa5;
constexpr int64_t kSlack = 64;  // canaries before and behind

// Memory of a panel or of values, with canaries before and behind.
class Guarded {
 public:
  explicit Guarded(int64_t bytes)
      : bytes_(bytes),
        memory_(static_cast<size_t>(bytes + 2 * kSlack), kByte) {}
  uint8_t* data() { return memory_.data() + kSlack; }
  void ExpectCanaries() const {
    for (int64_t i = 0; i < kSlack; ++i) {
      ASSERT_EQ(memory_[static_cast<size_t>(i)], kByte);
      ASSERT_EQ(memory_[static_cast<size_t>(kSlack + bytes_ + i)], kByte);
    }
  }

 private:
  int64_t bytes_;
  std::vector<uint8_t> memory_;
};

// One interface to keys and values: row `row` of `rows`.
struct Place {
  bool key = false;
  DType type = DType::kF32;
  int64_t width = 0;
  int64_t rows = 0;

  int64_t Bytes() const {
    return key ? KeyPanelBytes(type, width) : ValueBytes(type, rows, width);
  }
  void Pack(const std::vector<float>& x, void* at, int64_t row) const {
    if (key) {
      PackKey(type, x.data(), width, at, row);
    } else {
      PackValue(type, x.data(), width, at, rows, row);
    }
  }
  std::vector<float> Unpack(const void* at, int64_t row) const {
    std::vector<float> x(static_cast<size_t>(width) + 1, kCanary);
    if (key) {
      UnpackKey(type, at, width, row, x.data());
    } else {
      UnpackValue(type, at, rows, width, row, x.data());
    }
    EXPECT_EQ(x.back(), kCanary);
    x.pop_back();
    return x;
  }
};

template <typename Body>
void ForPlaces(const Body& body) {
  for (const DType type : kStorable) {
    for (const int64_t width : kOddWidths) {
      for (const bool key : {true, false}) {
        SCOPED_TRACE(testing::Message() << InfoOf(type).name << " width "
                                        << width << (key ? " key" : " value"));
        body(Place{key, type, width, key ? kKeyPanel : 36});
      }
    }
  }
}

// Half a step of the type at x, in a block whose largest |x| is `largest`; a
// whole one where q4_0 has no +8.
double HalfStep(DType type, float x, float largest) {
  switch (type) {
    case DType::kF32:
      return 0;
    case DType::kF16:
      return std::max(std::abs(x) * 0x1p-11, 0x1p-25);
    case DType::kBf16:
      return std::abs(x) * 0x1p-8;
    case DType::kQ4_0:
      // As below, with steps of largest / 8. From half a step below the largest
      // on, a number whose sign is not that of the largest becomes 7.
      return largest / (std::abs(x) > 7.49f / 8 * largest ? 8.0 : 16.0) *
                 (1 + 0x1p-10) +
             9 * 0x1p-25;
    default:
      // A step is largest / 127 as f16. A subnormal step has an error of at
      // most 2^-25, which is multiplied by 127 where quants are clamped.
      return largest / 254.0 * (1 + 0x1p-10) + 128 * 0x1p-25;
  }
}

float LargestOfBlock(const std::vector<float>& x, size_t i) {
  float largest = 0;
  const size_t first = i / kQuantBlock * kQuantBlock;
  for (size_t k = first; k < std::min(x.size(), first + kQuantBlock); ++k) {
    largest = std::max(largest, std::abs(x[k]));
  }
  return largest;
}

void ExpectNear(DType type, const std::vector<float>& x,
                const std::vector<float>& got) {
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_NEAR(got[i], x[i], HalfStep(type, x[i], LargestOfBlock(x, i))) << i;
  }
}

TEST(StoredTest, EveryRowReadsBackWithinHalfAStep) {
  Rng rng(1);
  ForPlaces([&](const Place& place) {
    Guarded memory(place.Bytes());
    std::vector<std::vector<float>> rows;
    for (int64_t r = 0; r < place.rows; ++r) {
      rows.push_back(Normals(rng, place.width));
      // Neighbouring blocks of very different scales, down to subnormal steps.
      for (size_t i = 0; i < rows.back().size(); ++i) {
        rows.back()[i] *=
            std::exp2(static_cast<float>(8 - r * 2 - int64_t(i) / 32 * 3));
      }
      place.Pack(rows.back(), memory.data(), r);
    }
    memory.ExpectCanaries();
    for (int64_t r = 0; r < place.rows; ++r) {
      ExpectNear(place.type, rows[static_cast<size_t>(r)],
                 place.Unpack(memory.data(), r));
    }
  });
}

TEST(StoredTest, WritingARowLeavesTheOthersAlone) {
  Rng rng(2);
  ForPlaces([&](const Place& place) {
    Guarded memory(place.Bytes());
    for (int64_t r = 0; r < place.rows; ++r) {
      place.Pack(Normals(rng, place.width), memory.data(), r);
    }
    for (const int64_t row : {int64_t{0}, int64_t{7}, place.rows - 1}) {
      std::vector<std::vector<float>> before;
      for (int64_t r = 0; r < place.rows; ++r) {
        before.push_back(place.Unpack(memory.data(), r));
      }
      place.Pack(std::vector<float>(static_cast<size_t>(place.width), 100.0f),
                 memory.data(), row);
      for (int64_t r = 0; r < place.rows; ++r) {
        const auto after = place.Unpack(memory.data(), r);
        if (r == row) {
          ASSERT_NEAR(after.front(), 100, HalfStep(place.type, 100, 100));
        } else {
          ASSERT_EQ(after, before[static_cast<size_t>(r)]) << r;
        }
      }
    }
    memory.ExpectCanaries();
  });
}

TEST(StoredTest, StoringAReadRowAgainGivesTheSameBits) {
  Rng rng(3);
  ForPlaces([&](const Place& place) {
    Guarded memory(place.Bytes());
    for (const float size : {1e-6f, 1e-3f, 1.0f, 1e3f}) {
      // A subnormal step of 4 bits may lose the largest number's -8.
      if (place.type == DType::kQ4_0 && size < 1e-3f) continue;
      auto x = Normals(rng, place.width);
      for (float& v : x) v *= size;
      place.Pack(x, memory.data(), 3);
      const auto once = place.Unpack(memory.data(), 3);
      place.Pack(once, memory.data(), 4);
      ASSERT_EQ(place.Unpack(memory.data(), 4), once);
    }
  });
}

TEST(StoredTest, ZerosReadBackAsZeros) {
  ForPlaces([&](const Place& place) {
    Guarded memory(place.Bytes());
    place.Pack(std::vector<float>(static_cast<size_t>(place.width)),
               memory.data(), 5);
    for (const float x : place.Unpack(memory.data(), 5)) ASSERT_EQ(x, 0);
  });
}

TEST(StoredTest, NanSpoilsOnlyItsBlock) {
  Rng rng(4);
  ForPlaces([&](const Place& place) {
    Guarded memory(place.Bytes());
    for (const float bad : {std::nanf(""), kInfinity, -kInfinity}) {
      for (const int64_t at : {int64_t{0}, place.width / 2, place.width - 1}) {
        auto x = Normals(rng, place.width);
        x[static_cast<size_t>(at)] = bad;
        place.Pack(x, memory.data(), 2);
        const auto got = place.Unpack(memory.data(), 2);
        for (int64_t i = 0; i < place.width; ++i) {
          const auto k = static_cast<size_t>(i);
          if (StoresQuants(place.type) && i / kQuantBlock == at / kQuantBlock) {
            ASSERT_TRUE(std::isnan(got[k])) << i;
          } else if (i == at && std::isnan(bad)) {
            ASSERT_TRUE(std::isnan(got[k])) << i;
          } else if (i == at) {
            ASSERT_EQ(got[k], bad);
          } else {
            ASSERT_NEAR(got[k], x[k],
                        HalfStep(place.type, x[k], LargestOfBlock(x, k)));
          }
        }
      }
    }
  });
}

// Values beyond the range of f16 are not clamped silently.
TEST(StoredTest, HugeValuesAreKeptOrBecomeNotFinite) {
  ForPlaces([&](const Place& place) {
    Guarded memory(place.Bytes());
    for (const float huge : {60000.0f, 7e4f, 8e6f, 9e6f, 1e38f}) {
      std::vector<float> x(static_cast<size_t>(place.width), huge);
      x.front() = -huge;
      place.Pack(x, memory.data(), 1);
      const auto got = place.Unpack(memory.data(), 1);
      for (size_t i = 0; i < x.size(); ++i) {
        if (place.type == DType::kF16 && huge >= 65520) {
          ASSERT_EQ(got[i], std::copysign(kInfinity, x[i]));
        } else if ((place.type == DType::kQ8_0 && huge >= 127 * 65520.0) ||
                   (place.type == DType::kQ4_0 && huge >= 8 * 65520.0)) {
          ASSERT_TRUE(std::isnan(got[i]));
        } else {
          ASSERT_NEAR(got[i], x[i], HalfStep(place.type, x[i], huge));
        }
      }
    }
  });
}

TEST(StoredTest, TinyValuesReadBackWithinASubnormalStep) {
  Rng rng(5);
  ForPlaces([&](const Place& place) {
    Guarded memory(place.Bytes());
    for (const float tiny : {1e-4f, 1e-5f, 4e-6f, 1e-7f, 1e-20f, 1e-40f}) {
      auto x = Normals(rng, place.width);
      for (float& v : x) v *= tiny;
      place.Pack(x, memory.data(), 1);
      const auto got = place.Unpack(memory.data(), 1);
      for (size_t i = 0; i < x.size(); ++i) {
        // bf16 has the exponents of f32; a subnormal has an error of 2^-134.
        ASSERT_NEAR(got[i], x[i],
                    HalfStep(place.type, x[i], LargestOfBlock(x, i)) +
                        (place.type == DType::kBf16 ? 0x1p-134 : 0));
      }
    }
  });
}

TEST(StoredTest, LayoutIsThatOfTheHeader) {
  constexpr int64_t D = 33;
  std::vector<float> x(D);
  for (size_t d = 0; d < x.size(); ++d) x[d] = static_cast<float>(d) - 20;
  x[20] = 127;  // the step of the first block is 1, of the second 12 / 127
  Guarded keys(KeyPanelBytes(DType::kQ8_0, D));
  PackKey(DType::kQ8_0, x.data(), D, keys.data(), 9);
  const auto* quants = reinterpret_cast<const int8_t*>(keys.data());
  for (int64_t d = 0; d < 32; ++d) {
    ASSERT_EQ(quants[(d / 2 * 16 + 9) * 2 + d % 2], x[static_cast<size_t>(d)]);
  }
  EXPECT_EQ(quants[(16 * 16 + 9) * 2], 127);
  // The partner of an odd last component.
  EXPECT_EQ(quants[(16 * 16 + 9) * 2 + 1], 0);
  const auto* scales = reinterpret_cast<const uint16_t*>(quants + 17 * 16 * 2);
  EXPECT_EQ(F16ToFloat(scales[9]), 1);
  EXPECT_NEAR(F16ToFloat(scales[16 + 9]), 12.0 / 127, 12.0 / 127 * 0x1p-11);

  Guarded values(ValueBytes(DType::kQ8_0, 8, D));
  PackValue(DType::kQ8_0, x.data(), D, values.data(), 8, 6);
  // Behind the scales, two blocks of 8 tokens.
  const auto* row =
      reinterpret_cast<const int8_t*>(values.data()) + 2 * 2 * 8 + 6 * D;
  for (int64_t c = 0; c < 32; ++c) {
    ASSERT_EQ(row[c], x[static_cast<size_t>(c)]);
  }
  uint16_t scale = 0;  // of [2, 8]
  std::memcpy(&scale, values.data() + 2 * (8 + 6), sizeof(scale));
  EXPECT_NEAR(F16ToFloat(scale), 12.0 / 127, 12.0 / 127 * 0x1p-11);

  std::vector<float> panel(D * 16);
  PackKey(DType::kF32, x.data(), D, panel.data(), 9);
  EXPECT_EQ(panel[5 * 16 + 9], x[5]);
  std::vector<float> rows(7 * D);
  PackValue(DType::kF32, x.data(), D, rows.data(), 7, 6);
  EXPECT_EQ(rows[6 * D + 5], x[5]);
}

TEST(StoredTest, FourBitLayoutIsThatOfTheHeader) {
  constexpr int64_t D = 35;
  std::vector<float> x(D);
  // The step of the first block is -1: -8 stands for the largest number, 8.
  for (size_t d = 0; d < 32; ++d) x[d] = static_cast<float>(d % 15) - 7;
  x[20] = 8;
  x[32] = -16;  // a step of 2
  x[33] = 14;
  x[34] = 15.5f;  // there is no +8
  const auto want = [&](size_t d) {
    if (d < 32) return -static_cast<int>(x[d]);
    return d == 32 ? -8 : 7;
  };
  const auto nibble = [](int number) { return number & 15; };
  Guarded keys(KeyPanelBytes(DType::kQ4_0, D));
  PackKey(DType::kQ4_0, x.data(), D, keys.data(), 9);
  for (size_t d = 0; d < D; d += 2) {
    const int upper = d + 1 < D ? nibble(want(d + 1)) : 0;
    ASSERT_EQ(keys.data()[d / 2 * 16 + 9], nibble(want(d)) | (upper << 4)) << d;
  }
  const auto* scales = reinterpret_cast<const uint16_t*>(keys.data() + 18 * 16);
  EXPECT_EQ(F16ToFloat(scales[9]), -1);
  EXPECT_EQ(F16ToFloat(scales[16 + 9]), 2);
  EXPECT_EQ(KeyPanelBytes(DType::kQ4_0, 64), 16 * 64 / 32 * 18);

  Guarded values(ValueBytes(DType::kQ4_0, 8, D));
  PackValue(DType::kQ4_0, x.data(), D, values.data(), 8, 6);
  // Behind the scales, two blocks of 8 tokens.
  const uint8_t* row = values.data() + 2 * 2 * 8 + 6 * 32;
  for (size_t c = 0; c < 16; ++c) {
    ASSERT_EQ(row[c], nibble(want(c)) | (nibble(want(c + 16)) << 4)) << c;
  }
  for (size_t c = 32; c < D; ++c) {
    ASSERT_EQ(row[16 + c - 32] & 15, nibble(want(c))) << c;
  }
  EXPECT_EQ(ValueBytes(DType::kQ4_0, 128, 64), 128 * 64 / 32 * 18);
}

// The integers of q4_0 are those that GGUF's blocks have.
TEST(StoredTest, FourBitNumbersAreThoseOfAPackedRow) {
  Rng rng(6);
  const auto x = Normals(rng, 96);
  std::vector<uint8_t> packed(static_cast<size_t>(RowBytes(DType::kQ4_0, 96)));
  PackRow(DType::kQ4_0, x.data(), 96, packed.data());
  std::vector<float> want(96);
  UnpackRow(DType::kQ4_0, packed.data(), 96, want.data());
  const Place place{false, DType::kQ4_0, 96, 4};
  Guarded memory(place.Bytes());
  place.Pack(x, memory.data(), 2);
  const auto got = place.Unpack(memory.data(), 2);
  // They round by the scale before and after it becomes f16.
  int64_t other = 0;
  for (size_t i = 0; i < 96; ++i) other += got[i] == want[i] ? 0 : 1;
  EXPECT_LE(other, 1);
}

TEST(StoredTest, StoresTakeNoOtherTypes) {
  EXPECT_FALSE(CanStore(DType::kQ4_1));
  for (const DType type : kStorable) EXPECT_TRUE(CanStore(type));
}

}  // namespace
}  // namespace ropewalk::kernels
