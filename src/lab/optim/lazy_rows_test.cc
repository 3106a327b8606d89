// Lazy rows (remedy 1 of post 9736, post 6869), for every optimizer that has
// them, fused and plain.

#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "lab/optim/adamw.h"
#include "lab/optim/lamb.h"
#include "lab/optim/lion.h"
#include "lab/optim/tensors_for_test.h"
#include "lab/optim/tiger.h"

namespace ropewalk::lab::optim {
namespace {

constexpr int64_t V = 6;
constexpr int64_t E = 19;

struct Maker {
  const char* name;
  double beta;  // of the first slot
  std::function<std::unique_ptr<Optimizer>(Parameter, CommonOptions)> make;
};

const std::vector<Maker>& Makers() {
  static const std::vector<Maker> kMakers = {
      {"tiger", 0.965,
       [](Parameter p, CommonOptions common) {
         return std::make_unique<Tiger>(std::vector{p},
                                        TigerOptions{.common = common});
       }},
      {"tiger_matrix", 0.965,
       [](Parameter p, CommonOptions common) {
         return std::make_unique<Tiger>(
             std::vector{p},
             TigerOptions{
                 .common = common,
                 .embedding_rms = TigerOptions::EmbeddingRms::kMatrix});
       }},
      {"lion", 0.98,
       [](Parameter p, CommonOptions common) {
         return std::make_unique<Lion>(std::vector{p},
                                       LionOptions{.common = common});
       }},
      {"adamw", 0.9,
       [](Parameter p, CommonOptions common) {
         return std::make_unique<AdamW>(std::vector{p},
                                        AdamWOptions{.common = common});
       }},
      {"lamb", 0.9,
       [](Parameter p, CommonOptions common) {
         return std::make_unique<Lamb>(std::vector{p},
                                       LambOptions{.common = common});
       }},
  };
  return kMakers;
}

Parameter Table() {
  Rng rng(1);
  return MakeParameter("e", RandomTensor(rng, {V, E}, 0.02).to(at::kFloat),
                       Parameter::Kind::kEmbedding);
}

// Row v of the gradient is zero unless v is in `rows`.
void SetRows(const Parameter& table, const std::vector<int64_t>& rows) {
  Rng rng(7);
  const at::Tensor gradient = at::zeros({V, E});
  for (const int64_t row : rows) {
    gradient[row].copy_(RandomTensor(rng, {E}, 0.1).to(at::kFloat));
  }
  table.value.mutable_grad() = gradient;
}

at::Tensor Mask(const std::vector<int64_t>& rows) {
  const at::Tensor mask = at::zeros({V}, at::kBool);
  for (const int64_t row : rows) mask[row] = true;
  return mask;
}

class LazyRowsTest : public testing::TestWithParam<std::tuple<size_t, bool>> {
 protected:
  const Maker& maker() const { return Makers()[std::get<0>(GetParam())]; }
  std::unique_ptr<Optimizer> Make(const Parameter& table, bool lazy,
                                  int64_t accumulation = 1) const {
    return maker().make(table, {.learning_rate = 1e-2,
                                .weight_decay = 0.1,
                                .accumulation = accumulation,
                                .lazy_rows = lazy,
                                .fused = std::get<1>(GetParam())});
  }
  static at::Tensor FirstSlot(const Optimizer& optimizer) {
    return optimizer.ExportState().tensors.front().second.clone();
  }
};

TEST_P(LazyRowsTest, UnseenRowsStayBitEqualWhileTheirMomentumDecays) {
  for (const bool masked : {true, false}) {
    const Parameter table = Table();
    const std::unique_ptr<Optimizer> optimizer = Make(table, true);
    SetRows(table, {0, 1, 2, 3, 4, 5});
    optimizer->Step({});
    const at::Tensor before = table.value.detach().clone();
    const at::Tensor momentum = FirstSlot(*optimizer);
    SetRows(table, {1, 4});
    StepInput input;
    if (masked) input.occurrence = Mask({1, 4});
    optimizer->Step(input);
    const at::Tensor after = FirstSlot(*optimizer);
    for (int64_t v = 0; v < V; ++v) {
      const bool seen = v == 1 || v == 4;
      EXPECT_EQ(BitEqual(table.value[v], before[v]), !seen) << v;
      if (seen) continue;
      EXPECT_LT(LargestDifference(after[v], momentum[v] * maker().beta),
                0x1p-24);
      EXPECT_FALSE(BitEqual(after[v], momentum[v]));
    }
  }
}

TEST_P(LazyRowsTest, TheMaskDecidesNotTheGradient) {
  // Tied heads give every row a gradient; only the mask knows.
  const Parameter table = Table();
  const std::unique_ptr<Optimizer> optimizer = Make(table, true);
  const at::Tensor before = table.value.detach().clone();
  SetRows(table, {0, 1, 2, 3, 4, 5});
  optimizer->Step({.occurrence = Mask({2})});
  for (int64_t v = 0; v < V; ++v) {
    EXPECT_EQ(BitEqual(table.value[v], before[v]), v != 2) << v;
  }
}

TEST_P(LazyRowsTest, RowsSeenInAnyMicroStepMoveOnce) {
  for (const bool masked : {true, false}) {
    const Parameter table = Table();
    const std::unique_ptr<Optimizer> optimizer = Make(table, true, 2);
    for (int64_t group = 0; group < 2; ++group) {
      const at::Tensor before = table.value.detach().clone();
      const int64_t early = group == 0 ? 0 : 3;
      SetRows(table, {early});
      const at::Tensor first = table.value.grad();
      StepInput input;
      if (masked) input.occurrence = Mask({early});
      optimizer->Step(input);
      EXPECT_TRUE(BitEqual(table.value, before));
      SetRows(table, {5});
      // As autograd does: on top of what is still there.
      if (optimizer->AccumulationBytes() > 0) table.value.grad().add_(first);
      if (masked) input.occurrence = Mask({5});
      optimizer->Step(input);
      for (int64_t v = 0; v < V; ++v) {
        EXPECT_EQ(BitEqual(table.value[v], before[v]), v != early && v != 5)
            << maker().name << " " << v;
      }
    }
  }
}

TEST_P(LazyRowsTest, AllRowsSeenIsTheOrdinaryStep) {
  const Parameter lazy_table = Table();
  const Parameter table = Table();
  const std::unique_ptr<Optimizer> lazy = Make(lazy_table, true);
  const std::unique_ptr<Optimizer> ordinary = Make(table, false);
  for (int step = 0; step < 3; ++step) {
    SetRows(lazy_table, {0, 1, 2, 3, 4, 5});
    SetRows(table, {0, 1, 2, 3, 4, 5});
    lazy->Step({});
    ordinary->Step({});
  }
  // LAMB joins its sums by rows here and by blocks there.
  const double tolerance =
      std::string(maker().name) == "lamb" ? 3 * 1e-2 * 0x1p-24 : 0;
  EXPECT_LE(LargestDifference(lazy_table.value, table.value), tolerance);
}

TEST_P(LazyRowsTest, RefusesAMaskOfAnotherShape) {
  const Parameter table = Table();
  const std::unique_ptr<Optimizer> optimizer = Make(table, true);
  SetRows(table, {0});
  EXPECT_THROW(optimizer->Step({.occurrence = at::zeros({V + 1}, at::kBool)}),
               std::invalid_argument);
  EXPECT_THROW(optimizer->Step({.occurrence = at::zeros({V}, at::kFloat)}),
               std::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(
    Optimizers, LazyRowsTest,
    testing::Combine(testing::Range<size_t>(0, 5), testing::Bool()),
    [](const auto& info) {
      return std::string(Makers()[std::get<0>(info.param)].name) +
             (std::get<1>(info.param) ? "_fused" : "_plain");
    });

}  // namespace
}  // namespace ropewalk::lab::optim
