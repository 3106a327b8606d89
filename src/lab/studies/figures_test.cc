#include "lab/studies/figures.h"

#include <gtest/gtest.h>

namespace ropewalk::lab::studies {
namespace {

Measurement Line(const std::string& row, uint64_t seed, int64_t length,
                 double value) {
  return {.row = row,
          .seed = seed,
          .set = "natural",
          .length = length,
          .metric = "accuracy",
          .value = value};
}

// Row a has two seeds, b the first alone: a mean of a's beside b's one run
// would be another comparison.
const std::vector<Measurement>& Uneven() {
  static const std::vector<Measurement> kLines = {
      Line("a", 1, 64, 10), Line("a", 2, 64, 30), Line("a", 1, 128, 12),
      Line("a", 2, 128, 8), Line("b", 1, 64, 20), Line("b", 1, 128, 25)};
  return kLines;
}

std::string Lengths(const std::vector<Measurement>& lines,
                    const std::vector<std::string>& rows) {
  return LengthPlot(lines, Setting{.N = 64}, "accuracy", rows, "Accuracy").svg;
}

TEST(FiguresTest, SeedsOfOneRowAloneAreNotShown) {
  EXPECT_EQ(Lengths(Uneven(), {"a", "b"}),
            Lengths(OfSeeds(Uneven(), {1}), {"a", "b"}));
  EXPECT_NE(Lengths(Uneven(), {"a", "b"}).find("Accuracy, seed 1"),
            std::string::npos);
  EXPECT_NE(Lengths(Uneven(), {"a"}).find("Accuracy, 2 seeds"),
            std::string::npos);
}

TEST(FiguresTest, PointsOfASweepAreOfTheSameSeeds) {
  const auto sweep = [](const std::vector<Measurement>& lines) {
    return SweepPlot(lines, "Sweep", "w", "natural", 64,
                     {{.name = "w", .rows = {{1, "a"}, {2, "b"}}}})
        .svg;
  };
  EXPECT_EQ(sweep(Uneven()), sweep(OfSeeds(Uneven(), {1})));
}

TEST(FiguresTest, RowsThatShareNoSeedNameTheirs) {
  std::vector<Measurement> lines = Uneven();
  for (Measurement& line : lines) {
    if (line.row == "b") line.seed = 3;
  }
  const std::string plot = Lengths(lines, {"a", "b"});
  EXPECT_NE(plot.find("a, 2 seeds"), std::string::npos) << plot;
  EXPECT_NE(plot.find("b, seed 3"), std::string::npos) << plot;
}

}  // namespace
}  // namespace ropewalk::lab::studies
