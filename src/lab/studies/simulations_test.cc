// What the studies of heads and sign optimizers simulate.

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "lab/studies/head_simulation.h"
#include "lab/studies/sign_simulation.h"

namespace ropewalk::lab::studies {
namespace {

using nn::Head;

// Table 7.3 of the derivation: n = 12000, d = 768, a network that is the
// identity.
TEST(HeadSimulationTest, ClosedFormsAreThoseOfThePost) {
  const auto loss = [](Head head, double sigma) {
    return ClosedFormLoss(
        {.head = head, .sigma = sigma, .width = 768, .vocabulary = 12000});
  };
  EXPECT_NEAR(loss(Head::kTied, 1), 768, 1e-3);  // e^768 is beyond a double
  EXPECT_NEAR(loss(Head::kTied, 0.02), 15.363, 1e-3);
  EXPECT_NEAR(loss(Head::kTied, 1 / std::sqrt(768)), 27.713, 1e-3);
  EXPECT_NEAR(loss(Head::kTiedSigma, 0), std::log(2 * 12000.0 - 1), 1e-9);
  EXPECT_NEAR(loss(Head::kUntied, 0.02), std::log(12000) + 768 * 2e-4, 1e-9);
  EXPECT_NEAR(loss(Head::kTiedRootWidth, 1 / std::sqrt(768)),
              std::log(std::exp(1) + 11999), 1e-9);
}

// The embedding's deviation is the one that was asked for, in both matrices.
TEST(HeadSimulationTest, NetworksStartWhereTheClosedFormSays) {
  for (const double sigma : {0.01, 0.03}) {
    for (const Head head : {Head::kTied, Head::kUntied, Head::kTiedHalfSwap}) {
      const HeadStart start{.head = head,
                            .sigma = sigma,
                            .width = 256,
                            .vocabulary = 1000,
                            .pairs = 3072};
      const HeadStartResult result = MeasureHeadStart(start);
      const double form = ClosedFormLoss(start);
      // 2 percent where the own logit stands out, else 0.1.
      EXPECT_NEAR(result.loss, form, head == Head::kTied ? 0.02 * form : 0.1)
          << nn::ToString(head) << " " << sigma;
      EXPECT_GT(result.loss_error, 0);
      EXPECT_LT(result.entropy, std::log(1000) + 1e-9);
    }
  }
  EXPECT_GT(MeasureHeadStart({.vocabulary = 500}).copies, 0.99);
  // A share of 0.015 of 3072 pairs varies by 0.0022.
  EXPECT_LT(MeasureHeadStart({.head = Head::kTiedHalfSwap, .vocabulary = 2000})
                .copies,
            0.03);
  EXPECT_THROW(MeasureHeadStart({.pairs = 31}), std::invalid_argument);
}

TEST(SignSimulationTest, RowsGrowByTheLogisticCurveUnlessFlushed) {
  const auto grown = GrowRow({.updates = 8000, .every = 1000});
  ASSERT_EQ(grown.size(), 9u);
  EXPECT_FLOAT_EQ(static_cast<float>(grown[0].measured), 0.02f);
  EXPECT_DOUBLE_EQ(grown[0].closed_form, 0.02);
  for (const RowSize& size : grown) {
    // Steps of 1 / 500 of a curve: first order in the step.
    EXPECT_NEAR(size.measured, size.closed_form, 0.006 * size.closed_form)
        << size.update;
  }
  EXPECT_GT(grown.back().measured, 99);
  // Flushed, the momentum is 0 after some 2100 updates; then decay alone.
  const auto flushed = GrowRow({.flush_denormals = true, .every = 1000});
  EXPECT_GT(flushed[2].measured, 1);
  EXPECT_LT(flushed.back().measured, flushed[3].measured);
  EXPECT_LT(flushed.back().measured, 2);
  EXPECT_THROW(GrowRow({.every = 0}), std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::lab::studies
