// A checkpoint gives back every bit, and no other file passes for one.

#include "lab/train/checkpoint.h"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <limits>

#include "base/error.h"
#include "formats/safetensors.h"
#include "lab/optim/adamw.h"
#include "lab/optim/tensors_for_test.h"
#include "lab/train/runs_for_test.h"

namespace ropewalk::lab::train {
namespace {

using optim::Parameter;

// Two matrices and what AdamW knows of them after two steps.
struct Trained {
  explicit Trained(uint64_t seed, int64_t rows = 3)
      : parameters(Make(seed, rows)), optimizer(parameters, {}) {
    for (uint64_t step = 0; step < 2; ++step) {
      optim::SetGradients(parameters, seed + step);
      optimizer.Step({});
    }
  }
  static std::vector<Parameter> Make(uint64_t seed, int64_t rows) {
    Rng rng(seed);
    return {
        optim::MakeParameter(
            "a", optim::RandomTensor(rng, {rows, 4}).to(at::kFloat)),
        optim::MakeParameter("b", optim::RandomTensor(rng, {2}).to(at::kFloat),
                             Parameter::Kind::kGain)};
  }
  std::vector<Parameter> parameters;
  optim::AdamW optimizer;
};

constexpr const char* kConfig = "name = \"\xc3\xa9\"\n# all \\ of it\t\n";

class CheckpointTest : public testing::Test {
 protected:
  std::string Save(const Trained& trained, const std::string& name = "c") {
    const std::string path = folder_.Path(name);
    WriteCheckpoint(path,
                    {.step = 2,
                     .tokens = int64_t{1} << 60,
                     .seconds = 0.1,
                     .config = kConfig,
                     .data = "text"},
                    trained.parameters, trained.optimizer);
    return path;
  }
  const TestFolder folder_;
};

TEST_F(CheckpointTest, GivesBackEveryBit) {
  Trained trained(1);
  trained.parameters[0].value.detach()[0][0] = -0.0;
  trained.parameters[0].value.detach()[0][1] =
      std::numeric_limits<float>::denorm_min();
  const Checkpoint c = ReadCheckpoint(Save(trained));
  EXPECT_EQ(c.state.step, 2);
  EXPECT_EQ(c.state.tokens, int64_t{1} << 60);
  EXPECT_EQ(c.state.seconds, 0.1);
  EXPECT_EQ(c.state.config, kConfig);
  EXPECT_EQ(c.state.data, "text");
  const auto same_bits = [](const at::Tensor& a, const at::Tensor& b) {
    return at::equal(a.detach().view(at::kInt), b.detach().view(at::kInt));
  };
  ASSERT_EQ(c.parameters.size(), 2u);
  EXPECT_EQ(c.parameters[0].first, "a");
  EXPECT_TRUE(same_bits(c.parameters[0].second, trained.parameters[0].value));
  EXPECT_TRUE(same_bits(c.parameters[1].second, trained.parameters[1].value));
  const optim::OptimizerState state = trained.optimizer.ExportState();
  EXPECT_EQ(c.optimizer.counts, state.counts);
  ExpectSameTensors(c.optimizer.tensors, state.tensors);
}

TEST_F(CheckpointTest, AnOptimizerGoesOnAsIfItHadNeverStopped) {
  Trained whole(1);
  const Checkpoint c = ReadCheckpoint(Save(whole));
  Trained resumed(77);
  EXPECT_EQ(LoadParameters(c, resumed.parameters, false), 2);
  resumed.optimizer.ImportState(c.optimizer, c.path);
  for (const Trained* each : {&whole, &resumed}) {
    optim::SetGradients(each->parameters, 5);
  }
  whole.optimizer.Step({});
  resumed.optimizer.Step({});
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(
        at::equal(whole.parameters[i].value, resumed.parameters[i].value));
  }
}

TEST_F(CheckpointTest, EveryCutIsAFormatError) {
  const std::string bytes = ReadAll(Save(Trained(1)));
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string path = folder_.Write("cut", bytes.substr(0, size));
    EXPECT_THROW(ReadCheckpoint(path), FormatError) << size;
  }
  EXPECT_THROW(ReadCheckpoint(folder_.Write("cut", bytes + '\0')), FormatError);
}

TEST_F(CheckpointTest, EveryChangedByteIsAFormatError) {
  const std::string bytes = ReadAll(Save(Trained(1)));
  int64_t told_by_checksum = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] ^= 1;
    const std::string path = folder_.Write("changed", changed);
    const std::string what =
        MessageOf<FormatError>([&] { ReadCheckpoint(path); });
    EXPECT_NE(what, "") << i;
    if (what.find("checksum") != std::string::npos) ++told_by_checksum;
  }
  // Every number of every tensor, at the least.
  EXPECT_GT(told_by_checksum, 3 * 14 * 4);
}

TEST_F(CheckpointTest, OtherFilesAreNoCheckpoints) {
  EXPECT_THROW(ReadCheckpoint(folder_.Path("missing")), IoError);
  EXPECT_THROW(ReadCheckpoint(folder_.Path()), IoError);  // an empty folder
  const std::string path = folder_.Path("other");
  formats::SafetensorsWriter writer(path);
  writer.Finish();
  EXPECT_NE(MessageOf<FormatError>([&] {
              ReadCheckpoint(path);
            }).find("no checkpoint of ropewalk train"),
            std::string::npos);
}

TEST_F(CheckpointTest, AFolderMeansItsCheckpoint) {
  Save(Trained(1), kCheckpointName);
  EXPECT_EQ(ReadCheckpoint(folder_.Path()).state.step, 2);
}

TEST_F(CheckpointTest, ParametersThatDoNotFitChangeNothing) {
  const Checkpoint c = ReadCheckpoint(Save(Trained(1)));
  const auto refuse = [&](std::vector<Parameter> parameters, bool tolerant,
                          const std::string& part) {
    std::vector<at::Tensor> before;
    for (const Parameter& p : parameters) before.push_back(p.value.clone());
    const std::string what = MessageOf<FormatError>(
        [&] { LoadParameters(c, parameters, tolerant); });
    EXPECT_NE(what.find(part), std::string::npos) << what;
    for (size_t i = 0; i < before.size(); ++i) {
      EXPECT_TRUE(at::equal(parameters[i].value, before[i]));
    }
  };
  refuse(Trained(2, 5).parameters, false, "tensor 'a' has 12 numbers");
  refuse(Trained(2, 5).parameters, true, "tensor 'a' has 12 numbers");
  std::vector<Parameter> renamed = Trained(2).parameters;
  renamed[1].name = "c";
  refuse(renamed, false, "tensor 'b' is not part of the configured model");
  std::vector<Parameter> more = Trained(2).parameters;
  more.push_back(optim::MakeParameter("c", at::zeros({2})));
  refuse(more, false, "holds 2 of the 3 tensors");
}

TEST_F(CheckpointTest, ToleranceTakesWhatBothSidesHave) {
  const Trained trained(1);
  const Checkpoint c = ReadCheckpoint(Save(trained));
  std::vector<Parameter> other = Trained(2).parameters;
  other[1].name = "c";
  const at::Tensor untouched = other[1].value.clone();
  EXPECT_EQ(LoadParameters(c, other, true), 1);
  EXPECT_TRUE(at::equal(other[0].value, trained.parameters[0].value));
  EXPECT_TRUE(at::equal(other[1].value, untouched));
}

// Files may grow to `bytes` and no more while it lives, as on a full disk.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit now{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &now);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_{};
};

TEST_F(CheckpointTest, AFullDiskLeavesTheOldOne) {
  const std::string path = Save(Trained(1));
  const std::string before = ReadAll(path);
  for (const size_t room : {size_t{0}, size_t{100}, before.size() - 1}) {
    const FullDisk full(room);
    EXPECT_THROW(Save(Trained(2)), IoError) << room;
  }
  EXPECT_EQ(ReadAll(path), before);
  const std::filesystem::directory_iterator files(folder_.Path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
  Save(Trained(2));
  EXPECT_NE(ReadAll(path), before);
}

}  // namespace
}  // namespace ropewalk::lab::train
