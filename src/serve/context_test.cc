#include "serve/context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "serve/api_error.h"

namespace ropewalk::serve {
namespace {

using testing::HasSubstr;

ContextWish Wish(int64_t prompt, int64_t answer) {
  return {.prompt = prompt, .answer = answer, .trained = 1000, .most = 5000};
}

TEST(ContextTest, AShortTextIsReadAsTheModelWasTrained) {
  EXPECT_EQ(PickContext(Wish(1, 1)), 1000);
  EXPECT_EQ(PickContext(Wish(900, 100)), 1000);
}

TEST(ContextTest, ALongTextGetsTheNextDoubling) {
  EXPECT_EQ(PickContext(Wish(901, 100)), 2000);
  EXPECT_EQ(PickContext(Wish(2500, 100)), 4000);
  EXPECT_EQ(PickContext(Wish(4500, 100)), 5000);
  EXPECT_EQ(PickContext(Wish(4999, 100)), 5000);
}

TEST(ContextTest, AnAnswerThatMayBeVeryLongDoesNotAskForAllOfIt) {
  EXPECT_EQ(PickContext(Wish(10, 100'000)), 2000);
}

TEST(ContextTest, WhatDoesNotFitIsToldWithBothCounts) {
  try {
    PickContext(Wish(5000, 100));
    FAIL();
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 400);
    EXPECT_EQ(error.code(), "context_length_exceeded");
    EXPECT_THAT(error.what(), HasSubstr("5000 tokens"));
    EXPECT_THAT(error.what(), HasSubstr("at most 4999"));
  }
  ContextWish wish = Wish(3000, 100);
  wish.asked = 2000;
  try {
    PickContext(wish);
    FAIL();
  } catch (const ApiError& error) {
    EXPECT_THAT(error.what(), HasSubstr("\"context\": 3100"));
  }
  wish.asked = 3001;
  EXPECT_EQ(PickContext(wish), 3001);
  wish.asked = 5001;
  EXPECT_THROW(PickContext(wish), ApiError);
}

}  // namespace
}  // namespace ropewalk::serve
