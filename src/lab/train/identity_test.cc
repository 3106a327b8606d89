// Which keys make another run, and which another model.

#include "lab/train/identity.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "lab/train/runs_for_test.h"

namespace ropewalk::lab::train {
namespace {

struct Change {
  Overrides settings;  // the key's own first
  KeyEffect effect = KeyEffect::kRun;
};

constexpr KeyEffect kCourse = KeyEffect::kCourse;
constexpr KeyEffect kReport = KeyEffect::kReport;
constexpr KeyEffect kNothing = KeyEffect::kNothing;

// For every key of the language another value than the default.
std::map<std::string, Change> Changes() {
  return {
      {"name", {{"name=other"}, kNothing}},
      {"seed", {{"seed=7"}}},
      {"model.block", {{"model.block=gau", "model.heads=1"}}},
      {"model.architecture", {{"model.architecture=encoder-decoder"}}},
      {"model.mask", {{"model.mask=prefix"}}},
      {"model.head", {{"model.head=untied"}}},
      {"model.init", {{"model.init=deepnorm"}}},
      {"model.layers", {{"model.layers=3"}}},
      {"model.width", {{"model.width=128"}}},
      {"model.heads", {{"model.heads=2"}}},
      {"model.kv_heads", {{"model.kv_heads=1"}}},
      {"model.head_width", {{"model.head_width=32"}}},
      {"model.feed_width", {{"model.feed_width=64"}}},
      {"model.vocabulary", {{"model.vocabulary=512"}}},
      {"model.length", {{"model.length=128"}}},
      {"model.rope_base", {{"model.rope_base=500"}}},
      {"model.norm_epsilon", {{"model.norm_epsilon=1e-6"}}},
      {"model.key_norm", {{"model.key_norm=true"}}},
      {"model.causal_encoder",
       {{"model.causal_encoder=true", "model.architecture=encoder-decoder"}}},
      {"model.rotate_cross",
       {{"model.rotate_cross=true", "model.architecture=encoder-decoder"}}},
      {"model.position", {{"model.position=nope"}}},
      {"model.inference", {{"model.inference=nope"}, kReport}},
      {"data.task", {{"data.task=sort"}}},
      {"data.train", {{"data.train=a.txt"}, kNothing}},
      {"data.heldout", {{"data.heldout=b.txt"}, kNothing}},
      {"data.heldout_fraction", {{"data.heldout_fraction=0.5"}}},
      {"data.documents", {{"data.documents=file"}}},
      {"data.tokenizer", {{"data.tokenizer=t.model"}, kNothing}},
      {"data.repeat_fraction", {{"data.repeat_fraction=0.5"}}},
      {"data.zipf_exponent", {{"data.zipf_exponent=2"}}},
      {"data.join_lines", {{"data.join_lines=true"}}},
      {"data.max_bytes", {{"data.max_bytes=9"}}},
      {"data.cache", {{"data.cache=c"}, kNothing}},
      {"train.steps", {{"train.steps=3"}, kCourse}},
      {"train.batch", {{"train.batch=32"}}},
      {"train.accumulation", {{"train.accumulation=2"}}},
      {"train.checkpoint_every", {{"train.checkpoint_every=1"}, kNothing}},
      {"train.log_every", {{"train.log_every=1"}, kNothing}},
      {"train.threads", {{"train.threads=2"}, kNothing}},
      {"train.device", {{"train.device=cuda"}, kNothing}},
      {"train.precision", {{"train.precision=bf16"}}},
      {"train.init_from", {{"train.init_from=a"}, kNothing}},
      {"optimizer.name", {{"optimizer.name=tiger"}}},
      {"optimizer.embedding", {{"optimizer.embedding=lion"}}},
      {"optimizer.learning_rate", {{"optimizer.learning_rate=0.5"}, kCourse}},
      {"optimizer.embedding_learning_rate",
       {{"optimizer.embedding_learning_rate=0.5"}, kCourse}},
      {"optimizer.weight_decay", {{"optimizer.weight_decay=0.5"}}},
      {"optimizer.beta1", {{"optimizer.beta1=0.5"}}},
      {"optimizer.beta2", {{"optimizer.beta2=0.5"}}},
      {"optimizer.epsilon", {{"optimizer.epsilon=0.5"}}},
      {"optimizer.clip", {{"optimizer.clip=1"}, kCourse}},
      {"optimizer.lazy_rows", {{"optimizer.lazy_rows=true"}}},
      {"optimizer.flush_denormals", {{"optimizer.flush_denormals=true"}}},
      {"optimizer.embedding_rms", {{"optimizer.embedding_rms=none"}}},
      {"optimizer.schedule", {{"optimizer.schedule=constant"}, kCourse}},
      {"optimizer.warmup", {{"optimizer.warmup=1"}, kCourse}},
      {"optimizer.decay", {{"optimizer.decay=1"}, kCourse}},
      {"optimizer.floor", {{"optimizer.floor=0.5"}, kCourse}},
      {"optimizer.points", {{"optimizer.points=[[0, 1]]"}, kCourse}},
      {"evaluate.every", {{"evaluate.every=1"}, kReport}},
      {"evaluate.schemes", {{"evaluate.schemes=nope"}, kReport}},
      {"evaluate.lengths", {{"evaluate.lengths=512"}, kReport}},
      {"evaluate.documents", {{"evaluate.documents=1"}, kReport}},
      {"evaluate.score_last", {{"evaluate.score_last=1"}, kReport}},
      {"evaluate.repeat", {{"evaluate.repeat=true"}, kReport}},
      {"export.types", {{"export.types=f32"}, kNothing}},
  };
}

TrainConfig Copy(const Overrides& set) {
  return ReadTrainConfig("[data]\ntask = 'copy'\n", "a.toml", set);
}

std::optional<std::string> ValueOf(const ConfigValues& values,
                                   const std::string& key) {
  for (const auto& [name, value] : values) {
    if (name == key) return value;
  }
  return std::nullopt;
}

// A key that is added to the language fails here until it has its line above,
// and counts as part of the run unless identity.cc declares it.
TEST(IdentityTest, EveryKeyOfTheLanguageCountsUnlessItIsDeclared) {
  const TrainConfig base = Copy({});
  const std::map<std::string, Change> changes = Changes();
  for (const auto& [key, value] : base.values) {
    ASSERT_TRUE(changes.contains(key)) << key << " has no line in this test";
    const Change& change = changes.at(key);
    ASSERT_TRUE(change.settings.front().starts_with(key + "=")) << key;
    EXPECT_EQ(EffectOf(key), change.effect) << key;
    const TrainConfig other = Copy(change.settings);
    EXPECT_NE(ValueOf(other.values, key), value) << key;
    for (const KeyEffect least : {KeyEffect::kRun, kCourse, kReport}) {
      const ConfigValues identity = IdentityOf(other, least);
      EXPECT_EQ(ValueOf(identity, key).has_value(), change.effect <= least)
          << key;
      EXPECT_EQ(identity.size(), IdentityOf(base, least).size()) << key;
      if (change.effect > least) continue;
      EXPECT_TRUE(FirstDifference(IdentityOf(base, least), identity)) << key;
    }
  }
  EXPECT_EQ(changes.size(), base.values.size());
}

TEST(IdentityTest, ASpellingDoesNotCount) {
  const auto same = [](const Overrides& one, const Overrides& other) {
    return !FirstDifference(IdentityOf(Copy(one), kReport),
                            IdentityOf(Copy(other), kReport));
  };
  EXPECT_TRUE(same({}, {"train.precision=f32", "optimizer.beta1=0"}));
  EXPECT_TRUE(same({"model.length=4k"}, {"model.length=4096"}));
  EXPECT_TRUE(
      same({"optimizer.weight_decay=0.01"}, {"optimizer.weight_decay=1e-2"}));
  EXPECT_TRUE(same({"model.position=inv-leaky:window=64,k=1/16"},
                   {"model.position=inv-leaky:k=1/16,window=64"}));
  EXPECT_FALSE(same({"model.position=window:size=64"},
                    {"model.position=window:size=65"}));
}

TEST(IdentityTest, AStackIsWhatItsFileHoldsAndNotWhereItStands) {
  const data::TestFolder folder;
  const auto stack = [&](const std::string& name, const std::string& last) {
    return "model.position=@" +
           folder.Write(name, "layers = [\"rope\", \"" + last + "\"]");
  };
  const Overrides layers = {"model.layers=2"};
  const ConfigValues one =
      IdentityOf(Copy(layers + Overrides{stack("a.toml", "nope")}), kReport);
  EXPECT_FALSE(FirstDifference(
      one,
      IdentityOf(Copy(layers + Overrides{stack("b.toml", "nope")}), kReport)));
  EXPECT_TRUE(FirstDifference(
      one,
      IdentityOf(Copy(layers + Overrides{stack("c.toml", "rope")}), kReport)));
}

TEST(IdentityTest, ADifferenceIsToldByItsKey) {
  EXPECT_EQ(
      FirstDifference(
          IdentityOf(Copy({}), kReport),
          IdentityOf(Copy({"optimizer.beta1=0.5", "optimizer.embedding=lion"}),
                     kReport)),
      "optimizer.embedding was empty and is lion");
}

}  // namespace
}  // namespace ropewalk::lab::train
