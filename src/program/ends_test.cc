#include "program/ends.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <string>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/interrupt.h"

namespace ropewalk::program {
namespace {

namespace fs = std::filesystem;

// All in processes of their own, since handlers are process-wide.
class EndsTest : public testing::Test {
 protected:
  EndsTest() {
    testing::FLAGS_gtest_death_test_style = "fast";
    fs::create_directories(folder_);
    const rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
  }
  ~EndsTest() override { fs::remove_all(folder_); }

  // A process with an output that it has not finished.
  [[noreturn]] void Work(const std::function<int()>& work) const {
    PrepareEnds({.interrupted = "ropewalk: stopped", .out_of_memory = " here"});
    AtomicFile file((folder_ / "out").string());
    file.Write("half of it");
    std::_Exit(RunToEnd(work));
  }
  bool LeftNothing() const { return fs::is_empty(folder_); }

  const fs::path folder_ = fs::path(testing::TempDir()) /
                           ("ropewalk_ends_" + std::to_string(getpid()));
};

using testing::ExitedWithCode;
using testing::KilledBySignal;

TEST_F(EndsTest, EachErrorHasItsCodeAndOneLine) {
  PrepareEnds({});
  EXPECT_EXIT(std::exit(RunToEnd([] { return 0; })), ExitedWithCode(0), "^$");
  EXPECT_EXIT(std::exit(RunToEnd([]() -> int { throw IoError("a\nb"); })),
              ExitedWithCode(1), "^ropewalk: a\\\\x0ab\n$");
  EXPECT_EXIT(
      std::exit(RunToEnd([]() -> int { throw std::invalid_argument("c"); })),
      ExitedWithCode(2), "^ropewalk: c\n$");
  EXPECT_EXIT(Work([]() -> int { throw std::bad_alloc(); }), ExitedWithCode(1),
              "^ropewalk: out of memory here\n$");
}

TEST_F(EndsTest, ASignalThatNobodyLooksForEndsAtOnce) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU}) {
    EXPECT_EXIT(Work([&] { return raise(signal); }), KilledBySignal(signal),
                "^ropewalk: interrupted\n$");
    EXPECT_TRUE(LeftNothing());
  }
  EXPECT_EXIT(Work([&] { return raise(SIGPIPE); }), KilledBySignal(SIGPIPE),
              "^$");
  EXPECT_TRUE(LeftNothing());
}

TEST_F(EndsTest, AJobThatLooksForASignalSeesTheFirst) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    EXPECT_EXIT(Work([&]() -> int {
                  CatchInterrupts();
                  raise(signal);
                  std::fprintf(stderr, "kept\n");
                  ThrowIfInterrupted();
                  return 0;
                }),
                KilledBySignal(signal), "^kept\nropewalk: stopped\n$");
    EXPECT_TRUE(LeftNothing());
  }
}

TEST_F(EndsTest, TheSecondSignalEndsAtOnce) {
  EXPECT_EXIT(Work([&]() -> int {
                CatchInterrupts();
                raise(SIGINT);
                raise(SIGTERM);
                std::fprintf(stderr, "never\n");
                return 0;
              }),
              KilledBySignal(SIGTERM), "^ropewalk: interrupted\n$");
  EXPECT_TRUE(LeftNothing());
}

TEST_F(EndsTest, ClosedPipesAreSeenOnceAndEndQuietly) {
  EXPECT_EXIT(Work([&]() -> int {
                CatchInterrupts();
                raise(SIGPIPE);
                raise(SIGPIPE);
                std::fprintf(stderr, "kept\n");
                ThrowIfInterrupted();
                return 0;
              }),
              KilledBySignal(SIGPIPE), "^kept\n$");
  EXPECT_TRUE(LeftNothing());
}

TEST_F(EndsTest, AnAbortRemovesTemporaryFiles) {
  EXPECT_EXIT(Work([]() -> int { std::abort(); }), KilledBySignal(SIGABRT),
              "^$");
  EXPECT_TRUE(LeftNothing());
}

TEST_F(EndsTest, IgnoredSignalsStayIgnoredWhereShellsWantIt) {
  for (const int signal : {SIGHUP, SIGPIPE}) {
    EXPECT_EXIT(
        {
          std::signal(signal, SIG_IGN);
          Work([&] { return raise(signal); });
        },
        ExitedWithCode(0), "^$");
  }
}

// A bus error that no file has to do with is a bug, and says nothing of files.
TEST_F(EndsTest, OnlyABusErrorOfAMapIsAnError) {
  EXPECT_EXIT(Work([] { return raise(SIGBUS); }), KilledBySignal(SIGBUS), "^$");
  EXPECT_TRUE(LeftNothing());
}

}  // namespace
}  // namespace ropewalk::program
