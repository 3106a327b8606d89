// Rows of queries and weights against float64 loops over the stored keys and
// values, for every type and instruction set.

#include "kernels/cpu/rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/aligned.h"
#include "kernels/kernels_for_test.h"
#include "kernels/nibbles.h"

namespace ropewalk::kernels {
namespace {

class RowsTest : public EveryIsaTest {};

INSTANTIATE_TEST_SUITE_P(EveryIsa, RowsTest, testing::ValuesIn(AvailableIsas()),
                         [](const auto& info) { return info.param; });

template <typename Body>
void ForTypesAndWidths(const Body& body) {
  for (const DType type : kStorable) {
    for (const int64_t width : kOddWidths) {
      SCOPED_TRACE(testing::Message() << InfoOf(type).name << " " << width);
      body(type, width);
    }
  }
}

// Panels of random keys, stored and read back.
struct Keys {
  DType type;
  int64_t D;
  int64_t panels;
  AlignedBuffer<uint8_t> stored;
  std::vector<float> read;  // [panels * kKeyPanel, D]

  Keys(Rng& rng, DType type, int64_t D, int64_t panels)
      : type(type),
        D(D),
        panels(panels),
        stored(panels * KeyPanelBytes(type, D)),
        read(static_cast<size_t>(panels * kKeyPanel * D)) {
    for (int64_t key = 0; key < panels * kKeyPanel; ++key) {
      void* panel = stored.data() + key / kKeyPanel * KeyPanelBytes(type, D);
      PackKey(type, Normals(rng, D).data(), D, panel, key % kKeyPanel);
      UnpackKey(type, panel, D, key % kKeyPanel, read.data() + key * D);
    }
  }
};

struct Values {
  DType type;
  int64_t keys;
  int64_t columns;
  AlignedBuffer<uint8_t> stored;
  std::vector<float> read;  // [keys, columns]

  Values(Rng& rng, DType type, int64_t keys, int64_t columns)
      : type(type),
        keys(keys),
        columns(columns),
        stored(ValueBytes(type, keys, columns)),
        read(static_cast<size_t>(keys * columns)) {
    for (int64_t key = 0; key < keys; ++key) {
      PackValue(type, Normals(rng, columns).data(), columns, stored.data(),
                keys, key);
      UnpackValue(type, stored.data(), keys, columns, key,
                  read.data() + key * columns);
    }
  }
};

// Queries and their rounded form.
struct Queries {
  int64_t count;
  int64_t D;
  std::vector<float> rows;
  std::vector<int16_t> quants;
  std::vector<float> scales;

  Queries(std::vector<float> x, int64_t count, int64_t D)
      : count(count),
        D(D),
        rows(std::move(x)),
        quants(static_cast<size_t>(count * ((D + 1) / 2 * 2))),
        scales(static_cast<size_t>(count * Blocks())) {
    QuantiseQueries(rows.data(), count, D, quants.data(), scales.data());
  }
  int64_t Blocks() const { return (D + kQuantBlock - 1) / kQuantBlock; }
  RowQueries View() const {
    return {rows.data(), quants.data(), scales.data(), count, D};
  }
};

// The score of a query and a key, and the tolerance of a kernel: D rounded
// additions, or for quants three roundings for each block, half a step of
// the query, and the rounding of that step.
struct Score {
  double exact = 0;
  double tolerance = 0;
};
Score ScoreOf(const Queries& q, const Keys& keys, int64_t row, int64_t key) {
  Score score;
  double size = 0;
  for (int64_t first = 0; first < q.D; first += kQuantBlock) {
    double largest = 0;
    double key_size = 0;
    for (int64_t d = first; d < std::min(q.D, first + kQuantBlock); ++d) {
      const double x = q.rows[static_cast<size_t>(row * q.D + d)];
      const double k = keys.read[static_cast<size_t>(key * q.D + d)];
      score.exact += x * k;
      size += std::abs(x * k);
      largest = std::max(largest, std::abs(x));
      key_size += std::abs(k);
    }
    if (StoresQuants(keys.type)) {
      score.tolerance += 0.51 * largest / 127 * key_size;
    }
  }
  const int64_t roundings = StoresQuants(keys.type) ? q.Blocks() + 3 : q.D + 1;
  score.tolerance += static_cast<double>(roundings) * 0x1p-24 * size;
  return score;
}

TEST_P(RowsTest, ScoresMatchFloat64AndWriteOnlyTheirPanels) {
  Rng rng(1);
  constexpr int64_t kPanels = 5;
  constexpr int64_t kStride = kPanels * kKeyPanel + 3;
  ForTypesAndWidths([&](DType type, int64_t D) {
    const Keys keys(rng, type, D, kPanels);
    for (int64_t rows = 1; rows <= 9; ++rows) {
      const Queries q(Normals(rng, rows * D), rows, D);
      const int64_t first = rows % 4;
      const int64_t last = std::min(kPanels, first + rows % 6);
      std::vector<float> scores(static_cast<size_t>(rows * kStride), kCanary);
      RowScores({type, keys.stored.data(), first, last, q.View(), scores.data(),
                 kStride});
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t key = 0; key < kStride; ++key) {
          const float got = scores[static_cast<size_t>(r * kStride + key)];
          if (key < first * kKeyPanel || key >= last * kKeyPanel) {
            ASSERT_EQ(got, kCanary) << r << " " << key;
            continue;
          }
          const Score want = ScoreOf(q, keys, r, key);
          ASSERT_NEAR(got, want.exact, want.tolerance) << r << " " << key;
        }
      }
    }
  });
}

// With another number of rows a row goes through other loops.
TEST_P(RowsTest, ScoresOfARowDoNotDependOnItsNeighbours) {
  Rng rng(2);
  for (const DType type : kStorable) {
    const Keys keys(rng, type, 80, 3);
    const Queries all(Normals(rng, 7 * 80), 7, 80);
    std::vector<float> together(7 * 48);
    RowScores(
        {type, keys.stored.data(), 0, 3, all.View(), together.data(), 48});
    for (int64_t r = 0; r < 7; ++r) {
      const auto* row = all.rows.data() + r * 80;
      const Queries one({row, row + 80}, 1, 80);
      std::vector<float> alone(48);
      RowScores({type, keys.stored.data(), 0, 3, one.View(), alone.data(), 48});
      for (size_t key = 0; key < 48; ++key) {
        ASSERT_EQ(alone[key], together[static_cast<size_t>(r) * 48 + key]);
      }
    }
  }
}

TEST_P(RowsTest, NanStaysInItsRowAndItsKey) {
  Rng rng(3);
  for (const DType type : kStorable) {
    for (const float bad : {std::nanf(""), kMasked}) {
      auto x = Normals(rng, 3 * 33);
      x[33 + 5] = bad;
      const Queries q(std::move(x), 3, 33);
      Keys keys(rng, type, 33, 1);
      std::vector<float> key(33, 1.0f);
      key[32] = std::nanf("");
      PackKey(type, key.data(), 33, keys.stored.data(), 7);
      std::vector<float> scores(48);
      RowScores(
          {type, keys.stored.data(), 0, 1, q.View(), scores.data(), kKeyPanel});
      for (size_t at = 0; at < 48; ++at) {
        ASSERT_EQ(!std::isfinite(scores[at]), at / 16 == 1 || at % 16 == 7)
            << InfoOf(type).name << " " << at;
      }
    }
  }
}

// 127 / (largest component of a block) may be beyond float32, so tiny blocks
// count as 0.
TEST(QuantiseQueriesTest, ErrorIsHalfAStepAtEveryScale) {
  Rng rng(4);
  for (const float size : {1e-45f, 1e-40f, 1e-36f, 1e-30f, 1.0f, 1e36f}) {
    auto x = Normals(rng, 35);
    for (float& v : x) v *= size;
    x[3] = 0;
    const Queries q(x, 1, 35);
    for (size_t d = 0; d < x.size(); ++d) {
      float largest = 0;
      for (size_t k = d / 32 * 32; k < std::min<size_t>(35, d / 32 * 32 + 32);
           ++k) {
        largest = std::max(largest, std::abs(x[k]));
      }
      if (largest < 0x1p-100f) {
        ASSERT_EQ(q.quants[d] * q.scales[d / 32], 0);
        continue;
      }
      ASSERT_NEAR(static_cast<double>(q.quants[d]) * q.scales[d / 32], x[d],
                  0.51 * largest / 127)
          << size;
    }
    ASSERT_EQ(q.quants[35], 0);  // the partner of an odd last component
  }
}

TEST_P(RowsTest, ValuesMatchFloat64AndWriteOnlyTheirOutput) {
  Rng rng(5);
  constexpr int64_t kKeys = 50;
  ForTypesAndWidths([&](DType type, int64_t columns) {
    const Values values(rng, type, kKeys, columns);
    const int64_t stride = columns + 3;
    for (int64_t rows = 1; rows <= 9; ++rows) {
      const int64_t first = rows * 7 % 40;
      const int64_t last = std::min(kKeys, first + rows * rows % 37);
      const auto weights = Normals(rng, rows * kKeys);
      auto output = Normals(rng, rows * stride);
      const auto before = output;
      RowValues({type, values.stored.data(), kKeys, columns, first, last,
                 weights.data(), rows, kKeys, output.data(), stride});
      for (int64_t at = 0; at < rows * stride; ++at) {
        const float start = before[static_cast<size_t>(at)];
        double want = start;
        double size = std::abs(want);
        const int64_t end = at % stride < columns ? last : first;
        for (int64_t key = first; key < end; ++key) {
          const double term =
              static_cast<double>(
                  values
                      .read[static_cast<size_t>(key * columns + at % stride)]) *
              weights[static_cast<size_t>(at / stride * kKeys + key)];
          want += term;
          size += std::abs(term);
        }
        // One rounding for each key, and one of the weight times the step.
        const double roundings = first < end ? double(end - first) + 2 : 0;
        ASSERT_NEAR(output[static_cast<size_t>(at)], want,
                    roundings * 0x1p-24 * size)
            << rows << " rows, " << at << " " << first << " " << last;
      }
    }
  });
}

TEST_P(RowsTest, ValuesOfARowDoNotDependOnItsNeighbours) {
  Rng rng(6);
  for (const DType type : kStorable) {
    const Values values(rng, type, 40, 80);
    const auto weights = Normals(rng, 7 * 40);
    std::vector<float> together(7 * 80);
    RowValues({type, values.stored.data(), 40, 80, 3, 38, weights.data(), 7, 40,
               together.data(), 80});
    for (int64_t r = 0; r < 7; ++r) {
      std::vector<float> alone(80);
      RowValues({type, values.stored.data(), 40, 80, 3, 38,
                 weights.data() + r * 40, 1, 40, alone.data(), 80});
      for (size_t c = 0; c < 80; ++c) {
        ASSERT_EQ(alone[c], together[static_cast<size_t>(r) * 80 + c]);
      }
    }
  }
}

TEST_P(RowsTest, UnpackedPanelsHaveTheBitsOfSingleKeys) {
  Rng rng(7);
  ForTypesAndWidths([&](DType type, int64_t D) {
    const Keys keys(rng, type, D, 3);
    std::vector<float> out(static_cast<size_t>(3 * D * kKeyPanel + 9), kCanary);
    UnpackPanels(type, keys.stored.data(), 3, D, out.data());
    for (int64_t key = 0; key < 3 * kKeyPanel; ++key) {
      for (int64_t d = 0; d < D; ++d) {
        const int64_t at =
            (key / kKeyPanel * D + d) * kKeyPanel + key % kKeyPanel;
        ASSERT_EQ(out[static_cast<size_t>(at)],
                  keys.read[static_cast<size_t>(key * D + d)])
            << key << " " << d;
      }
    }
    for (auto at = out.end() - 9; at < out.end(); ++at) {
      ASSERT_EQ(*at, kCanary);
    }
  });
}

TEST_P(RowsTest, UnpackedValuesHaveTheBitsOfSingleRows) {
  Rng rng(8);
  ForTypesAndWidths([&](DType type, int64_t columns) {
    const Values values(rng, type, 20, columns);
    for (const int64_t rows : {0, 1, 13, 20}) {
      const auto size = static_cast<size_t>(rows * columns);
      std::vector<float> out(size + 9, kCanary);
      UnpackValues(type, values.stored.data(), 20, columns, rows, out.data());
      for (size_t at = 0; at < size; ++at) ASSERT_EQ(out[at], values.read[at]);
      for (size_t at = size; at < size + 9; ++at) ASSERT_EQ(out[at], kCanary);
    }
  });
}

// Every pattern of 16 bits, including NaNs and subnormal numbers.
TEST_P(RowsTest, EverySixteenBitPatternIsWidenedExactly) {
  std::vector<uint16_t> bits(1 << 16);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
  std::vector<float> out(bits.size());
  std::vector<float> one(1);
  for (const DType type : {DType::kF16, DType::kBf16}) {
    UnpackValues(type, bits.data(), 1, 1 << 16, 1, out.data());
    for (size_t i = 0; i < bits.size(); ++i) {
      UnpackValue(type, &bits[i], 1, 1, 0, one.data());
      if (std::isnan(one[0])) {
        ASSERT_TRUE(std::isnan(out[i])) << i;
      } else {
        ASSERT_EQ(out[i], one[0]) << i;
        ASSERT_EQ(std::signbit(out[i]), std::signbit(one[0])) << i;
      }
    }
  }
}

}  // namespace
}  // namespace ropewalk::kernels
