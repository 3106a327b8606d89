// Training runs small enough for tests, and what they leave in their folder.

#ifndef ROPEWALK_LAB_TRAIN_RUNS_FOR_TEST_H_
#define ROPEWALK_LAB_TRAIN_RUNS_FOR_TEST_H_

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "lab/data/files_for_test.h"
#include "lab/train/checkpoint.h"
#include "lab/train/config.h"
#include "lab/train/group.h"
#include "lab/train/trainer.h"

namespace ropewalk::lab::train {

using data::MadeUpText;
using data::MessageOf;
using data::ReadAll;
using data::TestFolder;
using Overrides = std::vector<std::string>;

// A rate that does not ask how long the run is, so that a shorter run is the
// beginning of a longer one.
inline constexpr const char* kTinyRun = R"(
name = "tiny"
[model]
layers = 1
width = 16
heads = 2
feed_width = 32
vocabulary = 32
length = 16
[data]
task = "copy"
[train]
steps = 6
batch = 4
checkpoint_every = 3
log_every = 1
threads = 1
[optimizer]
learning_rate = 0.01
schedule = "piecewise"
points = [[0, 1], [20, 0.1]]
[evaluate]
documents = 4
)";

inline TrainConfig TinyConfig(const Overrides& overrides) {
  return ReadTrainConfig(kTinyRun, "tiny.toml", overrides);
}

inline Overrides operator+(Overrides all, const Overrides& more) {
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

// One process; the run's folder is `name` below the test's.
class RunTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_.Path(name); }

  std::unique_ptr<Trainer> Start(const Overrides& overrides,
                                 const std::string& name, bool resume = false) {
    return std::make_unique<Trainer>(TinyConfig(overrides), Path(name), resume,
                                     *group_);
  }
  void Run(const Overrides& overrides, const std::string& name,
           bool resume = false) {
    Start(overrides, name, resume)->Run();
  }

  // Text for the tasks that want it: five documents, one of them held out.
  // The tokenizer is trained once.
  Overrides Text() {
    std::string text;
    for (int d = 0; d < 5; ++d) {
      text += MadeUpText(40, static_cast<uint64_t>(d)) + "<|endoftext|>";
    }
    const std::string path = folder_.Write("text.txt", text);
    return {"data.task=text", "data.train=" + path,
            "data.cache=" + Path("cache"), "model.vocabulary=320",
            "data.heldout_fraction=0.2"};
  }

  const TestFolder folder_;
  const std::unique_ptr<Group> group_ = MakeSingleGroup();
};

// The records of a run, without what a clock said.
inline std::vector<nlohmann::json> Records(const std::string& folder) {
  std::vector<nlohmann::json> records;
  std::istringstream lines(ReadAll(folder + "/log.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    nlohmann::json record = nlohmann::json::parse(line);
    record.erase("seconds");
    record.erase("tokens_per_second");
    if (record.contains("evaluation")) {
      for (nlohmann::json& row : record["evaluation"]) row.erase("seconds");
    }
    records.push_back(record);
  }
  return records;
}

inline std::vector<double> Losses(const std::string& folder) {
  std::vector<double> losses;
  for (const nlohmann::json& record : Records(folder)) {
    if (record.contains("loss")) losses.push_back(record["loss"]);
  }
  return losses;
}

inline void ExpectSameTensors(
    const std::vector<std::pair<std::string, at::Tensor>>& a,
    const std::vector<std::pair<std::string, at::Tensor>>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].first, b[i].first);
    EXPECT_EQ(a[i].second.scalar_type(), b[i].second.scalar_type());
    EXPECT_TRUE(at::equal(a[i].second, b[i].second)) << a[i].first;
  }
}

// Weights, optimizer and counters, bit for bit.
inline void ExpectSameCheckpoints(const std::string& one,
                                  const std::string& other) {
  const Checkpoint a = ReadCheckpoint(one);
  const Checkpoint b = ReadCheckpoint(other);
  EXPECT_EQ(a.state.step, b.state.step);
  EXPECT_EQ(a.state.tokens, b.state.tokens);
  EXPECT_EQ(a.state.data, b.state.data);
  EXPECT_EQ(a.optimizer.counts, b.optimizer.counts);
  ExpectSameTensors(a.parameters, b.parameters);
  ExpectSameTensors(a.optimizer.tensors, b.optimizer.tensors);
}

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_RUNS_FOR_TEST_H_
