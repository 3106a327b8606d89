// Runs of ropewalk-lab as a program: small configs, what a run left, and its
// processes.

#ifndef TESTS_LAB_LAB_RUNS_H_
#define TESTS_LAB_LAB_RUNS_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "formats/safetensors.h"
#include "tests/e2e.h"

namespace ropewalk {

using Words = std::vector<std::string>;

inline Words operator+(Words all, const Words& more) {
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

inline constexpr const char* kRun = R"(
name = "tiny"
[model]
layers = 1
width = 16
heads = 2
feed_width = 32
vocabulary = 32
length = 16
[data]
task = "zipf"
[train]
steps = 20
batch = 8
checkpoint_every = 20
log_every = 1
[optimizer]
learning_rate = 0.01
[evaluate]
documents = 4
)";

class LabTest : public ProgramTest {
 protected:
  // Without what a test's own surroundings may say of processes.
  static ProgramResult Lab(const Words& arguments,
                           ProgramOptions options = {}) {
    options.program = ROPEWALK_LAB_BINARY;
    options.environment.insert({"OMP_NUM_THREADS", "1"});
    return RunProgram(arguments, options);
  }

  std::string Config() const { return Write("run.toml", kRun); }

  // train CONFIG --out NAME --set ...
  Words Train(const std::string& name, const Words& settings = {}) const {
    Words words = {"train", Config(), "--out", Path(name), "--threads", "1"};
    for (const std::string& setting : settings) {
      words.insert(words.end(), {"--set", setting});
    }
    return words;
  }
  Words Resume(const std::string& name) const {
    return {"train", "--resume", Path(name), "--threads", "1"};
  }

  std::string Checkpoint(const std::string& name) const {
    return Path(name) + "/checkpoint.safetensors";
  }

  // The whole lines of the log so far.
  std::vector<Json> Log(const std::string& name) const {
    const std::string text = ReadAll(Path(name) + "/log.jsonl");
    std::vector<Json> records;
    for (const std::string& line : Lines(text)) {
      const Json json = Json::parse(line, nullptr, false);
      if (json.is_object()) records.push_back(json);
    }
    return records;
  }
  std::vector<double> Losses(const std::string& name) const {
    std::vector<double> losses;
    for (const Json& record : Log(name)) {
      if (record.contains("loss")) losses.push_back(record["loss"]);
    }
    return losses;
  }
  int64_t StepOf(const std::string& name) const {
    const formats::SafetensorsFile file(Checkpoint(name));
    file.VerifyChecksum();
    return Json::parse(file.metadata().at("state"))["step"];
  }
};

inline std::string Bytes(const formats::SafeTensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.bytes.data()),
          tensor.bytes.size()};
}

// Weights, optimizer and counters, bit for bit.
inline void ExpectSameCheckpoints(const std::string& one,
                                  const std::string& other) {
  const formats::SafetensorsFile a(one);
  const formats::SafetensorsFile b(other);
  a.VerifyChecksum();
  b.VerifyChecksum();
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (size_t i = 0; i < a.tensors().size(); ++i) {
    EXPECT_EQ(a.tensors()[i].name, b.tensors()[i].name);
    EXPECT_EQ(Bytes(a.tensors()[i]), Bytes(b.tensors()[i]))
        << a.tensors()[i].name;
  }
  Json states[] = {Json::parse(a.metadata().at("state")),
                   Json::parse(b.metadata().at("state"))};
  for (Json& state : states) {
    state.erase("seconds");
    state.erase("config");  // the folders differ
  }
  EXPECT_EQ(states[0], states[1]);
}

// The log without what a clock said.
inline std::vector<Json> WithoutTimes(std::vector<Json> records) {
  for (Json& record : records) {
    record.erase("seconds");
    record.erase("tokens_per_second");
    if (!record.contains("evaluation")) continue;
    for (Json& row : record["evaluation"]) row.erase("seconds");
  }
  return records;
}

// Living children of a process.
inline std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::vector<pid_t> children;
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string stat = ReadAll(entry.path().string() + "/stat");
    const size_t end = stat.rfind(") ");
    if (end == std::string::npos || stat.size() < end + 5) continue;
    if (stat[end + 2] != 'Z' && std::stol(stat.substr(end + 4)) == parent) {
      children.push_back(static_cast<pid_t>(std::stol(name)));
    }
  }
  return children;
}

// The process of `rank` that the launcher, our only child, started; 0 before.
inline pid_t ProcessOfRank(int rank) {
  for (const pid_t launcher : ChildrenOf(getpid())) {
    for (const pid_t process : ChildrenOf(launcher)) {
      const std::string all =
          ReadAll("/proc/" + std::to_string(process) + "/environ");
      const std::string wanted = "RANK=" + std::to_string(rank);
      if (Contains(std::string(1, '\0') + all,
                   std::string(1, '\0') + wanted + '\0')) {
        return process;
      }
    }
  }
  return 0;
}

}  // namespace ropewalk

#endif  // TESTS_LAB_LAB_RUNS_H_
