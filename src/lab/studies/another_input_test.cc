#include "lab/studies/another_input.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace ropewalk::lab::studies {
namespace {

TEST(AnotherInputTest, StreamsTakeThePrefixOfTheRowBefore) {
  nn::Inputs inputs;
  inputs.ids = at::arange(15).view({3, 5});
  inputs.prefix = at::full({3}, 2, at::kLong);
  const nn::Inputs other = OfTheOneBefore(inputs);
  EXPECT_TRUE(at::equal(other.ids, at::tensor({10, 11, 2, 3, 4,  //
                                               0, 1, 7, 8, 9,    //
                                               5, 6, 12, 13, 14},
                                              at::kLong)
                                       .view({3, 5})));
  // What was handed in is as it was.
  EXPECT_TRUE(at::equal(inputs.ids, at::arange(15).view({3, 5})));
  inputs.prefix = at::tensor({2, 2, 3}, at::kLong);
  EXPECT_THROW(OfTheOneBefore(inputs), std::invalid_argument);
}

TEST(AnotherInputTest, EncodersTakeTheRowBefore) {
  nn::Inputs inputs;
  inputs.ids = at::arange(4).view({2, 2});
  inputs.encoder_ids = at::arange(6).view({2, 3});
  inputs.encoder_lengths = at::full({2}, 3, at::kLong);
  const nn::Inputs other = OfTheOneBefore(inputs);
  EXPECT_TRUE(at::equal(other.ids, inputs.ids));
  EXPECT_TRUE(
      at::equal(other.encoder_ids,
                at::tensor({3, 4, 5, 0, 1, 2}, at::kLong).view({2, 3})));
  inputs.encoder_lengths = at::tensor({3, 2}, at::kLong);
  EXPECT_THROW(OfTheOneBefore(inputs), std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::lab::studies
