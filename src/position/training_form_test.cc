// Schemes under which a model is run but not trained.

#include <gtest/gtest.h>

#include <string>

#include "position/definition.h"
#include "position/scheme.h"

namespace ropewalk::position {
namespace {

std::string TrainedAs(const std::string& spelling) {
  return ToString(TrainingForm(ParseScheme(spelling), 256));
}

TEST(TrainingFormTest, Hwfa2TrainsItsFullLayersWithAWindowAsLongAsTheText) {
  EXPECT_EQ(TrainedAs("hwfa2:window=16"), "hwfa2:window=16,rerope=256");
  EXPECT_EQ(TrainedAs("hwfa2:window=16,rerope=8"),
            "hwfa2:window=16,rerope=256");
}

TEST(TrainingFormTest, OtherSchemesAreTrainedAsTheyAreRun) {
  for (const Definition* definition : AllDefinitions()) {
    if (definition->train_as != nullptr) continue;
    const std::string name(definition->name);
    EXPECT_EQ(TrainedAs(name), ToString(ParseScheme(name)));
  }
}

TEST(TrainingFormTest, EachLayerOfAStackHasItsOwnTrainingForm) {
  Scheme stack;
  stack.layers = {ParseScheme("hwfa2:window=16"), ParseScheme("nope")};
  const Scheme trained = TrainingForm(stack, 256);
  EXPECT_EQ(ToString(trained.layers[0]), "hwfa2:window=16,rerope=256");
  EXPECT_EQ(ToString(trained.layers[1]), "nope");
}

}  // namespace
}  // namespace ropewalk::position
