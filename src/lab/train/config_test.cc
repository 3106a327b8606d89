// What a config may say, and that every mistake in it is told by line and key.

#include "lab/train/config.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lab/data/files_for_test.h"
#include "lab/nn/model.h"
#include "lab/train/config_reader.h"
#include "lab/train/trainer.h"

namespace ropewalk::lab::train {
namespace {

using data::MessageOf;
using Overrides = std::vector<std::string>;

std::string Complaint(const std::string& text, const Overrides& set = {}) {
  return MessageOf<std::invalid_argument>(
      [&] { ReadTrainConfig(text, "a.toml", set); });
}

constexpr const char* kCopy = "[data]\ntask = 'copy'\n";

TrainConfig Copy(const Overrides& set) {
  return ReadTrainConfig(kCopy, "a.toml", set);
}

TEST(TrainConfigTest, DefaultsFitTheModel) {
  const TrainConfig c = Copy({"model.width=96", "model.heads=3"});
  EXPECT_EQ(c.name, "model");
  EXPECT_EQ(c.model.G, 3);
  EXPECT_EQ(c.model.D, 32);
  EXPECT_EQ(c.model.F, 256);
  EXPECT_EQ(c.model.position, "rope");
  EXPECT_EQ(c.optimizer.name, "adamw");
  EXPECT_EQ(c.optimizer.learning_rate, 1e-3);
  EXPECT_EQ(c.evaluate.lengths, (std::vector<int64_t>{256, 2048}));
  EXPECT_EQ(c.evaluate.score_last, 256);
  EXPECT_EQ(c.evaluate.schemes,
            (std::vector<std::string>{"rope", "window", "rerope"}));
  EXPECT_EQ(Copy({"optimizer.name=lion"}).optimizer.learning_rate, 1e-4);
  const TrainConfig gau = Copy({"model.block=gau"});
  EXPECT_EQ(gau.model.H, 1);
  EXPECT_EQ(gau.model.D, 128);
  EXPECT_EQ(gau.model.F, 512);
  EXPECT_EQ(gau.model.init, nn::Init::kDeepNorm);
}

struct Mistake {
  std::string text;      // behind kCopy's two lines, so it begins on line 3
  std::string expected;  // the whole message
};

TEST(TrainConfigTest, MistakesAreToldByLineKeyAndRule) {
  const std::vector<Mistake> mistakes = {
      {"[model]\nlayers = 0",
       "a.toml:4: model.layers: must lie in 1 .. 1024, "
       "got 0"},
      {"[model]\nlayers = 'two'",
       "a.toml:4: model.layers: expected an integer, got 'two'"},
      {"[model]\nlayers = 2.0",
       "a.toml:4: model.layers: expected an integer, got 2.0"},
      {"[model]\n\nlength = '4q'",
       "a.toml:5: model.length: expected a length "
       "as 256 or \"4k\", got '4q'"},
      {"[model]\nlength = 1",
       "a.toml:4: model.length: must be at least 2, got "
       "1"},
      {"[model]\nkey_norm = 1",
       "a.toml:4: model.key_norm: expected true or false, got 1"},
      {"[model]\nrope_base = nan",
       "a.toml:4: model.rope_base: must lie in "
       "1.0000001 .. 1e+30, got nan"},
      {"[model]\nmask = 'none'",
       "a.toml:4: model.mask: mask: 'none' is none of causal, prefix, "
       "bidirectional, mixed-heads, mixed-layers"},
      {"[model]\nheads = 4\nkv_heads = 3",
       "a.toml:3: model: heads must be a multiple of kv_heads, got 4 and 3"},
      {"[optimizer]\nname = 'sgd'",
       "a.toml:4: optimizer.name: 'sgd' is none of adamw, lion, tiger, lamb, "
       "muon"},
      {"[optimizer]\nlearning_rate = -1",
       "a.toml:4: optimizer.learning_rate: must lie in 0 .. 1000, got -1"},
      {"[optimizer]\nlearning_rate = 'fast'",
       "a.toml:4: optimizer.learning_rate: expected a number, got 'fast'"},
      {"[optimizer]\nschedule = 'piecewise'",
       "a.toml:3: optimizer.points: schedule piecewise needs [[step, factor]]"},
      {"[optimizer]\npoints = [[1]]",
       "a.toml:4: optimizer.points: expected [step, factor] pairs, got [ 1 ]"},
      {"[train]\nbatch = 6\naccumulation = 4",
       "a.toml:5: train.accumulation: must divide train.batch (6), got 4"},
      {"[train]\nsteps = 0",
       "a.toml:4: train.steps: must lie in 1 .. "
       "1099511627776, got 0"},
      {"[train]\ninit_from = 3",
       "a.toml:4: train.init_from: expected a string, got 3"},
      {"[export]\ntypes = ['f32', 'q4']",
       "a.toml:4: export.types: 'q4' is none of f32, f16, q8_0, safetensors"},
      {"[evaluate]\nlengths = [64, 0]",
       "a.toml:4: evaluate.lengths: expected lengths of at least 1 as 256 or "
       "\"4k\", got 0"},
  };
  for (const Mistake& mistake : mistakes) {
    EXPECT_EQ(Complaint(kCopy + mistake.text), mistake.expected);
  }
}

TEST(TrainConfigTest, RefusedLawsSayWhy) {
  EXPECT_EQ(Complaint(std::string(kCopy) + "[model]\nposition = 'roep'")
                .find("a.toml:4: model.position: "),
            0u);
  EXPECT_EQ(
      Complaint(std::string(kCopy) + "[evaluate]\nschemes = ['rope', 'x']")
          .find("a.toml:4: evaluate.schemes: "),
      0u);
}

// A gradient that comes once: what is left of Tiger's momentum.
TEST(TrainConfigTest, DenormalsAreFlushedWhereAsked) {
  for (const char* flushed : {"false", "true"}) {
    SCOPED_TRACE(flushed);
    const TrainConfig c =
        Copy({"model.layers=1", "model.width=32", "model.heads=1",
              "model.vocabulary=16", "model.length=16", "optimizer.name=tiger",
              std::string("optimizer.flush_denormals=") + flushed});
    const nn::Model model(c.model, 1);
    const auto optimizer = MakeOptimizer(c, model);
    for (int step = 0; step < 1000; ++step) {
      for (const nn::Parameter& parameter : model.parameters()) {
        parameter.value.mutable_grad() =
            at::full_like(parameter.value, step == 0 ? 1e-30 : 0);
      }
      optimizer->Step({});
    }
    const auto state = optimizer->ExportState();
    ASSERT_FALSE(state.tensors.empty());
    for (const auto& [name, momentum] : state.tensors) {
      const float left = momentum.abs().max().item<float>();
      EXPECT_LT(left, 1e-38f) << name;
      EXPECT_EQ(left == 0, flushed == std::string("true")) << name;
    }
  }
}

TEST(TrainConfigTest, UnknownKeysAreRefusedWithTheKnownOnes) {
  const std::string key = Complaint(std::string(kCopy) + "[model]\nlayer = 2");
  EXPECT_EQ(key.find("a.toml:4: model.layer: unknown key; known here: "), 0u);
  EXPECT_NE(key.find(" layers,"), std::string::npos) << key;
  EXPECT_EQ(key.find("learning_rate"), std::string::npos) << key;
  EXPECT_EQ(Complaint(std::string(kCopy) + "[modle]\nlayers = 2"),
            "a.toml:4: modle.layers: unknown key; tables: [data] [evaluate] "
            "[export] [model] [optimizer] [train]");
  EXPECT_EQ(Complaint("model = 3\n" + std::string(kCopy)),
            "a.toml:1: model: unknown key; known here: name, seed");
}

TEST(TrainConfigTest, TextThatIsNoTomlIsToldByLine) {
  EXPECT_EQ(Complaint("[data]\ntask = \n").find("a.toml:2: "), 0u);
  EXPECT_EQ(Complaint("[data]\n\xff\n").find("a.toml:"), 0u);
  EXPECT_EQ(Complaint("name = 'a'\nname = 'b'\n").find("a.toml:2: "), 0u);
  // The parser quotes what it met; a message stays one line.
  EXPECT_EQ(Complaint("name = t\n\n").find('\n'), std::string::npos);
}

TEST(TrainConfigTest, TasksOverTextNeedText) {
  EXPECT_EQ(Complaint("[data]\ntask = 'mlm'"),
            "a.toml:1: data.train: task mlm needs text: files or folders");
  EXPECT_EQ(Complaint(""),
            "a.toml: data.train: task text needs text: files or "
            "folders");
  EXPECT_EQ(Complaint("[data]\ntask = 'dance'")
                .find("a.toml:2: data.task: 'dance' is none of text, mlm, "),
            0u);
}

TEST(TrainConfigTest, OverridesAreTomlOrElseStrings) {
  const TrainConfig c = Copy(
      {"model.layers=6", "model.position=hwfa:window=16", "seed=7",
       "model.length=4k", "evaluate.lengths=[64, '1k']", "data.task=sort",
       "evaluate.schemes=rerope:window=8+logn-clip", "model.key_norm=true",
       "optimizer.schedule='piecewise'", "optimizer.points=[[0, 1], [9, 0.5]]",
       "name=an = sign", "data.tokenizer="});
  EXPECT_EQ(c.model.L, 6);
  EXPECT_EQ(c.model.position, "hwfa:window=16");
  EXPECT_EQ(c.seed, 7u);
  EXPECT_EQ(c.model.N, 4096);
  EXPECT_EQ(c.evaluate.lengths, (std::vector<int64_t>{64, 1024}));
  EXPECT_EQ(c.evaluate.schemes,
            (std::vector<std::string>{"rerope:window=8+logn-clip"}));
  EXPECT_EQ(c.data.task, Task::kSort);
  EXPECT_TRUE(c.model.key_norm);
  EXPECT_EQ(optim::ScheduleFactor(c.optimizer.schedule, 9), 0.5);
  EXPECT_EQ(c.name, "an = sign");
  EXPECT_EQ(c.data.tokenizer, "");
}

TEST(TrainConfigTest, TheLastOverrideWins) {
  EXPECT_EQ(Copy({"model.layers=6", "model.layers=2"}).model.L, 2);
}

TEST(TrainConfigTest, BadOverridesAreToldByTheirKey) {
  EXPECT_EQ(Complaint(kCopy, {"model.layers"}),
            "--set model.layers: expected key=value");
  EXPECT_EQ(Complaint(kCopy, {"=3"}), "--set =3: expected key=value");
  EXPECT_EQ(Complaint(kCopy, {"model.layers=0"}),
            "--set model.layers: must lie in 1 .. 1024, got 0");
  EXPECT_EQ(Complaint(kCopy, {"model.layers=six"}),
            "--set model.layers: expected an integer, got 'six'");
  EXPECT_EQ(Complaint(kCopy, {"data.task.name=3"}),
            "--set data.task.name: 'task' is a value, not a table");
  EXPECT_EQ(Complaint(kCopy, {"model.layer=3"})
                .find("--set model.layer: unknown key; known here: "),
            0u);
  // A value of two lines is no TOML, and so a string.
  EXPECT_EQ(Complaint(kCopy, {"model.layers=3\nwidth=4"}),
            "--set model.layers: expected an integer, got '''3\\x0awidth=4'''");
}

TEST(TrainConfigTest, WhatIsWithinAnOverriddenTableIsToldByIt) {
  EXPECT_EQ(Complaint(std::string(kCopy) + "[model]\nlayers = 2",
                      {"model={layers=0}"}),
            "--set model.layers: must lie in 1 .. 1024, got 0");
}

TEST(TrainConfigTest, BytesThatAreNoTextAreRefused) {
  const std::string what = Complaint(kCopy, {"name=\xff"});
  EXPECT_EQ(what.find("--set name: "), 0u) << what;
  EXPECT_NE(what.find("UTF-8"), std::string::npos) << what;
}

TEST(TrainConfigTest, NamesAreNoPaths) {
  for (const char* name : {"../up", "a/b", "", "..", "."}) {
    const std::string what = Complaint(kCopy, {std::string("name=") + name});
    EXPECT_EQ(what.find("--set name: must be"), 0u) << name << ": " << what;
  }
}

TEST(TrainConfigTest, DevicesAreCpuOrCuda) {
  EXPECT_EQ(Copy({"train.device=cuda:1"}).device, "cuda:1");
  for (const char* device : {"gpu", "cuda:", "cuda:x", "CPU", "cuda:1:2"}) {
    const std::string set = std::string("train.device=") + device;
    EXPECT_EQ(Complaint(kCopy, {set}),
              std::string("--set train.device: expected cpu, cuda or cuda:N, "
                          "got '") +
                  device + "'");
  }
}

TEST(TrainConfigTest, EvaluationsThatCannotBeAreRefusedBeforeTraining) {
  EXPECT_EQ(Complaint(kCopy,
                      {"evaluate.score_last=65", "evaluate.lengths=[256, 64]"}),
            "--set evaluate.score_last: must be at most the least length 64, "
            "got 65");
  // A window beyond what the chunks leave: the scheme's own reason.
  const std::string text = "[data]\ntask = 'text'\ntrain = 'x'\n";
  const std::string what = Complaint(text, {"evaluate.schemes=dca:chunk=300"});
  EXPECT_EQ(what.find("--set evaluate.schemes: "), 0u) << what;
  EXPECT_EQ(
      Complaint("[data]\ntask = 'even-pairs'\n", {"evaluate.lengths=[2, 64]"}),
      "--set evaluate.lengths: task even-pairs needs lengths of at least "
      "3, got 2");
}

TEST(TrainConfigTest, ItsTextReadsBackTheSame) {
  const TrainConfig c =
      Copy({"model.layers=3", "model.position=hwfa:window=16",
            "name=a \"quoted\" name", "optimizer.schedule=piecewise",
            "optimizer.points=[[0, 1], [9, 0.1]]", "model.rope_base=1e6",
            "optimizer.learning_rate=0.1", "data.max_bytes=1099511627775",
            "evaluate.lengths=['1k', 64]"});
  const TrainConfig again = ReadTrainConfig(c.text, "again.toml", {});
  EXPECT_EQ(again.text, c.text);
  EXPECT_EQ(again.name, c.name);
  EXPECT_EQ(again.model.L, 3);
  EXPECT_EQ(again.model.position, c.model.position);
  EXPECT_EQ(again.model.rope_base, 1e6);
  EXPECT_EQ(again.optimizer.learning_rate, 0.1);
  EXPECT_EQ(again.data.max_bytes, 1099511627775);
  EXPECT_EQ(again.evaluate.lengths, c.evaluate.lengths);
  EXPECT_EQ(optim::ScheduleFactor(again.optimizer.schedule, 9), 0.1);
}

// A model that reads both ways is tested where it was trained unless asked.
TEST(ConfigTest, MaskedTextIsTestedAtTheTrainedLengthByDefault) {
  const auto lengths = [](const std::string& evaluate) {
    return ReadTrainConfig(
               "[model]\nmask = 'bidirectional'\n[data]\n"
               "train = 'x'\ntask = 'mlm'\n" +
                   evaluate,
               "c.toml", {})
        .evaluate.lengths;
  };
  EXPECT_EQ(lengths(""), (std::vector<int64_t>{256}));
  EXPECT_EQ(lengths("[evaluate]\nlengths = [64, '1k']"),
            (std::vector<int64_t>{64, 1024}));
}

TEST(ConfigTest, TasksWantAMaskThatHidesTheAnswer) {
  const auto read = [](const std::string& task, const std::string& model) {
    return MessageOf<std::invalid_argument>([&] {
      ReadTrainConfig("[model]\n" + model +
                          "\n[data]\ntrain = \"x\"\ntask = \"" + task + "\"\n",
                      "c.toml", {});
    });
  };
  const std::string ahead = "mask = \"bidirectional\"";
  EXPECT_NE(read("text", ahead).find("model.mask: task text expects causal"),
            std::string::npos);
  EXPECT_NE(read("mlm", "").find("task mlm expects bidirectional"),
            std::string::npos);
  EXPECT_NE(read("zipf", "architecture = \"encoder-decoder\"")
                .find("model.architecture: task zipf has one text"),
            std::string::npos);
  EXPECT_NE(read("copy", ahead).find("expects causal or prefix"),
            std::string::npos);
}

}  // namespace
}  // namespace ropewalk::lab::train
