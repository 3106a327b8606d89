// The pictures of docs/positions.md are what the program draws.

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "cli/distance_picture.h"
#include "position/definition.h"
#include "position/scheme.h"

namespace ropewalk::cli {
namespace {

position::ModelPositions PictureModel() {
  return {.head_width = 64,
          .rotary_width = 64,
          .train_length = 256,
          .original_length = 256,
          .has_learned_logn = true};
}

std::string Draw(const std::string& spelling, int64_t length) {
  const position::ModelPositions model = PictureModel();
  const position::Scheme scheme =
      position::Resolve(position::ParseScheme(spelling), model, length);
  return DistanceSvg(KindsOf(position::BuildStack(scheme, model, length, 12)),
                     model, length, position::ToString(scheme));
}

// `for s in ...; do ropewalk positions $s --length 768 --map
// docs/positions/$s.svg; done` draws them anew.
TEST(PositionsTest, CommittedPicturesAreThoseOfTheProgram) {
  for (const position::Definition* definition : position::AllDefinitions()) {
    const std::string name(definition->name);
    if (name == "longrope") continue;  // its table is in the file of a model
    const std::string spelling = name == "llama3" ? "llama3:factor=8" : name;
    std::ifstream file(std::string(ROPEWALK_SOURCE_FOLDER) +
                       "/docs/positions/" + name + ".svg");
    ASSERT_TRUE(file) << name;
    const std::string committed((std::istreambuf_iterator<char>(file)), {});
    EXPECT_EQ(Draw(spelling, 768), committed) << name;
  }
}

TEST(PositionsTest, LayersThatShareAPlanAreOneKind) {
  const position::ModelPositions model = PictureModel();
  const auto kinds = [&](const std::string& spelling) {
    const position::Scheme scheme =
        position::Resolve(position::ParseScheme(spelling), model, 768);
    return KindsOf(position::BuildStack(scheme, model, 768, 12));
  };
  EXPECT_EQ(kinds("rerope").size(), 1u);
  const auto hwfa = kinds("hwfa");
  ASSERT_EQ(hwfa.size(), 2u);
  EXPECT_EQ(hwfa[0].layers, "layers 1-11");
  EXPECT_EQ(hwfa[1].layers, "layer 12");
  const auto hwfa2 = kinds("hwfa2");
  ASSERT_EQ(hwfa2.size(), 2u);
  EXPECT_EQ(hwfa2[0].layers, "layers 1-3, 5-7 and 9-12");
  EXPECT_EQ(hwfa2[1].layers, "layers 4 and 8");
}

TEST(PositionsTest, WhatNoTrainingHasSeenHasAColourOfItsOwn) {
  const std::string unseen = "\"#cf3a34\" d=";
  EXPECT_NE(Draw("rope", 768).find(unseen), std::string::npos);
  EXPECT_EQ(Draw("rope", 256).find(unseen), std::string::npos);
  EXPECT_EQ(Draw("rerope", 768).find(unseen), std::string::npos);
}

}  // namespace
}  // namespace ropewalk::cli
