// What a run of a GAN keeps, saves and takes back: nothing that is not finite,
// and everything that it needs to go on.

#include <gtest/gtest.h>
#include <torch/csrc/autograd/grad_mode.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <stdexcept>

#include "base/error.h"
#include "lab/flow/draws.h"
#include "lab/flow/finite.h"
#include "lab/flow/gan.h"
#include "lab/flow/gradient.h"
#include "lab/flow/tensor_file.h"

namespace ropewalk::lab::flow {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<Network> PointNetwork(int64_t outputs, uint64_t seed) {
  return std::make_unique<Perceptron>(std::vector<int64_t>{2, 16, outputs},
                                      NetworkOptions{.seed = seed});
}

std::unique_ptr<Gan> PointGan(const GanOptions& options) {
  return std::make_unique<Gan>(
      PointNetwork(2, options.seed), PointNetwork(1, options.seed + 1),
      MakeTarget("8-gaussians").sample, std::vector<int64_t>{2}, options);
}

void Fill(const optim::Parameter& parameter, double value) {
  const torch::autograd::AutoGradMode off(false);
  at::Tensor tensor = parameter.value;
  tensor.fill_(value);
}

std::vector<at::Tensor> ValuesOf(const Network& network) {
  std::vector<at::Tensor> values;
  for (const optim::Parameter& one : network.parameters()) {
    values.push_back(one.value.detach().clone());
  }
  return values;
}

bool Same(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (!a[i].equal(b[i])) return false;
  }
  return a.size() == b.size();
}

class GanStateTest : public testing::Test {
 protected:
  void SetUp() override { fs::remove(path_); }
  void TearDown() override { fs::remove(path_); }
  std::string path_ = fs::path(testing::TempDir()) / "gan-state.safetensors";
};

// The losses of a step are those before it: at a rate that overflows they are
// finite still when the generator no longer is, and no other step looks.
TEST_F(GanStateTest, ALastStepThatEndsInInfinityIsNoticed) {
  const auto gan = PointGan({.batch = 8, .generator = {.rate = 1e300}});
  int64_t seen = 0;
  const GanReport report = gan->Train(1, [&](const GanReport&) { ++seen; });
  ASSERT_TRUE(report.diverged.has_value());
  EXPECT_NE(report.diverged->find("'generator/layer"), std::string::npos)
      << *report.diverged;
  EXPECT_NE(report.diverged->find("after step 1"), std::string::npos)
      << *report.diverged;
  EXPECT_EQ(report.steps, 0);
  EXPECT_EQ(seen, 0);
  EXPECT_TRUE(IsFinite(gan->Generate(10, 1)));
  EXPECT_NO_THROW(gan->Save(path_, "points"));
}

TEST_F(GanStateTest, WhatIsNotFiniteIsNotSaved) {
  const auto gan = PointGan({.batch = 8});
  gan->Train(2);
  Fill(gan->discriminator().parameters().back(), NAN);
  EXPECT_THROW(gan->Save(path_, "points"), std::runtime_error);
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(GanStateTest, WhatIsNotFiniteIsNotLoaded) {
  const GanOptions options{.batch = 8, .average = 0.9};
  const auto gan = PointGan(options);
  gan->Train(3);
  gan->Save(path_, "points");
  const TensorFile good = ReadTensorFile(path_);
  const auto other = PointGan(options);
  const auto before = ValuesOf(other->generator());
  int64_t tried = 0;
  for (size_t i = 0; i < good.tensors.size(); ++i) {
    TensorFile bad = good;
    at::Tensor spoilt = good.tensors[i].second.clone();
    spoilt.view({-1})[0] = i % 2 == 0 ? NAN : HUGE_VAL;
    bad.tensors[i].second = spoilt;
    WriteTensorFile(path_, bad);
    try {
      other->Load(path_, "points");
      ADD_FAILURE() << good.tensors[i].first;
    } catch (const FormatError& error) {
      const std::string said = error.what();
      EXPECT_NE(said.find("NaN or infinity"), std::string::npos) << said;
      EXPECT_NE(said.find(good.tensors[i].first), std::string::npos) << said;
    }
    ++tried;
  }
  // Parameters, two moments of each, and the average of the generator's; of
  // now and of the state to go back to.
  EXPECT_EQ(tried, 2 * (8 + 16 + 4));
  EXPECT_TRUE(Same(before, ValuesOf(other->generator())));
  EXPECT_EQ(other->steps(), 0);
}

TEST_F(GanStateTest, AResumedRunKeepsItsAverageAndItsPace) {
  const GanOptions options{
      .batch = 16, .decay_from = 5, .decay_to = 30, .average = 0.9, .seed = 3};
  const auto whole = PointGan(options);
  whole->Train(20);
  const auto first = PointGan(options);
  first->Train(11);
  first->Save(path_, "points");
  const auto second = PointGan(options);
  second->Load(path_, "points");
  second->Train(20);
  EXPECT_TRUE(whole->Generate(50, 1).equal(second->Generate(50, 1)));
  EXPECT_TRUE(whole->Generate(50, 1, Gan::Weights::kLast)
                  .equal(second->Generate(50, 1, Gan::Weights::kLast)));
  EXPECT_FALSE(whole->Generate(50, 1).equal(
      whole->Generate(50, 1, Gan::Weights::kLast)));
}

TEST_F(GanStateTest, TheAverageIsThatOfTheSteps) {
  constexpr double kAverage = 0.3;
  const auto gan = PointGan({.batch = 16, .average = kAverage, .seed = 5});
  const auto plain = PointGan({.batch = 16, .seed = 5});
  auto average = ValuesOf(gan->generator());
  gan->Train(12, [&](const GanReport& now) {
    const auto t = static_cast<double>(now.steps - 1);
    const double decay = std::min(kAverage, (1 + t) / (10 + t));
    const auto values = ValuesOf(gan->generator());
    for (size_t i = 0; i < values.size(); ++i) {
      average[i] = at::lerp(average[i], values[i], 1 - decay);
    }
  });
  plain->Train(12);
  // It takes no part in the training.
  EXPECT_TRUE(Same(ValuesOf(gan->generator()), ValuesOf(plain->generator())));
  const at::Tensor samples = gan->Generate(30, 1);
  EXPECT_TRUE(Same(ValuesOf(gan->generator()), ValuesOf(plain->generator())));
  for (size_t i = 0; i < average.size(); ++i) {
    const torch::autograd::AutoGradMode off(false);
    at::Tensor value = gan->generator().parameters()[i].value;
    value.copy_(average[i]);
  }
  EXPECT_LT((gan->Generate(30, 1, Gan::Weights::kLast) - samples)
                .abs()
                .max()
                .item<double>(),
            1e-6);
}

// The rates are their own up to a step, fall after it, and are 0 in the end.
TEST_F(GanStateTest, RatesFallAlongALine) {
  const GanOptions options{.batch = 16, .decay_from = 6, .decay_to = 10};
  const auto falling = PointGan(options);
  const auto steady = PointGan({.batch = 16});
  falling->Train(6);
  steady->Train(6);
  EXPECT_TRUE(
      Same(ValuesOf(falling->generator()), ValuesOf(steady->generator())));
  // The step with the whole rate, which begins the line, is the same too.
  falling->Train(7);
  steady->Train(7);
  EXPECT_TRUE(
      Same(ValuesOf(falling->generator()), ValuesOf(steady->generator())));
  const auto before = ValuesOf(falling->discriminator());
  const auto before_steady = ValuesOf(steady->discriminator());
  falling->Train(8);
  steady->Train(8);
  // Both began this step alike, and one went three quarters of the way.
  const auto after = ValuesOf(falling->discriminator());
  const auto after_steady = ValuesOf(steady->discriminator());
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_LT(
        ((after[i] - before[i]) - 0.75 * (after_steady[i] - before_steady[i]))
            .abs()
            .max()
            .item<double>(),
        1e-6);
  }
  falling->Train(10);
  const auto end = ValuesOf(falling->generator());
  falling->Train(15);
  EXPECT_TRUE(Same(end, ValuesOf(falling->generator())));
}

// A pitfall of the regression form: the K inner steps of the regression share
// their noise and their targets. By hand, with a discriminator that has made
// its one step.
TEST_F(GanStateTest, InnerStepsKeepTheirNoiseAndTheirTargets) {
  constexpr int64_t kInner = 5;
  constexpr double kEpsilon = 0.2;
  GanOptions options{.batch = 32,
                     .regression = true,
                     .epsilon = kEpsilon,
                     .generator = {.rate = 2e-4},
                     .seed = 6};
  const auto one = PointGan(options);
  one->Train(1);
  options.inner_steps = kInner;
  const auto several = PointGan(options);
  several->Train(1);
  // The first step of D comes before the generator's and is the same in both.
  ASSERT_TRUE(
      Same(ValuesOf(one->discriminator()), ValuesOf(several->discriminator())));
  const auto g = PointNetwork(2, options.seed);
  const auto adam = MakeAdam(*g, options.generator);
  at::Generator draws = Draws(options.seed, Purpose::kNoise, 0);
  const at::Tensor z = Normal({options.batch, 2}, draws, at::dtype(at::kFloat));
  const at::Tensor targets =
      RegressionTargets(Loss::Parse("logit"), one->discriminator(),
                        g->Forward(z).detach(), kEpsilon);
  const auto left = [&](const Network& network) {
    return RegressionLoss(network.Forward(z), targets).item<double>();
  };
  const double before = left(*g);
  for (int64_t k = 0; k < kInner; ++k) {
    FillGradients(RegressionLoss(g->Forward(z), targets), g->parameters());
    adam->Step({});
  }
  EXPECT_TRUE(Same(ValuesOf(*g), ValuesOf(several->generator())));
  EXPECT_LT(left(several->generator()), left(one->generator()));
  EXPECT_LT(left(one->generator()), before);
}

TEST_F(GanStateTest, WhatDoesNotFitIsRefused) {
  const auto sample = MakeTarget("8-gaussians").sample;
  const auto make = [&](std::unique_ptr<Network> g, std::unique_ptr<Network> D,
                        std::vector<int64_t> noise, GanOptions options = {},
                        bool target = true) {
    return Gan(std::move(g), std::move(D), target ? sample : Sampler(),
               std::move(noise), std::move(options));
  };
  EXPECT_NO_THROW(make(PointNetwork(2, 1), PointNetwork(1, 2), {2}));
  // Noise of another width, D of another, more than one logit, no network.
  EXPECT_THROW(make(PointNetwork(2, 1), PointNetwork(1, 2), {3}),
               std::invalid_argument);
  EXPECT_THROW(make(PointNetwork(3, 1), PointNetwork(1, 2), {2}),
               std::invalid_argument);
  EXPECT_THROW(make(PointNetwork(2, 1), PointNetwork(2, 2), {2}),
               std::invalid_argument);
  EXPECT_THROW(make(nullptr, PointNetwork(1, 2), {2}), std::invalid_argument);
  EXPECT_THROW(make(PointNetwork(2, 1), PointNetwork(1, 2), {0}),
               std::invalid_argument);
  EXPECT_THROW(make(PointNetwork(2, 1), PointNetwork(1, 2), {2}, {}, false),
               std::invalid_argument);
  const std::vector<GanOptions> wrong = {{.generator = {.rate = 0}},
                                         {.discriminator = {.rate = NAN}},
                                         {.epsilon = HUGE_VAL},
                                         {.decay_from = 5},
                                         {.decay_from = 9, .decay_to = 9},
                                         {.average = 1},
                                         {.average = -0.1}};
  for (const GanOptions& options : wrong) {
    EXPECT_THROW(make(PointNetwork(2, 1), PointNetwork(1, 2), {2}, options),
                 std::invalid_argument);
  }
  auto spoilt = PointNetwork(2, 1);
  Fill(spoilt->parameters().front(), NAN);
  EXPECT_THROW(make(std::move(spoilt), PointNetwork(1, 2), {2}),
               std::invalid_argument);
  Gan gan = make(PointNetwork(2, 1), PointNetwork(1, 2), {2});
  EXPECT_THROW(gan.Generate(0, 1), std::invalid_argument);
  EXPECT_THROW(gan.Train(-1), std::invalid_argument);
  // A target of three dimensions for samples of two.
  Gan other(PointNetwork(2, 1), PointNetwork(1, 2),
            [](int64_t n, at::Generator& draws) {
              return at::randn({n, 3}, draws);
            },
            {2}, {});
  EXPECT_THROW(other.Train(1), std::invalid_argument);
}

TEST_F(GanStateTest, ALearnedRatioRefusesWhatIsNoParticles) {
  LearnedRatio ratio(PointNetwork(1, 1), MakeTarget("8-gaussians").sample,
                     {.batch = 8});
  EXPECT_THROW(ratio.Fit(at::zeros({5, 3}), 0), std::invalid_argument);
  EXPECT_THROW(ratio.Fit(at::zeros({0, 2}), 0), std::invalid_argument);
  EXPECT_THROW(ratio.Fit(at::full({5, 2}, NAN), 0), std::invalid_argument);
  EXPECT_NO_THROW(ratio.Fit(at::zeros({5, 2}), 0));
}

// Not the particles, whose step is what a flow would blame otherwise.
TEST_F(GanStateTest, ALearnedRatioThatDivergesIsNamedAndTakenBack) {
  const at::Tensor x = at::linspace(-1, 1, 20).view({10, 2});
  for (const double rate : {1e20, 1e38, 1e300}) {
    LearnedRatio ratio(PointNetwork(1, 1), MakeTarget("8-gaussians").sample,
                       {.adam = {.rate = rate}, .batch = 8, .steps = 20});
    const at::Tensor before = ratio.LogRatio(x, 0);
    for (int again = 0; again < 2; ++again) {
      try {
        Flow(ratio, Loss::Parse("logit"), x, {.step = 0.1, .end = 1});
        ADD_FAILURE() << rate;
      } catch (const std::runtime_error& error) {
        EXPECT_NE(std::string(error.what()).find("the discriminator diverged"),
                  std::string::npos)
            << error.what();
      }
      EXPECT_TRUE(ratio.LogRatio(x, 0).equal(before)) << rate;
    }
  }
}

// Data that turn to no numbers in step 38: a run that was saved on the way
// goes back to the step that an unbroken one goes back to.
TEST_F(GanStateTest, ARunThatDivergesGoesBackWhereverItWasSaved) {
  const GanOptions options{.batch = 8, .average = 0.9, .keep_every = 10};
  const auto make = [&](int64_t* batches) {
    return std::make_unique<Gan>(
        PointNetwork(2, 1), PointNetwork(1, 2),
        [batches](int64_t n, at::Generator& draws) {
          const at::Tensor x = at::randn({n, 2}, draws);
          return ++*batches > 37 ? x / 0 * 0 : x;
        },
        std::vector<int64_t>{2}, options);
  };
  int64_t batches = 0;
  const auto whole = make(&batches);
  ASSERT_TRUE(whole->Train(50).diverged.has_value());
  ASSERT_EQ(whole->steps(), 30);
  for (const int64_t saved_at : {0, 5, 29, 30, 31, 36, 37}) {
    batches = 0;
    const auto first = make(&batches);
    first->Train(saved_at);
    first->Save(path_, "points");
    const auto second = make(&batches);
    second->Load(path_, "points");
    ASSERT_TRUE(second->Train(50).diverged.has_value()) << saved_at;
    EXPECT_EQ(second->steps(), whole->steps()) << saved_at;
    EXPECT_TRUE(
        Same(ValuesOf(second->generator()), ValuesOf(whole->generator())))
        << saved_at;
    EXPECT_TRUE(second->Generate(10, 1).equal(whole->Generate(10, 1)))
        << saved_at;
  }
  // The same run in pieces that are not saved.
  batches = 0;
  const auto pieces = make(&batches);
  for (int64_t steps = 3; steps <= 50; steps += 4) pieces->Train(steps);
  EXPECT_EQ(pieces->steps(), whole->steps());
}

// A file from before there was a state to go back to in it.
TEST_F(GanStateTest, AnOlderFileIsLoaded) {
  const GanOptions options{.batch = 16, .seed = 3};
  const auto whole = PointGan(options);
  whole->Train(20);
  const auto first = PointGan(options);
  first->Train(11);
  first->Save(path_, "points");
  TensorFile file = ReadTensorFile(path_);
  std::erase_if(file.tensors,
                [](const auto& one) { return one.first.starts_with("kept/"); });
  std::erase_if(file.texts,
                [](const auto& one) { return one.first.starts_with("kept/"); });
  WriteTensorFile(path_, file);
  const auto second = PointGan(options);
  second->Load(path_, "points");
  second->Train(20);
  EXPECT_TRUE(whole->Generate(50, 1).equal(second->Generate(50, 1)));
  // And one that lost a part of that state is none.
  first->Save(path_, "points");
  file = ReadTensorFile(path_);
  file.tensors.pop_back();
  WriteTensorFile(path_, file);
  EXPECT_THROW(second->Load(path_, "points"), FormatError);
  EXPECT_EQ(second->steps(), 20);
}

}  // namespace
}  // namespace ropewalk::lab::flow
