// Element types: unpacking against golden blocks, packing against the bytes of
// ggml and to within a step, dot products against float64.

#include "kernels/blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/cpu/kernels.h"
#include "kernels/kernels_for_test.h"
#include "kernels/pack_range.h"
#include "kernels/reference/blocks.h"

namespace ropewalk::kernels {
namespace {

class BlocksTest : public EveryIsaTest {};

INSTANTIATE_TEST_SUITE_P(EveryIsa, BlocksTest,
                         testing::ValuesIn(AvailableIsas()),
                         [](const auto& info) { return info.param; });

// The bytes of a golden file, read from the front.
class Golden {
 public:
  explicit Golden(const std::string& name) {
    std::ifstream file(ROPEWALK_SOURCE_FOLDER "/tests/golden/" + name,
                       std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
  }
  bool empty() const { return at_ >= bytes_.size(); }

  template <typename T>
  std::vector<T> Take(size_t count) {
    std::vector<T> out(count);
    std::memcpy(out.data(), bytes_.data() + at_, count * sizeof(T));
    at_ += count * sizeof(T);
    return out;
  }
  size_t Count() { return Take<uint32_t>(1)[0]; }
  DType Type() { return *ParseDType(Take<char>(8).data()); }

 private:
  std::vector<char> bytes_;
  size_t at_ = 0;
};

void ExpectSameFloats(const std::vector<float>& got,
                      const std::vector<float>& want, DType type) {
  for (size_t i = 0; i < want.size(); ++i) {
    if (std::isnan(want[i])) {
      ASSERT_TRUE(std::isnan(got[i])) << InfoOf(type).name << " " << i;
      continue;
    }
    // Compared by bits, so that -0 differs from 0.
    ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(want[i]))
        << InfoOf(type).name << " " << i << ": " << got[i] << ", want "
        << want[i];
  }
}

TEST_P(BlocksTest, UnpackedBlocksMatchThePythonPackageGguf) {
  Golden golden("unpacked_blocks.bin");
  int64_t types = 0;
  for (; !golden.empty(); ++types) {
    const DType type = golden.Type();
    const size_t byte_count = golden.Count();
    const size_t float_count = golden.Count();
    const auto bytes = golden.Take<uint8_t>(byte_count);
    const auto want = golden.Take<float>(float_count);
    const auto size = static_cast<int64_t>(want.size());
    ASSERT_EQ(RowBytes(type, size), static_cast<int64_t>(bytes.size()));
    std::vector<float> got(want.size() + 1, kCanary);
    reference::UnpackRow(type, bytes.data(), size, got.data());
    ExpectSameFloats(got, want, type);
    std::fill(got.begin(), got.end(), kCanary);
    UnpackRow(type, bytes.data(), size, got.data());
    ExpectSameFloats(got, want, type);
    EXPECT_EQ(got.back(), kCanary);
  }
  EXPECT_EQ(types, static_cast<int64_t>(AllDTypes().size()) - 3);  // f32 ...
}

TEST_P(BlocksTest, UnpackingEqualsItsDefinitionOnRandomBytes) {
  Rng rng(4);
  for (const DTypeInfo& info : AllDTypes()) {
    for (const int64_t blocks : {0, 1, 2, 7}) {
      const int64_t size = blocks * info.block_elements;
      std::vector<uint8_t> row(static_cast<size_t>(RowBytes(info.type, size)));
      for (uint8_t& byte : row) byte = static_cast<uint8_t>(rng.Next());
      std::vector<float> want(static_cast<size_t>(size));
      std::vector<float> got(static_cast<size_t>(size) + 1, kCanary);
      reference::UnpackRow(info.type, row.data(), size, want.data());
      UnpackRow(info.type, row.data(), size, got.data());
      ExpectSameFloats(got, want, info.type);
      EXPECT_EQ(got.back(), kCanary);
    }
  }
}

TEST(PackTest, BlocksOf32HaveTheBytesOfThePythonPackageGguf) {
  Golden golden("packed_blocks.bin");
  const size_t size = golden.Count();
  const auto x = golden.Take<float>(size);
  int64_t types = 0;
  for (; !golden.empty(); ++types) {
    const DType type = golden.Type();
    const size_t byte_count = golden.Count();
    const auto want = golden.Take<uint8_t>(byte_count);
    std::vector<uint8_t> got(want.size());
    PackRow(type, x.data(), static_cast<int64_t>(x.size()), got.data());
    EXPECT_EQ(got, want) << InfoOf(type).name;
  }
  EXPECT_EQ(types, 5);
}

TEST(PackTest, BlocksOf32ReadBackWithinOneStep) {
  Rng rng(9);
  const int64_t size = 320;
  auto x = Normals(rng, size);
  for (int64_t i = 64; i < 96; ++i) x[static_cast<size_t>(i)] = 0;  // a block
  for (const DTypeInfo& info : AllDTypes()) {
    if (!info.packed || info.block_elements > 32) continue;
    std::vector<uint8_t> row(static_cast<size_t>(RowBytes(info.type, size)));
    std::vector<float> y(x.size());
    PackRow(info.type, x.data(), size, row.data());
    UnpackRow(info.type, row.data(), size, y.data());
    for (int64_t b = 0; b < size; b += 32) {
      const auto [least, most] =
          std::minmax_element(x.begin() + b, x.begin() + b + 32);
      const float largest = std::max(-*least, *most);
      const float range = *most - *least;
      // Half a step. The f16 scale adds 2^-11 of the value, and so does an f16
      // offset. In q4_0 and q5_0 the codes of the sign opposite to the extreme
      // end one step early, so that the error may be a whole step.
      const double rounding = 0x1p-11 * largest;
      const std::map<DType, double> steps = {
          {DType::kF32, 0},
          {DType::kF16, rounding},
          {DType::kBf16, 0x1p-8 * largest},
          {DType::kQ8_0, 0.5 / 127 * largest + rounding},
          {DType::kQ4_0, 1.0 / 8 * largest + rounding},
          {DType::kQ5_0, 1.0 / 16 * largest + rounding},
          {DType::kQ4_1, 0.5 / 15 * range + 0x1p-11 * range + rounding},
          {DType::kQ5_1, 0.5 / 31 * range + 0x1p-11 * range + rounding}};
      for (int64_t i = b; i < b + 32; ++i) {
        const auto at = static_cast<size_t>(i);
        ASSERT_NEAR(y[at], x[at], steps.at(info.type) * 1.001) << info.name;
      }
    }
    // For plain types, packing the unpacked row gives the same row again.
    if (info.block_elements == 1) {
      std::vector<uint8_t> again(row.size());
      PackRow(info.type, y.data(), size, again.data());
      EXPECT_EQ(again, row) << info.name;
    }
  }
}

TEST(PackTest, Q4KeepsTheExtremeAndTheOrderOfNibbles) {
  std::vector<float> x(32, 0.0f);
  x[3] = -4.0f;
  x[17] = 2.0f;
  uint8_t row[18];
  PackRow(DType::kQ4_0, x.data(), 32, row);
  EXPECT_EQ(row[2 + 3] & 15, 0);   // -8 steps of 0.5
  EXPECT_EQ(row[2 + 1] >> 4, 12);  // element 17 is a high nibble: 4 + 8
  float y[32];
  UnpackRow(DType::kQ4_0, row, 32, y);
  EXPECT_EQ(y[3], -4.0f);
  EXPECT_EQ(y[17], 2.0f);
  EXPECT_EQ(y[0], 0.0f);
}

// The squared error of rounding to `levels` even steps over the range of each
// group and zero: step^2 / 12 for each element.
double EvenError(const std::vector<float>& x, int64_t group, double levels,
                 bool centred) {
  double sum = 0;
  for (size_t b = 0; b < x.size(); b += static_cast<size_t>(group)) {
    double least = 0;
    double most = 0;
    for (size_t i = b; i < b + static_cast<size_t>(group); ++i) {
      least = std::min<double>(least, x[i]);
      most = std::max<double>(most, x[i]);
    }
    const double range = centred ? 2 * std::max(-least, most) : most - least;
    const double step = range / levels;
    sum += static_cast<double>(group) * step * step / 12;
  }
  return sum;
}

double SquaredError(DType type, const std::vector<float>& x) {
  const auto size = static_cast<int64_t>(x.size());
  std::vector<uint8_t> row(static_cast<size_t>(RowBytes(type, size)));
  std::vector<float> y(x.size());
  PackRow(type, x.data(), size, row.data());
  UnpackRow(type, row.data(), size, y.data());
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double miss = static_cast<double>(y[i]) - x[i];
    sum += miss * miss;
  }
  return sum;
}

// The column "error" of docs/formats.md, in percent, for normal numbers.
TEST(PackTest, ErrorsAreThoseInTheFormatsPage) {
  Rng rng(12);
  const auto x = Normals(rng, 256 * 200);
  double squares = 0;
  for (const float value : x) squares += static_cast<double>(value) * value;
  const std::vector<std::pair<DType, double>> stated = {
      {DType::kBf16, 0.17}, {DType::kF16, 0.02}, {DType::kQ8_0, 0.54},
      {DType::kQ6K, 1.75},  {DType::kQ5_1, 3.8}, {DType::kQ5_0, 4.3},
      {DType::kQ5K, 3.5},   {DType::kQ4_1, 7.8}, {DType::kQ4_0, 8.6},
      {DType::kQ4K, 7.1}};
  for (const auto& [type, percent] : stated) {
    // Half of the last digit in the page, and the spread of 51200 numbers.
    EXPECT_NEAR(100 * std::sqrt(SquaredError(type, x) / squares), percent,
                0.02 * percent + 0.005)
        << InfoOf(type).name;
  }
}

TEST(PackTest, BlocksOf256AreNoWorseThanEvenStepsOverTheRange) {
  Rng rng(11);
  for (const double sigma : {1.0, 1e-3, 1e3}) {
    auto x = Normals(rng, 256 * 40);
    for (float& value : x) value *= static_cast<float>(sigma);
    // Blocks that are all zero, all of one sign, and constant.
    for (size_t i = 0; i < 256; ++i) {
      x[i] = 0;
      x[256 + i] = std::abs(x[256 + i]);
      x[512 + i] = -std::abs(x[512 + i]);
      x[768 + i] = static_cast<float>(sigma);
    }
    // The search gains as much as the rounding of scales to 6 or 8 bits loses.
    EXPECT_LT(SquaredError(DType::kQ4K, x), EvenError(x, 32, 15, false));
    EXPECT_LT(SquaredError(DType::kQ5K, x), EvenError(x, 32, 31, false));
    EXPECT_LT(SquaredError(DType::kQ6K, x), EvenError(x, 16, 64, true));
    // One float32 scale for 256 elements.
    EXPECT_LT(SquaredError(DType::kQ8K, x),
              1.05 * EvenError(x, 256, 254, true));
  }
}

TEST(PackTest, NanAndInfinityDoNotCrash) {
  for (const float bad : {INFINITY, -INFINITY, NAN, 3e38f}) {
    for (const DTypeInfo& info : AllDTypes()) {
      if (!info.packed) continue;
      std::vector<float> x(256, 0.5f);
      for (const size_t at : {0, 77, 255}) x[at] = bad;
      std::vector<uint8_t> row(static_cast<size_t>(RowBytes(info.type, 256)));
      PackRow(info.type, x.data(), 256, row.data());
      UnpackRow(info.type, row.data(), 256, x.data());
      if (!std::isfinite(bad) && info.type != DType::kF32) {
        x[0] = bad;
        EXPECT_FALSE(RangeLossOf(info.type, x.data(), 256).Holds());
      }
    }
  }
}

TEST(PackRangeTest, HoldsIsFalseBeyondTheRangeOfF16Scales) {
  Rng rng(12);
  const auto normals = Normals(rng, 512);
  for (const DTypeInfo& info : AllDTypes()) {
    if (!info.packed) continue;
    const auto holds = [&](float factor) {
      auto x = normals;
      for (float& value : x) value *= factor;
      return RangeLossOf(info.type, x.data(), 512).Holds();
    };
    EXPECT_TRUE(holds(1)) << info.name;
    EXPECT_TRUE(holds(0.01f)) << info.name;
    EXPECT_TRUE(holds(100)) << info.name;
    const bool wide = info.type == DType::kF32 || info.type == DType::kBf16 ||
                      info.type == DType::kQ8K;
    EXPECT_EQ(holds(1e9f), wide) << info.name;
    EXPECT_EQ(holds(1e-9f), wide) << info.name;
  }
  // A tiny row among ordinary ones does not matter.
  auto x = normals;
  for (size_t i = 0; i < 256; ++i) x[i] *= 1e-9f;
  EXPECT_TRUE(RangeLossOf(DType::kQ8_0, x.data(), 512).Holds());
}

// The offsets of f16 scales in a block (a float in q8_K). Other bytes may be
// random.
std::vector<int64_t> ScalePlaces(DType type) {
  switch (type) {
    case DType::kQ4_1:
    case DType::kQ5_1:
    case DType::kQ4K:
    case DType::kQ5K:
      return {0, 2};
    case DType::kQ2K:
      return {80, 82};
    case DType::kQ3K:
      return {108};
    case DType::kQ6K:
      return {208};
    case DType::kTq1_0:
      return {52};
    case DType::kTq2_0:
      return {64};
    default:
      return {0};
  }
}

// Random rows with ordinary scales, of either sign.
std::vector<uint8_t> RandomRow(const DTypeInfo& info, int64_t size, Rng& rng) {
  std::vector<uint8_t> row(static_cast<size_t>(RowBytes(info.type, size)));
  if (info.block_elements == 1) {
    PackRow(info.type, Normals(rng, size).data(), size, row.data());
    return row;
  }
  for (uint8_t& byte : row) byte = static_cast<uint8_t>(rng.Next());
  for (int64_t at = 0; at < static_cast<int64_t>(row.size());
       at += info.block_bytes) {
    uint8_t* block = row.data() + at;
    if (info.type == DType::kMxfp4) {
      block[0] = static_cast<uint8_t>(120 + rng.Next() % 8);
      continue;
    }
    if (info.type == DType::kQ8K) {
      const auto scale = static_cast<float>(rng.Normal());
      std::memcpy(block, &scale, sizeof(scale));
      continue;
    }
    for (const int64_t place : ScalePlaces(info.type)) {
      // An f16 from 2^-7 to 2^-5 with its sign in bit 15.
      block[place + 1] = static_cast<uint8_t>((block[place + 1] & 0x87) | 0x20);
    }
  }
  return row;
}

TEST_P(BlocksTest, DotMatchesFloat64OfTheUnpackedRow) {
  Rng rng(8);
  for (const DTypeInfo& info : AllDTypes()) {
    for (const int64_t blocks : {0, 1, 2, 3, 8, 16}) {
      const int64_t size = info.block_elements == 1
                               ? blocks * 32 + 13
                               : blocks * info.block_elements;
      const auto row = RandomRow(info, size, rng);
      const auto x = Normals(rng, size);
      std::vector<float> unpacked(x.size());
      reference::UnpackRow(info.type, row.data(), size, unpacked.data());
      // Values are differences scale * q - offset, so that rounding grows with
      // both parts, each of which is below the range of its block.
      const int64_t block = std::max<int64_t>(32, info.block_elements);
      double expected = 0;
      double magnitude = 0;
      for (int64_t i = 0; i < size; ++i) {
        const auto at = static_cast<size_t>(i);
        const int64_t begin = i / block * block;
        double range = 0;
        for (int64_t k = begin; k < std::min(size, begin + block); ++k) {
          range = std::max(
              range,
              std::abs(static_cast<double>(unpacked[static_cast<size_t>(k)])));
        }
        expected += static_cast<double>(unpacked[at]) * x[at];
        magnitude += 3 * range * std::abs(static_cast<double>(x[at]));
      }
      ASSERT_NEAR(Dot(info.type, row.data(), x.data(), size), expected,
                  static_cast<double>(size + 4) * 0x1p-24 * magnitude)
          << info.name << " " << size;
    }
  }
}

}  // namespace
}  // namespace ropewalk::kernels
