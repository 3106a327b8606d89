// Several processes of one run: the same answer as one, and no hang when one
// of them is gone.

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <cmath>

#include "tests/lab/lab_runs.h"

namespace ropewalk {
namespace {

using ProcessesTest = LabTest;
using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Agreement {
  Words settings;
  double tolerance;  // relative
};

TEST_F(ProcessesTest, TwoEqualOneWithTheSameBatch) {
  const std::vector<Agreement> all = {
      {{"train.accumulation=2", "optimizer.lazy_rows=true"}, 1e-5},
      // A sign that flips near 0 moves a weight by two whole steps.
      {{"optimizer.name=tiger", "optimizer.embedding=adamw",
        "train.accumulation=2"},
       1e-2},
  };
  for (size_t i = 0; i < all.size(); ++i) {
    const std::string one = "one" + std::to_string(i);
    const std::string two = "two" + std::to_string(i);
    ASSERT_TRUE(Worked(Lab(Train(one, all[i].settings))));
    ASSERT_TRUE(
        Worked(Lab(Train(two, all[i].settings) + Words{"--nproc", "2"})));
    const std::vector<double> a = Losses(one);
    const std::vector<double> b = Losses(two);
    ASSERT_EQ(a.size(), 20u);
    ASSERT_EQ(b.size(), 20u);
    double worst = 0;
    for (size_t s = 0; s < a.size(); ++s) {
      worst = std::max(worst, std::abs(b[s] / a[s] - 1));
    }
    EXPECT_LE(worst, all[i].tolerance) << i;
    EXPECT_LT(a.back(), a.front());
    EXPECT_EQ(Log(one).back()["step"], 20);
    EXPECT_TRUE(Log(two).back().contains("evaluation"));
  }
}

const Words kEndless = {"train.steps=1000000", "train.checkpoint_every=10"};

TEST_F(ProcessesTest, AKilledProcessEndsTheOther) {
  for (const int rank : {0, 1}) {
    const std::string name = "run" + std::to_string(rank);
    Clock::time_point killed;
    bool done = false;
    const auto kill_it = [&](const ProgramOutput&) {
      if (done || Log(name).size() <= 12) return false;
      const pid_t process = ProcessOfRank(rank);
      if (process == 0) return false;
      done = true;
      killed = Clock::now();
      kill(process, SIGKILL);
      return false;
    };
    const ProgramResult result =
        Lab(Train(name, kEndless) + Words{"--nproc", "2"},
            {.signal_when = kill_it});
    ASSERT_TRUE(done) << Describe(result);
    EXPECT_LT(Since(killed), 15);
    EXPECT_EQ(result.exit_code, 1) << Describe(result);
    EXPECT_TRUE(Contains(result.err, "process " + std::to_string(rank) +
                                         " of 2 was ended by signal 9"))
        << Describe(result);
    EXPECT_TRUE(
        Contains(result.err, "process " + std::to_string(1 - rank) +
                                 " of 2: another process of this run is gone"))
        << Describe(result);
    EXPECT_FALSE(Contains(result.err, "xception raised")) << Describe(result);
    EXPECT_GE(StepOf(name), 10);
    EXPECT_TRUE(ChildrenOf(getpid()).empty());
  }
}

TEST_F(ProcessesTest, CtrlCStopsAllAfterTheSameStep) {
  const Words settings = {"train.steps=150", "train.checkpoint_every=1000000"};
  ASSERT_TRUE(Worked(Lab(Train("whole", settings) + Words{"--nproc", "2"})));
  // To the launcher alone, as a script does it.
  const ProgramResult stopped =
      Lab(Train("run", settings) + Words{"--nproc", "2"},
          {.signal_when = [&](const ProgramOutput&) {
            return Log("run").size() > 5;
          }});
  EXPECT_EQ(stopped.signal, SIGINT) << Describe(stopped);
  EXPECT_TRUE(Contains(stopped.err, "interrupted")) << Describe(stopped);
  EXPECT_FALSE(Contains(stopped.err, "ropewalk: ")) << Describe(stopped);
  EXPECT_LT(StepOf("run"), 150);
  ASSERT_TRUE(Worked(Lab(Resume("run") + Words{"--nproc", "2"})));
  ExpectSameCheckpoints(Checkpoint("whole"), Checkpoint("run"));
}

TEST_F(ProcessesTest, CtrlCAtATerminalReachesEveryProcessAndKillsNone) {
  const Words settings = {"train.steps=1000000",
                          "train.checkpoint_every=1000000"};
  bool sent = false;
  const auto send = [&](const ProgramOutput&) {
    if (sent || Log("run").size() <= 5) return false;
    const pid_t ranks[] = {ProcessOfRank(0), ProcessOfRank(1)};
    if (ranks[0] == 0 || ranks[1] == 0) return false;
    sent = true;
    for (const pid_t rank : ranks) kill(rank, SIGINT);
    for (const pid_t launcher : ChildrenOf(getpid())) kill(launcher, SIGINT);
    return false;
  };
  const ProgramResult stopped = Lab(
      Train("run", settings) + Words{"--nproc", "2"}, {.signal_when = send});
  EXPECT_EQ(stopped.signal, SIGINT) << Describe(stopped);
  EXPECT_GT(StepOf("run"), 4);
}

TEST_F(ProcessesTest, OneThatWasToldStopsAll) {
  bool sent = false;
  const auto send = [&](const ProgramOutput&) {
    if (sent || Log("run").size() <= 5) return false;
    const pid_t other = ProcessOfRank(1);
    if (other == 0) return false;
    sent = true;
    kill(other, SIGTERM);
    return false;
  };
  const ProgramResult stopped = Lab(
      Train("run", {"train.steps=1000000", "train.checkpoint_every=1000000"}) +
          Words{"--nproc", "2"},
      {.signal_when = send});
  EXPECT_GT(stopped.exit_code, 128) << Describe(stopped);
  EXPECT_TRUE(Contains(stopped.err, "interrupted")) << Describe(stopped);
  EXPECT_GT(StepOf("run"), 4);
}

TEST_F(ProcessesTest, WrongCallsAreToldOnce) {
  const Words two = {"--nproc", "2"};
  EXPECT_TRUE(RefusedAtOnce(Lab(Train("run", {"model.layers=0"}) + two), 2,
                            "--set model.layers"));
  EXPECT_TRUE(RefusedAtOnce(Lab(Train("run", {"train.batch=7"}) + two), 2,
                            "2 processes, got 7"));
  const std::string empty = Write("empty.txt", "");
  EXPECT_TRUE(
      RefusedAtOnce(Lab(Train("run", {"data.task=text", "data.train=" + empty,
                                      "evaluate.schemes=rope"}) +
                        two),
                    2, "the corpus is empty"));
}

TEST_F(ProcessesTest, TorchrunsVariablesAreChecked) {
  const auto lab = [&](std::map<std::string, std::string> environment) {
    return Lab(Train("run"), {.environment = std::move(environment)});
  };
  EXPECT_TRUE(RefusedAtOnce(lab({{"WORLD_SIZE", "2"}}), 2,
                            "WORLD_SIZE is set but not RANK"));
  EXPECT_TRUE(RefusedAtOnce(lab({{"WORLD_SIZE", "2"}, {"RANK", "2"}}), 2,
                            "RANK must lie in 0 .. 1, got '2'"));
  EXPECT_TRUE(RefusedAtOnce(lab({{"WORLD_SIZE", "2"},
                                 {"RANK", "1"},
                                 {"MASTER_ADDR", "127.0.0.1"},
                                 {"MASTER_PORT", "70000"}}),
                            2, "MASTER_PORT must lie in 1 .. 65535"));
  EXPECT_TRUE(Worked(lab({{"WORLD_SIZE", "1"}})));
}

// A socket that holds a port.
class TakenPort {
 public:
  TakenPort() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    socklen_t size = sizeof(address);
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (bind(fd_, any, size) != 0 || listen(fd_, 1) != 0) std::abort();
    getsockname(fd_, any, &size);
    port_ = ntohs(address.sin_port);
  }
  TakenPort(const TakenPort&) = delete;
  TakenPort& operator=(const TakenPort&) = delete;
  ~TakenPort() { close(fd_); }
  std::string port() const { return std::to_string(port_); }

 private:
  int fd_;
  int port_ = 0;
};

TEST_F(ProcessesTest, APortThatIsTakenIsTold) {
  const TakenPort taken;
  EXPECT_TRUE(RefusedAtOnce(
      Lab(Train("run"), {.environment = {{"WORLD_SIZE", "2"},
                                         {"RANK", "0"},
                                         {"MASTER_ADDR", "127.0.0.1"},
                                         {"MASTER_PORT", taken.port()}}}),
      1, "process 0 of 2 could not meet the others at 127.0.0.1:"));
}

TEST_F(ProcessesTest, WaitingForTheOthersCanBeStopped) {
  int64_t polls = 1000;
  const ProgramResult stopped =
      Lab(Train("run"),
          {.environment = {{"WORLD_SIZE", "2"},
                           {"RANK", "1"},
                           {"MASTER_ADDR", "127.0.0.1"},
                           {"MASTER_PORT", "1"}},
           .timeout_seconds = 20,
           .signal_when = [&](const ProgramOutput&) { return --polls < 0; }});
  EXPECT_EQ(stopped.signal, SIGINT) << Describe(stopped);
}

}  // namespace
}  // namespace ropewalk
