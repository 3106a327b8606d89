// State out, state in, and on as if nothing had happened; threads and hybrid
// groups.

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "lab/optim/adamw.h"
#include "lab/optim/hybrid.h"
#include "lab/optim/lamb.h"
#include "lab/optim/lion.h"
#include "lab/optim/muon.h"
#include "lab/optim/tensors_for_test.h"
#include "lab/optim/tiger.h"

namespace ropewalk::lab::optim {
namespace {

using Parameters = std::vector<Parameter>;
using Make = std::function<std::unique_ptr<Optimizer>(Parameters)>;

template <typename T, typename Options>
Make Plain(Options options) {
  return [options](Parameters p) { return std::make_unique<T>(p, options); };
}

Make Hybrid(int64_t accumulation = 1) {
  const CommonOptions common{.accumulation = accumulation};
  return [common](Parameters p) {
    return std::make_unique<HybridOptimizer>(
        std::move(p),
        std::vector<HybridGroup>{
            {"hidden", TakesKind(Parameter::Kind::kMatrix),
             Plain<Muon>(MuonOptions{.common = common})},
            {"embedding", TakesKind(Parameter::Kind::kEmbedding),
             Plain<Tiger>(TigerOptions{.common = common})},
            {"rest", TakesAll(), Plain<AdamW>(AdamWOptions{.common = common})},
        });
  };
}

struct Case {
  const char* name;
  Make make;
  at::ScalarType type = at::kFloat;
  int64_t stop = 5;  // Steps before the break
};

std::vector<Case> Cases() {
  const CommonOptions three{.accumulation = 3, .lazy_rows = true};
  return {
      {"tiger", Plain<Tiger>(TigerOptions{})},
      {"tiger_inside_a_group", Plain<Tiger>(TigerOptions{.common = three})},
      {"lion", Plain<Lion>(LionOptions{})},
      {"adamw", Plain<AdamW>(AdamWOptions{})},
      {"adamw_accumulating", Plain<AdamW>(AdamWOptions{.common = three}),
       at::kFloat, 6},
      {"adamw_bf16", Plain<AdamW>(AdamWOptions{}), at::kBFloat16},
      {"lamb", Plain<Lamb>(LambOptions{}), at::kDouble},
      {"lamb_lazy", Plain<Lamb>(LambOptions{.common = three}), at::kFloat, 6},
      {"hybrid", Hybrid()},
      {"hybrid_accumulating", Hybrid(2), at::kFloat, 6},
  };
}

OptimizerState Copy(const OptimizerState& state) {
  OptimizerState copy = state;
  for (auto& [name, tensor] : copy.tensors) tensor = tensor.clone();
  return copy;
}

// A state of the same form and other numbers.
OptimizerState Other(const OptimizerState& state) {
  OptimizerState other = Copy(state);
  for (auto& [name, tensor] : other.tensors) tensor.fill_(1);
  return other;
}

void Drive(Optimizer& optimizer, int64_t begin, int64_t end) {
  for (int64_t step = begin; step < end; ++step) {
    const Parameters& parameters = optimizer.parameters();
    std::vector<at::Tensor> held;
    for (const Parameter& p : parameters) held.push_back(p.value.grad());
    SetGradients(parameters, static_cast<uint64_t>(step));
    for (size_t i = 0; i < held.size(); ++i) {
      // Rows that occur differ from step to step.
      if (parameters[i].kind == Parameter::Kind::kEmbedding) {
        parameters[i].value.grad()[step % 7].zero_();
      }
      if (held[i].defined()) parameters[i].value.grad().add_(held[i]);
    }
    optimizer.Step({.lr_factor = 1.0 / static_cast<double>(1 + step)});
  }
}

class StateTest : public testing::TestWithParam<Case> {};

TEST_P(StateTest, ResumedRunEqualsUnbrokenRunBitForBit) {
  const Case& test = GetParam();
  Parameters whole_parameters = SomeParameters(1, test.type);
  const std::unique_ptr<Optimizer> whole = test.make(whole_parameters);
  Drive(*whole, 0, 12);

  Parameters first_parameters = SomeParameters(1, test.type);
  const std::unique_ptr<Optimizer> first = test.make(first_parameters);
  Drive(*first, 0, test.stop);
  OptimizerState state = Copy(first->ExportState());
  std::reverse(state.tensors.begin(), state.tensors.end());  // any order
  Parameters second_parameters = SomeParameters(2, test.type);
  for (size_t p = 0; p < second_parameters.size(); ++p) {
    second_parameters[p].value.detach().copy_(first_parameters[p].value);
  }
  const std::unique_ptr<Optimizer> second = test.make(second_parameters);
  Drive(*second, 90, 96);  // what import must replace
  for (size_t p = 0; p < second_parameters.size(); ++p) {
    second_parameters[p].value.detach().copy_(
        first_parameters[p].value.detach());
  }
  second->ImportState(state, "test");
  Drive(*second, test.stop, 12);
  for (size_t p = 0; p < whole_parameters.size(); ++p) {
    EXPECT_TRUE(BitEqual(second_parameters[p].value, whole_parameters[p].value))
        << whole_parameters[p].name;
  }
  const OptimizerState ours = second->ExportState();
  const OptimizerState theirs = whole->ExportState();
  EXPECT_EQ(ours.counts, theirs.counts);
  ASSERT_EQ(ours.tensors.size(), theirs.tensors.size());
  for (size_t i = 0; i < ours.tensors.size(); ++i) {
    EXPECT_EQ(ours.tensors[i].first, theirs.tensors[i].first);
    EXPECT_TRUE(BitEqual(ours.tensors[i].second, theirs.tensors[i].second));
  }
}

TEST_P(StateTest, RefusesAStateThatIsNotItsOwnAndKeepsItsOwn) {
  const Parameters parameters = SomeParameters(1, GetParam().type);
  const std::unique_ptr<Optimizer> optimizer = GetParam().make(parameters);
  Drive(*optimizer, 0, 6);
  const OptimizerState good = Copy(optimizer->ExportState());
  const auto refused = [&](const OptimizerState& state,
                           const std::string& word) {
    try {
      optimizer->ImportState(state, "run/step-5");
      ADD_FAILURE() << "accepted: " << word;
    } catch (const StateError& error) {
      const std::string message = error.what();
      EXPECT_EQ(message.find("run/step-5: "), 0) << message;
      EXPECT_NE(message.find(word), std::string::npos) << message;
    }
  };
  OptimizerState bad = Other(good);
  bad.tensors.pop_back();
  refused(bad, "lacks tensor");
  const std::string& last = good.tensors.back().first;
  refused(bad, last.substr(last.rfind('/')) + "'");
  bad = Other(good);
  bad.tensors.push_back(bad.tensors.front());
  refused(bad, "listed twice");
  bad = Other(good);
  const std::string group = good.tensors.front().first.substr(
      0, good.tensors.front().first.find('/') + 1);
  bad.tensors.emplace_back(group + "unheard", at::zeros({1}));
  refused(bad, "unheard");
  bad = Other(good);
  bad.tensors.back().second = at::zeros({3, 3, 3});
  refused(bad, "must be");
  bad = Other(good);
  bad.tensors.back().second = bad.tensors.back().second.to(at::kInt);
  refused(bad, "Int");
  bad = Other(good);
  bad.tensors.back().second = at::Tensor();
  refused(bad, "nothing");
  bad = Other(good);
  bad.counts.pop_back();
  refused(bad, "lacks count");
  bad = Other(good);
  bad.counts.back().second = -1;
  refused(bad, "is -1");
  const OptimizerState after = optimizer->ExportState();
  EXPECT_EQ(after.counts, good.counts);
  for (size_t i = 0; i < after.tensors.size(); ++i) {
    EXPECT_TRUE(BitEqual(after.tensors[i].second, good.tensors[i].second));
  }
}

INSTANTIATE_TEST_SUITE_P(Optimizers, StateTest, testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

TEST(OptimizerTest, ThereIsNoneWhileGradientsPileUp) {
  const Parameters parameters = SomeParameters(1);
  AdamW adamw(parameters, {.common = {.accumulation = 2}});
  Drive(adamw, 0, 1);
  EXPECT_THROW(adamw.ExportState(), std::invalid_argument);
  Drive(adamw, 1, 2);
  EXPECT_NO_THROW(adamw.ExportState());
}

// Accumulation of the others: what has piled up, over k.
TEST(OptimizerTest, AccumulationIsAStepOnTheMeanGradient) {
  const Parameters micro_parameters = SomeParameters(1);
  const Parameters mean_parameters = SomeParameters(1);
  AdamW micro(micro_parameters, {.common = {.accumulation = 2}});
  AdamW mean(mean_parameters, {});
  Drive(micro, 0, 2);
  SetGradients(mean_parameters, 0);
  std::vector<at::Tensor> first;
  for (const Parameter& p : mean_parameters) first.push_back(p.value.grad());
  SetGradients(mean_parameters, 1);
  first[0][0].zero_();
  mean_parameters[0].value.grad()[1].zero_();
  for (size_t p = 0; p < first.size(); ++p) {
    mean_parameters[p].value.grad().add_(first[p]);
  }
  mean.Step({.lr_factor = 0.5, .gradient_scale = 0.5});
  for (size_t p = 0; p < first.size(); ++p) {
    EXPECT_TRUE(BitEqual(micro_parameters[p].value, mean_parameters[p].value));
  }
}

TEST(OptimizerTest, BadGradientLeavesItsParameterAndStateAlone) {
  for (const double bad : {0.0 / 0.0, 1 / 0.0}) {
    const Parameters parameters = SomeParameters(1);
    AdamW adamw(parameters, {});
    Drive(adamw, 0, 2);
    const OptimizerState before = Copy(adamw.ExportState());
    const at::Tensor matrix = parameters[1].value.detach().clone();
    const at::Tensor bias = parameters[3].value.detach().clone();
    SetGradients(parameters, 9);
    parameters[1].value.mutable_grad()[3][3] = bad;
    const StepReport report = adamw.Step({});
    EXPECT_EQ(report.bad, 1);
    EXPECT_EQ(report.first_bad, "matrix");
    EXPECT_TRUE(BitEqual(parameters[1].value, matrix));
    EXPECT_FALSE(BitEqual(parameters[3].value, bias));
    EXPECT_FALSE(parameters[1].value.grad().defined());
    const OptimizerState after = adamw.ExportState();
    for (size_t i = 0; i < after.tensors.size(); ++i) {
      EXPECT_EQ(BitEqual(after.tensors[i].second, before.tensors[i].second),
                after.tensors[i].first.find("matrix") != std::string::npos);
    }
  }
}

// With threads at work (pieces are of 32768 elements) and without.
TEST(OptimizerTest, ResultsDoNotDependOnThreads) {
  const CommonOptions lazy{.lazy_rows = true};
  const std::vector<Make> makes = {
      Plain<Tiger>(TigerOptions{}), Plain<Tiger>(TigerOptions{.common = lazy}),
      Plain<Lion>(LionOptions{}),   Plain<AdamW>(AdamWOptions{}),
      Plain<Lamb>(LambOptions{}),   Plain<Lamb>(LambOptions{.common = lazy})};
  const int threads = at::get_num_threads();
  for (size_t m = 0; m < makes.size(); ++m) {
    std::vector<std::vector<at::Tensor>> results;
    for (const int count : {1, 2, 3}) {
      at::set_num_threads(count);
      Rng rng(5);
      const Parameters parameters = {
          MakeParameter("e", RandomTensor(rng, {401, 257}).to(at::kFloat),
                        Parameter::Kind::kEmbedding),
          MakeParameter("w", RandomTensor(rng, {257, 509}).to(at::kFloat))};
      const std::unique_ptr<Optimizer> optimizer = makes[m](parameters);
      Drive(*optimizer, 0, 2);
      results.emplace_back();
      for (const Parameter& p : parameters) results.back().push_back(p.value);
    }
    for (const size_t other : {1, 2}) {
      for (const size_t p : {0, 1}) {
        EXPECT_TRUE(BitEqual(results[other][p], results[0][p])) << m;
      }
    }
  }
  at::set_num_threads(threads);
}

TEST(HybridTest, EachParameterMovesAsItsGroupWould) {
  const Parameters parameters = SomeParameters(1);
  const Parameters alone = SomeParameters(1);
  const std::unique_ptr<Optimizer> hybrid = Hybrid()(parameters);
  Tiger tiger({alone[0]}, {});
  Muon muon({alone[1]}, {});
  AdamW adamw({alone[2], alone[3]}, {});
  SetGradients(parameters, 3);
  SetGradients(alone, 3);
  EXPECT_TRUE(hybrid->Step({.lr_factor = 0.3}).updated);
  for (Optimizer* one : std::vector<Optimizer*>{&tiger, &muon, &adamw}) {
    one->Step({.lr_factor = 0.3});
  }
  for (size_t p = 0; p < parameters.size(); ++p) {
    EXPECT_TRUE(BitEqual(parameters[p].value, alone[p].value));
  }
  EXPECT_EQ(hybrid->StateBytes(),
            tiger.StateBytes() + muon.StateBytes() + adamw.StateBytes());
}

TEST(HybridTest, RefusesGroupsThatDoNotFit) {
  const Parameters p = SomeParameters(1);
  const Make adamw = Plain<AdamW>(AdamWOptions{});
  const Make slow = Plain<AdamW>(AdamWOptions{.common = {.accumulation = 2}});
  const auto refused = [&](const std::vector<HybridGroup>& groups) {
    EXPECT_THROW(HybridOptimizer(p, groups), std::invalid_argument);
  };
  const auto embedding = TakesKind(Parameter::Kind::kEmbedding);
  refused({{"embedding", embedding, adamw}});  // nobody takes the rest
  refused({{"a", embedding, adamw}, {"b", TakesAll(), slow}});
  refused({{"a", embedding, adamw}, {"a", TakesAll(), adamw}});
  refused({{"a/b", TakesAll(), adamw}});
  EXPECT_THROW(AdamW({p[0], p[0]}, {}), std::invalid_argument);
}

TEST(OptimizerTest, AutogradSeesThatAParameterHasChanged) {
  for (const bool fused : {true, false}) {
    const Parameters p = {MakeParameter("w", at::ones({4}))};
    AdamW adamw(p, {.common = {.fused = fused}});
    const at::Tensor loss = p[0].value.square().sum();
    p[0].value.mutable_grad() = at::ones({4});
    adamw.Step({});
    EXPECT_THROW(loss.backward(), c10::Error);  // the graph saved the old value
  }
}

}  // namespace
}  // namespace ropewalk::lab::optim
