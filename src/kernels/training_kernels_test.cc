// The kernels that only training attention uses, on every instruction set.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/kernels.h"
#include "kernels/kernels_for_test.h"

namespace ropewalk::kernels {
namespace {

class TrainingKernelTest : public EveryIsaTest {};

INSTANTIATE_TEST_SUITE_P(EveryIsa, TrainingKernelTest,
                         testing::ValuesIn(AvailableIsas()),
                         [](const auto& info) { return info.param; });

TEST_P(TrainingKernelTest, GemmReadsATransposedMatrixInPlace) {
  Rng rng(10);
  const int64_t rows = 29;
  const int64_t depth = 40;
  const int64_t stride = rows + 2;
  const auto turned = Normals(rng, depth * stride);  // [depth, rows]
  std::vector<float> a(static_cast<size_t>(rows * depth));
  for (int64_t m = 0; m < rows; ++m) {
    for (int64_t k = 0; k < depth; ++k) {
      a[static_cast<size_t>(m * depth + k)] =
          turned[static_cast<size_t>(k * stride + m)];
    }
  }
  for (const int64_t columns : {1, 16, 33, 64, 100}) {
    const auto b = Normals(rng, depth * columns);
    std::vector<float> want(static_cast<size_t>(rows * columns));
    GemmArgs args{.a = a.data(),
                  .b = b.data(),
                  .c = want.data(),
                  .rows = rows,
                  .columns = columns,
                  .depth = depth,
                  .a_stride = depth,
                  .b_stride = columns,
                  .c_stride = columns};
    Gemm(args);
    std::vector<float> got(want.size());
    args.a = turned.data();
    args.c = got.data();
    args.a_stride = 1;
    args.a_step = stride;
    Gemm(args);
    EXPECT_EQ(got, want) << columns;
  }
}

TEST_P(TrainingKernelTest, RotateRowsEqualsRotateOfEachRow) {
  Rng rng(11);
  const int64_t rows = 5;
  for (const int64_t D : {2, 16, 80}) {
    for (const int64_t pairs : {int64_t{0}, D / 4, D / 2}) {
      const auto x = Normals(rng, rows * (D + 1));
      const auto cos = Normals(rng, rows * pairs);
      const auto sin = Normals(rng, rows * pairs);
      const auto scale = Normals(rng, rows);
      std::vector<float> got(static_cast<size_t>(rows * D));
      std::vector<float> want(got.size());
      RotateRowsArgs args{.x = x.data(),
                          .y = got.data(),
                          .rows = rows,
                          .D = D,
                          .x_stride = D + 1,
                          .y_stride = D,
                          .pairs = pairs,
                          .cos = cos.data(),
                          .sin = sin.data(),
                          .angle_stride = pairs,
                          .scale = scale.data()};
      const auto one_by_one = [&](float sign) {
        for (int64_t r = 0; r < rows; ++r) {
          std::vector<float> turned(sin.begin() + r * pairs,
                                    sin.begin() + (r + 1) * pairs);
          for (float& s : turned) s *= sign;
          Rotate({.x = x.data() + r * (D + 1),
                  .y = want.data() + r * D,
                  .heads = 1,
                  .D = D,
                  .pairs = pairs,
                  .cos = cos.data() + r * pairs,
                  .sin = turned.data(),
                  .scale = scale[static_cast<size_t>(r)]});
        }
      };
      RotateRows(args);
      one_by_one(1);
      EXPECT_EQ(got, want) << D << " " << pairs;
      args.back = true;
      RotateRows(args);
      one_by_one(-1);
      EXPECT_EQ(got, want) << D << " " << pairs;
      args.accumulate = true;
      RotateRows(args);
      for (float& value : want) value += value;
      EXPECT_EQ(got, want) << D << " " << pairs;
    }
  }
}

TEST_P(TrainingKernelTest, TransposeWritesEveryElementOnce) {
  Rng rng(12);
  for (const int64_t rows : {0, 1, 3, 4, 9, 16, 64}) {
    for (const int64_t columns : {1, 4, 7, 20, 64}) {
      const auto x = Normals(rng, std::max<int64_t>(1, rows * (columns + 1)));
      std::vector<float> y(static_cast<size_t>(columns * (rows + 2)), kCanary);
      Transpose(x.data(), columns + 1, rows, columns, y.data(), rows + 2);
      for (int64_t c = 0; c < columns; ++c) {
        for (int64_t r = 0; r < rows + 2; ++r) {
          const float value = y[static_cast<size_t>(c * (rows + 2) + r)];
          if (r >= rows) {
            ASSERT_EQ(value, kCanary);
          } else {
            ASSERT_EQ(value, x[static_cast<size_t>(r * (columns + 1) + c)]);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace ropewalk::kernels
