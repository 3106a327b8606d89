#include "lab/studies/monoflow/monoflow.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "formats/text_file.h"
#include "lab/studies/comparison.h"
#include "lab/studies/study.h"

namespace ropewalk::lab::studies::monoflow {
namespace {

namespace fs = std::filesystem;

std::string InSources(const std::string& path) {
  return (fs::path(ROPEWALK_SOURCE_FOLDER) / path).string();
}

Setting Small() { return {.scale = Scale::kSmall, .seeds = {1, 2, 3}}; }

// A stale state is one of another name: whatever is changed about a run gives
// it another file.
TEST(MonoFlowStateTest, EveryPartOfARunNamesItsFile) {
  const flow::GanOptions base{.loss = "logit",
                              .batch = 64,
                              .generator = {.rate = 2e-4, .beta1 = 0.5},
                              .discriminator = {.rate = 4e-4, .beta1 = 0.5},
                              .decay_from = 0,
                              .decay_to = 0};
  std::vector<flow::GanOptions> others(18, base);
  others[0].loss = "vanilla:C=5";
  others[1].batch = 128;
  others[2].generator.rate = 4e-4;
  others[3].generator.beta1 = 0.9;
  others[4].generator.beta2 = 0.99;
  others[5].discriminator.rate = 8e-4;
  others[6].discriminator.beta1 = 0.9;
  others[7].discriminator.beta2 = 0.99;
  others[8].decay_to = 2000;
  others[9].average = 0.99;
  others[10].seed = 2;
  others[11].discriminator_steps = 2;
  others[12].objective = flow::GanOptions::Objective::kReflow;
  others[13].regression = true;
  others[14].epsilon = 0.2;
  others[15].inner_steps = 3;
  others[16].largest_logit = 100;
  others[17].keep_every = 10;
  const auto file = [](const flow::GanOptions& options, int64_t steps = 2000,
                       int64_t noise = 64, int64_t channels = 32,
                       bool from_mean = false, const char* data = "abc") {
    return StateFile("logit",
                     StateIdentity(options, steps, noise, channels, from_mean),
                     data);
  };
  std::set<std::string> files = {file(base)};
  EXPECT_EQ(*files.begin(), file(base));
  for (const flow::GanOptions& other : others) files.insert(file(other));
  files.insert(file(base, 3000));
  files.insert(file(base, 2000, 32));
  files.insert(file(base, 2000, 64, 16));
  files.insert(file(base, 2000, 64, 32, true));
  files.insert(file(base, 2000, 64, 32, false, "abd"));
  EXPECT_EQ(files.size(), 1 + others.size() + 5);
  EXPECT_EQ(StateFile("vanilla:C=5 s1", "x", "y").find_first_of(":= "),
            std::string::npos);
}

// A run that diverged leaves fewer frames, a broken disk less of a file; and
// particles without their row are those of a table that is gone.
TEST(MonoFlowFilmTest, ShortAndBrokenParticlesStopNoReport) {
  const std::string folder = testing::TempDir() + "monoflow-film";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder + "/particles");
  const std::string row = "8-gaussians, generator and particles";
  const std::string path =
      folder + "/particles/8-gaussians-generator-and-particles.safetensors";
  flow::WriteTensorFile(
      path, {.tensors = {{"generator", at::zeros({3, 5, 2})},
                         {"particles", at::zeros({kFrames, 5, 2})}}});
  Measurements measured(folder + "/measured.csv", {.scale = "small"});
  EXPECT_TRUE(Films(Small(), measured).empty()) << "a row was not measured";
  measured.Add({{.row = row,
                 .seed = 1,
                 .set = "8-gaussians",
                 .length = 1,
                 .metric = "sliced W2",
                 .value = 1}});
  EXPECT_EQ(Films(Small(), measured).size(), 1u);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  EXPECT_TRUE(Films(Small(), measured).empty());
}

// The table of the 2-D Gaussian, by the words of its head.
report::Table GaussianTable() {
  const Measurements measured(InSources("studies/monoflow/measured.csv"),
                              {.scale = "small"});
  return GaussianTables(Small(), measured).front().table;
}

std::string TextOf(const report::Table& table, size_t row, size_t column) {
  return std::get<std::string>(table.rows()[row][column].value());
}

// What stands as published is what published.csv has, where that has numbers:
// a mean within 0.1 of 0 is reached, one beyond 1 is missed.
TEST(MonoFlowTableTest, PublishedVerdictsAreThoseOfThePublishedNumbers) {
  const std::string path = InSources("studies/monoflow/published.csv");
  std::map<std::string, double> squares;
  for (const Published& one :
       ParsePublished(formats::ReadTextFile(path), path)) {
    if (one.metric.starts_with("mean"))
      squares[one.row] += one.value * one.value;
  }
  const report::Table table = GaussianTable();
  ASSERT_EQ(table.rows().size(), 6u);
  ASSERT_EQ(table.columns().size(), 7u);
  const char* kColumns[] = {"through q", "detached", "learned"};
  size_t with_numbers = 0;
  for (size_t row = 0; row < 6; ++row) {
    for (size_t c = 0; c < 3; ++c) {
      const std::string verdict = TextOf(table, row, 1 + 2 * c);
      EXPECT_TRUE(verdict == "reached" || verdict == "missed") << verdict;
      const auto known =
          squares.find(TextOf(table, row, 0) + ", " + kColumns[c]);
      if (known == squares.end()) continue;
      ++with_numbers;
      const double mean = std::sqrt(known->second);
      EXPECT_TRUE(mean < 0.1 || mean > 1) << known->first;
      EXPECT_EQ(verdict, mean < 0.1 ? "reached" : "missed") << known->first;
    }
  }
  // The other five have no numbers (methods: 4.2).
  EXPECT_EQ(with_numbers, 13u);
}

Measurement Kept(const std::string& row, uint64_t seed, double steps) {
  return {.row = row,
          .seed = seed,
          .set = "set",
          .length = 100,
          .metric = kStepsKept,
          .value = steps};
}

TEST(MonoFlowTableTest, RowsThatDivergedAreMarked) {
  const std::string path =
      fs::path(testing::TempDir()) / "monoflow-measured.csv";
  fs::remove(path);
  Measurements measured(path, {.scale = "small", .data = "seeded draws"});
  measured.Add({Kept("a", 1, 100), Kept("a", 2, 100), Kept("b", 1, 100),
                Kept("b", 2, 40), Kept("b", 3, 100)});
  EXPECT_EQ(Diverged(measured, "a"), "");
  EXPECT_EQ(Diverged(measured, "b"), " (diverged: 1 of 3)");
  EXPECT_EQ(Diverged(measured, "c"), "");
  fs::remove(path);
}

// Twelve runs at small: four losses with three seeds, the vanilla loss with
// its shift and without among them; what they are set beside comes before.
TEST(MonoFlowImagesTest, EveryRunHasItsControls) {
  std::map<std::string, int64_t> runs;
  std::vector<std::string> order;
  for (const Job& job : ImageJobs(Small())) {
    if (!runs.contains(job.row)) order.push_back(job.row);
    ++runs[job.row];
  }
  int64_t trained = 0;
  for (const std::string& loss : SizesOf(Small()).image_losses) {
    EXPECT_EQ(runs["Fashion-MNIST, " + loss], 3) << loss;
    trained += runs["Fashion-MNIST, " + loss];
  }
  EXPECT_EQ(trained, 12);
  EXPECT_EQ(runs["Fashion-MNIST, vanilla:C=5"], 3);
  EXPECT_EQ(runs["Fashion-MNIST, vanilla:C=0"], 3);
  EXPECT_EQ(runs["Fashion-MNIST, untrained generator"], 3);
  EXPECT_EQ(runs["Fashion-MNIST, held-out images"], 1);
  EXPECT_EQ(runs["Fashion-MNIST, training images"], 1);
  EXPECT_EQ(order.back(), "Fashion-MNIST, vanilla:C=0");
}

// The claim about the Frechet distance can fail, and does where a generator
// has come only half of the way.
TEST(MonoFlowImagesTest, ATrainedGeneratorMustBeFarBelowAnUntrainedOne) {
  const Setting small = Small();
  const std::string row = "Fashion-MNIST, logit";
  const auto line = [&](double value) {
    return Measurement{.row = row,
                       .seed = 1,
                       .set = "Fashion-MNIST",
                       .length = SizesOf(small).image_steps,
                       .metric = "Frechet distance, share of untrained",
                       .value = value};
  };
  const auto verdict = [&](double value) {
    for (const Claim& claim : ImageClaims(small)) {
      if (claim.left.row == row && claim.bound == 0.25) {
        return Judge({line(value)}, claim).verdict;
      }
    }
    return Verdict::kMissing;
  };
  EXPECT_EQ(verdict(0.5), Verdict::kFails);
  EXPECT_EQ(verdict(0.1), Verdict::kHolds);
}

}  // namespace
}  // namespace ropewalk::lab::studies::monoflow
