#include "position/scheme.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "position/definition.h"

namespace ropewalk::position {
namespace {

ModelPositions Model(int64_t N = 256, int64_t D = 8) {
  return {.head_width = D,
          .rotary_width = D,
          .train_length = N,
          .original_length = N};
}

std::string Resolved(const std::string& spelling, int64_t length,
                     const ModelPositions& model = Model()) {
  return ToString(Resolve(ParseScheme(spelling), model, length));
}

std::string Refusal(const std::string& spelling,
                    const ModelPositions& model = Model()) {
  try {
    Resolve(ParseScheme(spelling), model, 2048);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(SchemeTest, CanonicalSpellingsPrintBack) {
  for (const char* spelling : {"rope",
                               "nope",
                               "auto",
                               "pi:factor=8",
                               "ntk-old:factor=8",
                               "ntk-fixed:factor=2.5",
                               "ntk-mixed:factor=8,b=0.625",
                               "yarn:factor=8,fast=32,slow=1",
                               "dynamic-ntk",
                               "dynamic-ntk:factor=2",
                               "llama3:factor=8,low=1,high=4",
                               "longrope",
                               "cope",
                               "cope:clip=20",
                               "rerope:window=512",
                               "rerope:window=512+logn",
                               "rerope+logn-clip",
                               "rerope:window=512+logn:base=1024",
                               "leaky-rerope:window=512,k=16",
                               "leaky-rerope:window=512,k=1/16",
                               "inv-leaky:window=128,k=1/16",
                               "self-extend:window=512,group=8",
                               "dca:chunk=3072",
                               "window:size=512",
                               "sink-window:size=1020,sinks=4",
                               "sink-window:size=124,sinks=4,cache-positions=0",
                               "hwfa:window=16",
                               "hwfa2:window=64,full=2,rerope=256",
                               "rope+logn-learned"}) {
    EXPECT_EQ(ToString(ParseScheme(spelling)), spelling);
  }
}

TEST(SchemeTest, OtherSpellingsBecomeCanonical) {
  const auto canonical = [](const char* s) { return ToString(ParseScheme(s)); };
  EXPECT_EQ(canonical("dca:chunk=3k"), "dca:chunk=3072");
  EXPECT_EQ(canonical("ntk-mixed:b=0.6250,factor=8.0"),
            "ntk-mixed:factor=8,b=0.625");
  EXPECT_EQ(canonical("leaky-rerope:k=4/64"), "leaky-rerope:k=1/16");
  EXPECT_EQ(canonical("leaky-rerope:k=32/2"), "leaky-rerope:k=16");
  EXPECT_EQ(canonical("rerope+logn:base=512"), "rerope+logn");
}

TEST(SchemeTest, SetReplacesASpelledFraction) {
  Scheme scheme = ParseScheme("leaky-rerope:window=64,k=1/16");
  scheme.Set("k", 8);
  EXPECT_EQ(ToString(scheme), "leaky-rerope:window=64,k=8");
}

TEST(SchemeTest, DefaultsComeFromModelAndLength) {
  EXPECT_EQ(Resolved("rerope+logn-clip", 2048), "rerope:window=128+logn-clip");
  EXPECT_EQ(Resolved("pi", 2048), "pi:factor=8");
  EXPECT_EQ(Resolved("pi", 100), "pi:factor=1");
  EXPECT_EQ(Resolved("ntk-mixed", 512), "ntk-mixed:factor=2,b=0.625");
  EXPECT_EQ(Resolved("yarn", 512), "yarn:factor=2,fast=32,slow=1");
  EXPECT_EQ(Resolved("dca", 2048), "dca:chunk=192");
  EXPECT_EQ(Resolved("cope", 2048), "cope:clip=2");
  EXPECT_EQ(Resolved("window", 2048), "window:size=256");
  EXPECT_EQ(Resolved("sink-window", 2048),
            "sink-window:size=252,sinks=4,cache-positions=1");
  // (L - 1 - w) / (3N/4 - w) = 1983 / 128 = 15.5
  EXPECT_EQ(Resolved("leaky-rerope", 2048), "leaky-rerope:window=64,k=16");
  EXPECT_EQ(Resolved("leaky-rerope", 64), "leaky-rerope:window=64,k=1");
  EXPECT_EQ(Resolved("leaky-rerope:far=16", 2048),
            "leaky-rerope:window=64,k=12,far=16");
  EXPECT_EQ(Resolved("inv-leaky", 256), "inv-leaky:window=64,k=1/16");
  EXPECT_EQ(Resolved("auto", 256), "rope");
  EXPECT_EQ(Resolved("auto", 257), "rerope:window=240,far=160");
}

TEST(SchemeTest, DefaultGroupIsTheLeastThatFits) {
  for (const int64_t length : {256, 300, 1000, 2048, 4096, 100000}) {
    const ModelPositions model = Model();
    const Scheme resolved = Resolve(ParseScheme("self-extend"), model, length);
    const auto largest = [&](double group) {
      Scheme scheme = resolved;
      scheme.Set("group", group);
      const Plan plan = BuildStack(scheme, model, length, 1).front();
      double r = 0;
      for (int64_t j = 0; j < length; ++j) {
        r = std::max(r, *plan.EffectiveDistance(length - 1, j));
      }
      return r;
    };
    EXPECT_LE(largest(resolved.Get("group")), 192) << length;
    if (resolved.Get("group") > 1) {
      EXPECT_GT(largest(resolved.Get("group") - 1), 192) << length;
    }
  }
}

TEST(SchemeTest, RefusalsNameSchemeRuleAndValue) {
  EXPECT_EQ(Refusal("leaky-rerope:k=-2"),
            "leaky-rerope: k must be above 0, got -2");
  EXPECT_EQ(Refusal("leaky-rerope:k=0"),
            "leaky-rerope: k must be above 0, got 0");
  EXPECT_EQ(Refusal("dca:chunk=256"),
            "dca: chunk must be below the trained length 256, got 256");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "unknown"},
      {"ropy", "'ropy' is unknown"},
      {"rerope:", "expected key=value"},
      {"rerope:window", "expected key=value"},
      {"rerope:win=3", "no parameter 'win'; it takes window"},
      {"rope:window=3", "no parameter 'window'; it takes no parameters"},
      {"rerope:window=0", "must be an integer from 1"},
      {"rerope:window=-1", "window must be a length"},
      {"rerope:window=99999999999", "must be an integer"},
      {"rerope:window=1,window=2", "given twice"},
      {"rerope:window=1/2", "window must be a length"},
      {"leaky-rerope:k=1/0", "k must be a number"},
      {"leaky-rerope:k=nan", "k must be a number"},
      {"leaky-rerope:k=1e-300", "1e-9"},
      {"inv-leaky:k=2", "k must be below 1"},
      {"sink-window:cache-positions=2", "must be 0 or 1"},
      {"self-extend:group=1.5", "must be an integer"},
      {"rerope+log", "unknown suffix '+log'"},
      {"rerope+logn:base=1", "at least 2"},
      {"rerope+logn+logn-clip", "at most one log n scale"},
      {"rope+logn-learned", "attn_logn"},
      {"longrope", "has no longrope factors"},
      {"llama3", "has no llama3 factors"},
      {"yarn:fast=1,slow=2", "fast must be above slow"},
      {"cope:clip=5", "at most the 4 rotary pairs"},
      {"auto:x=1", "auto: takes no parameters"},
      {"@/no/such/file.toml", "position stack"},
      {"@", "expected a file"},
      {std::string("rope\n\xff", 6), "\\x0a\\xff"}};
  for (const auto& [spelling, reason] : cases) {
    EXPECT_NE(Refusal(spelling).find(reason), std::string::npos)
        << spelling << " -> " << Refusal(spelling);
  }
}

TEST(SchemeTest, KnownFailuresAreNamedWithAdvice) {
  const auto reason = [](const char* spelling, int64_t length) {
    return KnownToFail(Resolve(ParseScheme(spelling), Model(4096, 64), length),
                       Model(4096, 64), length);
  };
  EXPECT_EQ(reason("rope", 32768),
            "rope: this model was trained on 4096 tokens; at 32768 expect "
            "noise; choose the scheme rerope:window=3840,far=2560");
  EXPECT_EQ(reason("rope", 4096), std::nullopt);
  EXPECT_EQ(reason("rerope:window=4095", 32768), std::nullopt);
  EXPECT_NE(reason("rerope:window=4096", 32768), std::nullopt);
  EXPECT_NE(reason("leaky-rerope:window=1024,k=2", 32768), std::nullopt);
  EXPECT_EQ(reason("leaky-rerope", 32768), std::nullopt);
  EXPECT_EQ(reason("dca", 32768), std::nullopt);
  EXPECT_EQ(reason("window", 32768), std::nullopt);
  EXPECT_EQ(reason("sink-window", 32768), std::nullopt);
  EXPECT_NE(reason("sink-window:cache-positions=0", 32768), std::nullopt);
  EXPECT_EQ(reason("pi", 32768), std::nullopt);
  EXPECT_NE(reason("nope", 100), std::nullopt);
}

TEST(SchemeTest, KnownFailuresAgreeWithEveryPairOfTheLastQuery) {
  const ModelPositions model = Model(256, 64);
  for (const char* spelling :
       {"rope", "rerope:window=255", "rerope:window=256",
        "leaky-rerope:window=64,k=4", "leaky-rerope:window=64,k=3",
        "leaky-rerope:window=64,k=5", "self-extend:window=64,group=3",
        "self-extend:window=64,group=4", "self-extend:window=64,group=5",
        "dca:chunk=100", "dca:chunk=255", "window:size=256", "window:size=257",
        "sink-window:size=252,sinks=4", "sink-window:size=253,sinks=4",
        "sink-window:size=200,sinks=4,cache-positions=0"}) {
    for (const int64_t length : {300, 777, 900, 1000}) {
      const Scheme resolved = Resolve(ParseScheme(spelling), model, length);
      const Plan plan = BuildStack(resolved, model, length, 1).front();
      double largest = 0;
      for (int64_t j = 0; j < length; ++j) {
        largest = std::max(largest,
                           plan.EffectiveDistance(length - 1, j).value_or(0));
      }
      EXPECT_EQ(KnownToFail(resolved, model, length).has_value(), largest > 255)
          << spelling << " at " << length;
    }
  }
  // KnownToFail does not visit every pair: it answers at once at any length.
  const int64_t huge = int64_t{1} << 30;
  EXPECT_TRUE(
      KnownToFail(Resolve(ParseScheme("rope"), model, huge), model, huge)
          .has_value());
}

TEST(SchemeTest, RopeResolvesToTheSchemeThatTheFileNames) {
  ModelPositions model = Model();
  model.own_spelling = {"rerope:window=64+logn"};
  EXPECT_EQ(Resolved("rope", 512, model), "rerope:window=64+logn");
  model.own_spelling = {"window:size=16", "window:size=16", "nope+logn"};
  EXPECT_EQ(Resolved("rope", 512, model), "[window:size=16 x 2, nope+logn]");
  EXPECT_EQ(BuildStack(Resolve(ParseScheme("rope"), model, 512), model, 512, 3)
                .size(),
            3u);
}

// Five layers: three with a window of 16 and a base of their own, one that
// reads the whole text, and one without positions.
ModelPositions Mixed() {
  ModelPositions model = Model(256, 64);
  model.scaling = ModelPositions::Scaling::kLinear;
  model.scaling_factor = 2;
  const LayerPositions local = {.window = 16, .base = 100, .scaled = false};
  model.layers = {local, local, {}, local, {.rotates = false}};
  return model;
}

Stack Build(const std::string& spelling, const ModelPositions& model,
            int64_t length) {
  return BuildStack(Resolve(ParseScheme(spelling), model, length), model,
                    length, static_cast<int64_t>(model.layers.size()));
}

TEST(LayersTest, RopeGivesEachLayerItsOwnPositions) {
  const Stack own = Build("rope", Mixed(), 300);
  const auto table = [](double base, double factor) {
    FrequencyTable table{GeometricFrequencies(64, base), 1};
    for (double& theta : table.frequencies) theta /= factor;
    return table;
  };
  EXPECT_EQ(own[0].Reach(), 16);
  EXPECT_EQ(own[0].tables.front(), table(100, 1));
  EXPECT_EQ(own[2].Reach(), kUnbounded);
  EXPECT_EQ(own[2].tables.front(), table(10000, 2));
  EXPECT_EQ(own[4].Reach(), kUnbounded);
  EXPECT_TRUE(own[4].tables.front().frequencies.empty());
}

TEST(LayersTest, ASchemeChangesTheLayersThatReadTheWholeText) {
  const ModelPositions model = Mixed();
  const Stack own = Build("rope", model, 300);
  for (const char* spelling : {"rerope:window=20+logn", "dca:chunk=30", "yarn",
                               "nope", "window:size=40", "rope+logn"}) {
    const Stack stack = Build(spelling, model, 300);
    for (size_t l = 0; l < own.size(); ++l) {
      EXPECT_EQ(stack[l] == own[l], l != 2) << spelling << " layer " << l;
    }
  }
  for (const Plan& plan : Build("rope+logn@all", model, 300)) {
    EXPECT_EQ(plan.scale.kind, ScoreScale::Kind::kLogN);
  }
  const Stack all = Build("rerope:window=20+logn@all", model, 300);
  for (size_t l = 0; l < own.size(); ++l) {
    EXPECT_EQ(all[l].bands.size(), 2u) << l;
    EXPECT_EQ(all[l].scale.kind, ScoreScale::Kind::kLogN) << l;
    EXPECT_EQ(all[l].tables.front(), own[l].tables.front()) << l;
  }
}

TEST(LayersTest, ChangedLayersDescribesWhichLayersChange) {
  const ModelPositions model = Mixed();
  const auto changed = [&](const char* spelling) {
    return ChangedLayers(Resolve(ParseScheme(spelling), model, 300), model);
  };
  EXPECT_EQ(changed("rerope"),
            "on 1 of 5 layers, 4 keep their window of 16 keys or lack of "
            "positions");
  EXPECT_EQ(changed("rerope@all"), "");
  EXPECT_EQ(changed("rope+logn"), changed("rerope"));
  EXPECT_EQ(changed("rope+logn@all"), "");
  EXPECT_EQ(changed("rope"), "");
}

TEST(LayersTest, ASchemeThatWouldChangeNothingIsRefused) {
  ModelPositions model = Mixed();
  model.layers[2] = model.layers[0];
  EXPECT_NE(Refusal("rerope", model).find("it would change no layer"),
            std::string::npos);
  EXPECT_EQ(Refusal("rerope@all", model), "");
  EXPECT_NE(Refusal("rope@all", model).find("@all has nothing to change"),
            std::string::npos);
  EXPECT_EQ(Refusal("rope", model), "");
  EXPECT_EQ(AdvisedSpelling(model, 100000), "rope");
}

TEST(LayersTest, AModelCanRefuseAllSchemesExceptItsOwn) {
  ModelPositions model = Model();
  model.only_own_scheme = "its scores have learned sinks";
  EXPECT_EQ(Refusal("rerope", model),
            "rerope: this model takes only its own scheme, rope: its scores "
            "have learned sinks");
  EXPECT_EQ(Refusal("rope", model), "");
}

TEST(LayersTest, AllIsAllowedOnceAtTheEndOfAScheme) {
  EXPECT_EQ(ToString(ParseScheme("rerope:window=8+logn@all")),
            "rerope:window=8+logn@all");
  for (const char* bad : {"@all", "auto@all", "rerope@all@all", "rerope@al"}) {
    EXPECT_THROW((void)ParseScheme(bad), std::invalid_argument) << bad;
  }
}

TEST(LayersTest, KnownFailuresLookAtEachLayer) {
  const ModelPositions model = Mixed();
  const auto fails = [&](const ModelPositions& m, const char* spelling) {
    return KnownToFail(Resolve(ParseScheme(spelling), m, 1000), m, 1000)
        .has_value();
  };
  EXPECT_TRUE(fails(model, "rope"));
  EXPECT_FALSE(fails(model, "rerope:window=100"));
  EXPECT_TRUE(fails(model, "rerope:window=400"));
  ModelPositions local = model;  // without the layer that reads the whole text
  local.layers[2] = local.layers[0];
  EXPECT_FALSE(fails(local, "rope"));
}

// What `auto` resolves to beyond the trained length, and what is known to fail
// there.
TEST(AdviceTest, AutoTakesTheSchemeOfTheFileWhereItHolds) {
  ModelPositions hwfa = Model(256, 64);
  hwfa.own_spelling = {"hwfa:window=39"};
  EXPECT_EQ(ToString(Resolve(ParseScheme("auto"), hwfa, 2048)),
            "hwfa:window=39");
  EXPECT_EQ(KnownToFail(Resolve(ParseScheme("auto"), hwfa, 2048), hwfa, 2048),
            std::nullopt);
  EXPECT_NE(
      KnownToFail(Resolve(ParseScheme("rope+logn"), hwfa, 2048), hwfa, 2048),
      std::nullopt);
  ModelPositions nope = Model(256, 64);
  nope.own_spelling = {"nope+logn"};
  EXPECT_EQ(ToString(Resolve(ParseScheme("auto"), nope, 2048)), "nope+logn");
}

TEST(AdviceTest, AutoTakesRopeUpToTheDistancesThatInvLeakyTrained) {
  // In training distances reach 64 + (255 - 64) * 16 = 3120.
  ModelPositions model = Model(256, 64);
  model.trained_spelling = {"inv-leaky:window=64,k=1/16"};
  EXPECT_EQ(ToString(Resolve(ParseScheme("auto"), model, 3121)), "rope");
  EXPECT_EQ(ToString(Resolve(ParseScheme("auto"), model, 3122)),
            "rerope:window=240,far=160");
}

TEST(AdviceTest, AutoReadsTheTrainedSchemeOfAModelOfMixedLayers) {
  ModelPositions model = Mixed();
  model.trained_spelling = {"inv-leaky:window=64,k=1/16"};
  EXPECT_EQ(AdvisedSpelling(model, 3121), "rope");
  EXPECT_NE(AdvisedSpelling(model, 3122), "rope");
}

TEST(AdviceTest, AutoKeepsTheScaleOfASchemeThatFails) {
  ModelPositions model = Model(256, 64);
  model.own_spelling = {"rope+logn"};
  EXPECT_EQ(ToString(Resolve(ParseScheme("auto"), model, 256)), "rope+logn");
  EXPECT_EQ(ToString(Resolve(ParseScheme("auto"), model, 257)),
            "rerope:window=240,far=160+logn");
}

TEST(SchemeTest, StackFilesGiveOnePlanForEachLayer) {
  const auto folder = std::filesystem::path(testing::TempDir());
  const auto spelled = [&](const std::string& text) {
    const auto path = folder / "ropewalk_stack.toml";
    std::ofstream(path) << text;
    return "@" + path.string();
  };
  const std::string good =
      spelled("layers = [\"window:size=16\", \"nope+logn\"]\n");
  const Scheme stack = ParseScheme(good);
  EXPECT_EQ(ToString(stack), good);
  const Scheme resolved = Resolve(stack, Model(), 512);
  EXPECT_EQ(ToString(resolved), "[window:size=16, nope+logn]");
  const Stack plans = BuildStack(resolved, Model(), 512, 2);
  EXPECT_EQ(plans[0].Reach(), 16);
  EXPECT_EQ(plans[1].scale.kind, ScoreScale::Kind::kLogN);
  EXPECT_THROW(BuildStack(resolved, Model(), 512, 3), std::invalid_argument);
  for (const char* bad :
       {"", "layers = 3", "layers = []", "layers = [3]",
        "layers = [\"rope\"]\nmore = 1", "layers = [", "layers = [\"ropy\"]",
        "layers = [\"nope@all\"]", "layers = [\"@other.toml\"]"}) {
    EXPECT_THROW(ParseScheme(spelled(bad)), std::invalid_argument) << bad;
  }
  // The TOML parser quotes the file, so the message must escape line breaks.
  const std::string reason = Refusal(spelled("layers = t\n \"rope\"\n"));
  EXPECT_NE(reason.find("\\x0a"), std::string::npos) << reason;
  EXPECT_EQ(reason.find('\n'), std::string::npos) << reason;
}

TEST(SchemeTest, EveryDefinitionHasSummarySourceAndMeanings) {
  for (const Definition* definition : AllDefinitions()) {
    EXPECT_FALSE(definition->summary.empty()) << definition->name;
    EXPECT_FALSE(definition->source.empty()) << definition->name;
    for (const Parameter& parameter : definition->parameters) {
      EXPECT_FALSE(parameter.meaning.empty()) << definition->name;
    }
  }
}

}  // namespace
}  // namespace ropewalk::position
