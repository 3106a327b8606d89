// Post 9736: why embeddings run to +-1 / lambda under sign optimizers, what
// keeps them from it.

#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "lab/optim/adamw.h"
#include "lab/optim/embedding_monitor.h"
#include "lab/optim/hybrid.h"
#include "lab/optim/lion.h"
#include "lab/optim/tensors_for_test.h"
#include "lab/optim/tiger.h"

namespace ropewalk::lab::optim {
namespace {

at::Tensor SlotOf(const Optimizer& optimizer) {
  return optimizer.ExportState().tensors.front().second;
}

// One row of `width` components, each of magnitude 0.02 and of either sign.
Parameter Row(int64_t width) {
  const at::Tensor row = at::full({1, width}, 0.02f);
  row.slice(1, 0, width, 2).mul_(-1);
  return MakeParameter("e", row, Parameter::Kind::kEmbedding);
}

void StepWith(Optimizer& optimizer, double gradient) {
  const Parameter& p = optimizer.parameters()[0];
  p.value.mutable_grad() = at::full_like(p.value, gradient).detach();
  optimizer.Step({});
}

// The calling thread's flag; off again afterwards, as a thread begins.
class FlushToZero {
 public:
  explicit FlushToZero(bool on)
      : works_(at::globalContext().setFlushDenormal(on)) {}
  ~FlushToZero() { at::globalContext().setFlushDenormal(false); }
  bool works() const { return works_; }

 private:
  bool works_;
};

// Without flush-to-zero the plateau is 1 / lambda.
TEST(AnomalyTest, OneOccurrencePushesForeverTowardsOneOverLambda) {
  const FlushToZero off(false);
  for (const double lambda : {0.01, 0.02}) {
    const Parameter row = Row(8);
    Tiger tiger({row},
                {.common = {.learning_rate = 0.01, .weight_decay = lambda}});
    StepWith(tiger, 1e-4);
    const double target = -1 / lambda;  // against the sign of the gradient
    double distance = 1e9;
    for (int64_t update = 0; update < 4000; ++update) {
      StepWith(tiger, 0);
      const double now = (row.value.detach().to(at::kDouble) - target)
                             .abs()
                             .max()
                             .item<double>();
      // Up to the rounding of x near 100.
      ASSERT_LE(now, distance + 100 * 0x1p-23) << update;
      distance = now;
    }
    EXPECT_LT(distance, 1e-3 / lambda);
    // What is left of m: 14 units, of which 0.965 rounds to 14.
    EXPECT_EQ(SlotOf(tiger)[0][0].item<float>(), 14 * 0x1p-149f);
  }
}

// With flush-to-zero: of the thread, and the optimizer's own.
TEST(AnomalyTest, FlushedMomentumIsZeroAfterAbout2100Steps) {
  for (const bool of_thread : {true, false}) {
    const FlushToZero flush(of_thread);
    if (of_thread && !flush.works()) continue;
    const Parameter row = Row(8);
    Tiger tiger({row}, {.common = {.learning_rate = 1e-3,
                                   .weight_decay = 0.01,
                                   .flush_denormals = !of_thread}});
    StepWith(tiger, 1e-4);
    int64_t steps = 0;
    while (SlotOf(tiger)[0][0].item<float>() != 0 && steps < 3000) {
      StepWith(tiger, 0);
      ++steps;
    }
    // ln(3.5e-6 / 2^-126) / -ln 0.965
    EXPECT_NEAR(static_cast<double>(steps), 2099, 3);
    const double before = row.value[0][0].item<double>();
    for (int64_t i = 0; i < 1000; ++i) StepWith(tiger, 0);
    const double after = row.value[0][0].item<double>();
    EXPECT_LT(std::abs(after), std::abs(before));  // decay alone
    EXPECT_NEAR(after / before, 1, 1e-2);
  }
}

TEST(AnomalyTest, OptimizerLeavesTheThreadsFlushFlagAlone) {
  const FlushToZero off(false);
  const Parameter row = Row(8);
  Tiger tiger({row}, {.common = {.flush_denormals = true}});
  StepWith(tiger, 1);
  const volatile float tiny = 0x1p-126f;
  EXPECT_NE(tiny * 0.5f, 0.0f);
}

// Adam: the drift after one gradient has a bound, and reaches it.
TEST(AnomalyTest, AdamDriftsByItsBoundAndNoMore) {
  for (const auto& [beta2, bound] : {std::pair{0.999, 31.8}, {0.95, 5.84}}) {
    const double lr = 1e-3;
    const double exact =
        (1 - 0.9) / (std::sqrt(1 - beta2) * (1 - 0.9 / std::sqrt(beta2)));
    EXPECT_NEAR(exact, bound, 0.05);
    const Parameter p = MakeParameter("w", at::zeros({1}, at::kDouble));
    AdamW adamw({p}, {.common = {.learning_rate = lr, .weight_decay = 0},
                      .beta2 = beta2});
    for (int64_t i = 0; i < 12000; ++i) StepWith(adamw, 0);  // bias correction
    StepWith(adamw, 1);
    for (int64_t i = 0; i < 400; ++i) StepWith(adamw, 0);
    const double drift = std::abs(p.value[0].item<double>()) / lr;
    EXPECT_LE(drift, exact);
    EXPECT_GT(drift, 0.999 * exact);
  }
}

// A bigram model over Zipf tokens, p(k) ~ 1 / k^2: the tail is seen about once
// in the run. x -> E[x] W -> softmax.
struct Toy {
  static constexpr int64_t V = 384, E = 8, B = 64;
  Parameter embedding, head;
  at::Tensor seen = at::zeros({V}, at::kLong);
  std::vector<double> cumulative;
  Rng rng{11};

  Toy() {
    Rng init(3);
    embedding =
        MakeParameter("e", RandomTensor(init, {V, E}, 0.02).to(at::kFloat),
                      Parameter::Kind::kEmbedding);
    head = MakeParameter("w", RandomTensor(init, {V, E}, 0.02).to(at::kFloat));
    double sum = 0;
    for (int64_t k = 1; k <= V; ++k) {
      sum += 1 / static_cast<double>(k * k);
      cumulative.push_back(sum);
    }
  }

  int64_t Draw() {
    const double at = rng.Uniform() * cumulative.back();
    return std::lower_bound(cumulative.begin(), cumulative.end(), at) -
           cumulative.begin();
  }

  // One step; returns the loss. The next token is a fixed map of the current
  // one, now and then a fresh one.
  double Train(Optimizer& optimizer) {
    const at::Tensor ids = at::empty({B}, at::kLong);
    const at::Tensor next = at::empty({B}, at::kLong);
    for (int64_t b = 0; b < B; ++b) {
      const int64_t id = Draw();
      ids.data_ptr<int64_t>()[b] = id;
      next.data_ptr<int64_t>()[b] = rng.Uniform() < 0.8 ? id / 2 : Draw();
    }
    seen.index_add_(0, ids, at::ones({B}, at::kLong));
    const at::Tensor e = embedding.value.detach();
    const at::Tensor w = head.value.detach();
    const at::Tensor x = e.index_select(0, ids);
    const at::Tensor logp = at::log_softmax(at::mm(x, w.t()), 1);
    const double loss =
        -logp.gather(1, next.unsqueeze(1)).mean().item<double>();
    at::Tensor slope = logp.exp();
    slope.scatter_add_(1, next.unsqueeze(1), at::full({B, 1}, -1.0f));
    slope.div_(B);
    const at::Tensor to_e = at::zeros({V, E});
    to_e.index_add_(0, ids, at::mm(slope, w));
    head.value.mutable_grad() = at::mm(slope.t(), x);
    embedding.value.mutable_grad() = to_e;
    optimizer.Step({});
    return loss;
  }

  // max|E| over tokens seen 1 to 5 times.
  double RareExtreme() const {
    const at::Tensor rare = seen.ge(1).logical_and(seen.le(5));
    EXPECT_GT(rare.sum().item<int64_t>(), 20);
    return embedding.value.detach()
        .abs()
        .amax({1})
        .masked_select(rare)
        .max()
        .item<double>();
  }
};

struct Outcome {
  double rare_extreme, loss;  // of the last 500 updates
};

template <typename MakeOptimizer>
Outcome TrainToy(const MakeOptimizer& make) {
  Toy toy;
  const std::unique_ptr<Optimizer> optimizer = make({toy.embedding, toy.head});
  double loss = 0;
  constexpr int64_t kUpdates = 5000;
  for (int64_t i = 0; i < kUpdates; ++i) {
    const double now = toy.Train(*optimizer);
    if (i >= kUpdates - 500) loss += now / 500;
  }
  return {toy.RareExtreme(), loss};
}

// The anomaly needs about 4.3k updates at alpha = 2e-3. Tied heads
// want a model with layers between: here the hidden state is the embedding of
// mostly one token, and all rows run along it.
TEST(AnomalyTest, RareEmbeddingsExplodeUnderTigerAndUnderNoRemedy) {
  const double limit = 10 * 0.02 * 3;  // 10 x the largest at the start
  const auto tiger = [](bool lazy) {
    return [lazy](std::vector<Parameter> p) {
      return std::make_unique<Tiger>(
          std::move(p), TigerOptions{.common = {.learning_rate = 2e-3,
                                                .weight_decay = 0.01,
                                                .lazy_rows = lazy}});
    };
  };
  const auto adamw = [](std::vector<Parameter> p) {
    return std::make_unique<AdamW>(
        std::move(p), AdamWOptions{.common = {.learning_rate = 1e-3}});
  };
  const auto hybrid = [&](std::vector<Parameter> p) {
    return std::make_unique<HybridOptimizer>(
        std::move(p),
        std::vector<HybridGroup>{
            {"embedding", TakesKind(Parameter::Kind::kEmbedding), adamw},
            {"rest", TakesAll(), tiger(false)}});
  };
  const Outcome anomaly = TrainToy(tiger(false));
  const Outcome lazy = TrainToy(tiger(true));
  const Outcome adam = TrainToy(adamw);
  const Outcome mixed = TrainToy(hybrid);
  // 71 +- 7 over six seeds, and 0.07 +- 0.01 under each remedy.
  EXPECT_GT(anomaly.rare_extreme, 0.4 / 0.01);
  EXPECT_LT(lazy.rare_extreme, limit);
  EXPECT_LT(adam.rare_extreme, limit);
  EXPECT_LT(mixed.rare_extreme, limit);
  // The loss does not show it: they differ by 0.00 +- 0.05.
  EXPECT_NEAR(anomaly.loss, lazy.loss, 0.2);
}

}  // namespace
}  // namespace ropewalk::lab::optim
