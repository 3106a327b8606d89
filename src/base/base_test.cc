#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <sstream>
#include <thread>
#include <vector>

#include "base/aligned.h"
#include "base/atomic_file.h"
#include "base/dtype.h"
#include "base/error.h"
#include "base/half.h"
#include "base/mapped_file.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/text.h"

namespace ropewalk {
namespace {

namespace fs = std::filesystem;

fs::path FreshFolder(const std::string& name) {
  fs::path folder = fs::path(testing::TempDir()) / ("ropewalk_base_" + name);
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

std::string ReadAll(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(HalfTest, EveryF16RoundTripsThroughFloat) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = F16ToFloat(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(F16ToFloat(FloatToF16(value))));
    } else {
      ASSERT_EQ(FloatToF16(value), half) << bits;
    }
  }
}

TEST(HalfTest, RoundsToNearestEven) {
  EXPECT_EQ(FloatToF16(1.0f + 0x1p-11f), 0x3c00);  // tie, even below
  EXPECT_EQ(FloatToF16(1.0f + 0x1p-11f + 0x1p-20f), 0x3c01);
  EXPECT_EQ(FloatToF16(1.0f + 3 * 0x1p-11f), 0x3c02);  // tie, even above
  EXPECT_EQ(FloatToF16(65519.0f), 0x7bff);
  EXPECT_EQ(FloatToF16(65520.0f), 0x7c00);  // infinity
  EXPECT_EQ(FloatToF16(0x1p-25f), 0x0000);  // tie to zero
  EXPECT_EQ(FloatToF16(0x1.8p-25f), 0x0001);
  EXPECT_EQ(FloatToBf16(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(FloatToBf16(1.0f + 3 * 0x1p-8f), 0x3f82);
  EXPECT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(std::nanf("")))));
}

TEST(DTypeTest, NamesParseBack) {
  for (const DTypeInfo& info : AllDTypes()) {
    EXPECT_EQ(ParseDType(info.name), info.type);
    EXPECT_EQ(InfoOf(info.type).name, info.name);
  }
  EXPECT_EQ(ParseDType("q3"), std::nullopt);
  EXPECT_EQ(ParseDType("Q4_k"), DType::kQ4K);  // case does not matter
  EXPECT_EQ(RowBytes(DType::kQ8_0, 64), 68);
  EXPECT_EQ(RowBytes(DType::kQ4_0, 64), 36);
}

TEST(ParallelTest, RunsEveryTaskOnceOverManyCalls) {
  for (const int64_t threads : {1, 2, 5}) {
    const auto pool = MakeThreadPool(threads);
    EXPECT_EQ(pool->workers(), threads);
    for (int round = 0; round < 200; ++round) {
      const int64_t tasks = round % 37;
      std::vector<std::atomic<int>> hits(static_cast<size_t>(tasks));
      std::vector<std::atomic<int>> inside(static_cast<size_t>(threads));
      pool->Run(tasks, [&](int64_t task, int64_t worker) {
        EXPECT_EQ(inside[static_cast<size_t>(worker)].fetch_add(1), 0);
        hits[static_cast<size_t>(task)].fetch_add(1);
        inside[static_cast<size_t>(worker)].fetch_sub(1);
      });
      for (const auto& count : hits) ASSERT_EQ(count.load(), 1);
    }
  }
}

// Plain memory, so that ThreadSanitizer sees what does not come before what.
TEST(ParallelTest, WhatTasksWriteIsThereForTheNextCall) {
  constexpr int64_t kTasks = 23;
  const auto pool = MakeThreadPool(4);
  std::vector<int64_t> now(kTasks, 0);
  std::vector<int64_t> next(kTasks, 0);
  for (int64_t round = 1; round <= 300; ++round) {
    // Long enough, now and then, for the workers to fall asleep.
    if (round % 50 == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    pool->Run(kTasks, [&](int64_t task, int64_t) {
      next[static_cast<size_t>(task)] =
          now[static_cast<size_t>((task + 1) % kTasks)] + 1;
    });
    std::swap(now, next);
    ASSERT_EQ(now, std::vector<int64_t>(kTasks, round));
    // Tasks that fail together leave the pool as it was.
    std::vector<int64_t> failed(kTasks, -1);
    EXPECT_THROW(pool->Run(kTasks,
                           [&](int64_t task, int64_t) {
                             failed[static_cast<size_t>(task)] = task;
                             throw IoError("boom");
                           }),
                 IoError);
    ASSERT_EQ(failed[0], 0);
  }
}

TEST(ParallelTest, CarriesTheExceptionAndStaysUsable) {
  const auto pool = MakeThreadPool(3);
  EXPECT_THROW(pool->Run(100,
                         [](int64_t task, int64_t) {
                           if (task == 57) throw IoError("boom");
                         }),
               IoError);
  std::atomic<int64_t> sum{0};
  pool->Run(10, [&](int64_t task, int64_t) { sum += task; });
  EXPECT_EQ(sum.load(), 45);
}

TEST(ParallelTest, TwoThreadsOfACoreCountOnce) {
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / "cores";
  const char* siblings[] = {"0,2", "1,3", "0,2", "1,3"};
  for (int cpu = 0; cpu < 4; ++cpu) {
    const auto topology = folder / ("cpu" + std::to_string(cpu)) / "topology";
    std::filesystem::create_directories(topology);
    std::ofstream(topology / "thread_siblings_list") << siblings[cpu] << "\n";
  }
  EXPECT_EQ(CountCores({0, 1, 2, 3}, folder), 2);
  EXPECT_EQ(CountCores({0, 2}, folder), 1);
  EXPECT_EQ(CountCores({0, 1}, folder), 2);
  EXPECT_EQ(CountCores({}, folder), 1);
  // Processors that the folder does not know are cores.
  EXPECT_EQ(CountCores({0, 7, 8}, folder), 3);
}

TEST(ParallelTest, RefusesAbsurdThreadCounts) {
  EXPECT_THROW(MakeThreadPool(-1), std::invalid_argument);
  EXPECT_THROW(MakeThreadPool(1 << 20), std::invalid_argument);
}

TEST(AlignedTest, IsAlignedAndZeroAndRefusesNonsense) {
  const AlignedBuffer<float> buffer(1001);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % kAlignment, 0u);
  EXPECT_EQ(std::accumulate(buffer.data(), buffer.data() + 1001, 0.0f), 0.0f);
  EXPECT_EQ(AlignedBuffer<float>(0).size(), 0);
  EXPECT_THROW(AlignedBuffer<double>(INT64_MAX), std::bad_alloc);
}

TEST(MappedFileTest, MapsBytesAndNamesTheMissingFile) {
  const fs::path folder = FreshFolder("map");
  std::ofstream(folder / "some") << "hello";
  std::ofstream(folder / "none");
  const MappedFile some((folder / "some").string());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(some.bytes().data()),
                        some.bytes().size()),
            "hello");
  EXPECT_TRUE(MappedFile((folder / "none").string()).bytes().empty());
  EXPECT_THROW(MappedFile(folder.string()), IoError);
  try {
    MappedFile((folder / "missing").string());
    FAIL();
  } catch (const IoError& error) {
    EXPECT_NE(std::string(error.what()).find("missing"), std::string::npos);
  }
}

TEST(AtomicFileTest, WithoutCommitTheOldFileStays) {
  const fs::path folder = FreshFolder("atomic");
  const std::string path = (folder / "out.json").string();
  WriteFileAtomically(path, "old");
  {
    AtomicFile file(path);
    file.Write("half of the n");
  }
  EXPECT_EQ(ReadAll(path), "old");
  WriteFileAtomically(path, "new");
  EXPECT_EQ(ReadAll(path), "new");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1);
}

TEST(AtomicFileTest, KeepsModeAndFollowsLinks) {
  const fs::path folder = FreshFolder("mode");
  WriteFileAtomically((folder / "real").string(), "old");
  fs::permissions(folder / "real",
                  fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("real", folder / "link");
  WriteFileAtomically((folder / "link").string(), "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(ReadAll(folder / "real"), "new");
  EXPECT_EQ(fs::status(folder / "real").permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
}

TEST(AtomicFileTest, AFullDiskIsAnIoErrorAndLeavesTheOldFile) {
  const fs::path folder = FreshFolder("full");
  const std::string path = (folder / "out").string();
  WriteFileAtomically(path, "old");
  // A file size limit stands in for the full disk: write(2) fails halfway.
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 4096;
  std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_THROW(WriteFileAtomically(path, std::string(1 << 20, 'x')), IoError);
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(ReadAll(path), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1);
}

TEST(AtomicFileTest, RefusesAFolderAndAMissingFolderAtOnce) {
  const fs::path folder = FreshFolder("refuse");
  EXPECT_THROW(AtomicFile(folder.string()), IoError);
  EXPECT_THROW(AtomicFile((folder / "no" / "file").string()), IoError);
}

TEST(TextTest, FindsTheFirstIllFormedByte) {
  EXPECT_EQ(FindInvalidUtf8("plain, ü, 文, 🦙"), std::nullopt);
  EXPECT_EQ(FindInvalidUtf8(""), std::nullopt);
  EXPECT_EQ(FindInvalidUtf8("ab\xff"), 2);
  EXPECT_EQ(FindInvalidUtf8("a\xc0\xaf"), 1);         // overlong
  EXPECT_EQ(FindInvalidUtf8("\xed\xa0\x80"), 0);      // surrogate
  EXPECT_EQ(FindInvalidUtf8("\xf4\x90\x80\x80"), 0);  // beyond U+10FFFF
  EXPECT_EQ(FindInvalidUtf8("ok \xe6\x96"), 3);       // cut short
}

TEST(TextTest, ParsesLengths) {
  EXPECT_EQ(ParseLength("512"), 512);
  EXPECT_EQ(ParseLength("3k"), 3072);
  EXPECT_EQ(ParseLength("16K"), 16384);
  for (const char* junk : {"", "k", "-1", "1.5k", "12x", "99999999999999999999",
                           "9223372036854775807k", "1kk", " 1"}) {
    EXPECT_EQ(ParseLength(junk), std::nullopt) << junk;
  }
}

TEST(TextTest, NumbersRoundTrip) {
  for (const double value : {0.1, 1.0 / 3, 1e300, -2.5, 0.0}) {
    EXPECT_EQ(ParseNumber(FormatNumber(value)), value);
  }
  EXPECT_EQ(ParseNumber("inf"), std::nullopt);
  EXPECT_EQ(ParseNumber("nan"), std::nullopt);
  EXPECT_EQ(ParseNumber("1e999"), std::nullopt);
}

TEST(TextTest, PrintableKeepsOneLine) {
  EXPECT_EQ(Printable("a\nb\xff\x1b[0m"), "a\\x0ab\\xff\\x1b[0m");
  EXPECT_EQ(Printable(std::string(200, 'x'), 10), "xxxxxxxxxx...");
}

TEST(ProgressTest, FormatsForPeople) {
  EXPECT_EQ(FormatDuration(45.4), "45s");
  EXPECT_EQ(FormatDuration(200), "3m 20s");
  EXPECT_EQ(FormatDuration(7500), "2h 05m");
  EXPECT_EQ(FormatBytes(512), "512 B");
  EXPECT_EQ(FormatBytes(3 << 19), "1.5 MiB");
  EXPECT_EQ(FormatCount(12345), "12.3k");
  EXPECT_EQ(FormatCount(7), "7");
}

TEST(RandomTest, IsTheSameOnEveryMachine) {
  Rng rng(42);
  EXPECT_EQ(rng.Next(), 13930160852258120406u);
  Rng again(42);
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < 20000; ++i) {
    const double x = again.Normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / 20000, 0, 4 / std::sqrt(20000.0));
  EXPECT_NEAR(squares / 20000, 1, 4 * std::sqrt(2 / 20000.0));
}

}  // namespace
}  // namespace ropewalk
