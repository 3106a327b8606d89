// ropewalk reproduce: studies at the scale smoke, from text to tables.

#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "report/csv.h"
#include "tests/lab/lab_runs.h"

namespace ropewalk {
namespace {

namespace fs = std::filesystem;

class ReproduceTest : public LabTest {
 protected:
  // With a cache of its own: nothing is there from another run.
  ProgramResult Reproduce(const Words& arguments,
                          ProgramOptions options = {}) const {
    options.environment.insert({"XDG_CACHE_HOME", Path("cache")});
    options.environment.insert({"ROPEWALK_DATA", ROPEWALK_SOURCE_FOLDER});
    options.timeout_seconds = 600;
    return Lab(Words{"reproduce"} + arguments, options);
  }

  std::string Study(const std::string& name) const {
    return Path("out/" + name + "/");
  }

  report::CsvFile Rows(const std::string& study) const {
    const std::string path = Study(study) + "measured.csv";
    return report::ParseCsv(ReadAll(path), path);
  }
};

bool HasBible() {
  return std::system("bible -f Gen1:1 </dev/null >/dev/null 2>&1") == 0;
}

TEST_F(ReproduceTest, AloneItListsTheStudies) {
  const ProgramResult result = Reproduce({});
  ASSERT_TRUE(Worked(result));
  for (const char* study :
       {"rerope", "ntk", "invleaky", "hwfa", "entropy", "long"}) {
    EXPECT_NE(result.out.find(study), std::string::npos) << study;
  }
}

TEST_F(ReproduceTest, WrongCallsAreRefusedInOneLine) {
  const std::string text = Write("text.txt", "words and words\n");
  const std::string model = Tiny();
  fs::create_directories(Path("corpus/train"));
  struct Case {
    Words arguments;
    int exit_code;
    const char* says;
  };
  const Case cases[] = {
      {{"nonsense"}, 2, "none of rerope"},
      {{"rerope", "--scale", "huge"}, 2, "smoke, small, paper"},
      {{"rerope", "--scale", "small"}, 2, "--corpus"},
      {{"rerope", "--corpus", Path("nowhere")}, 2, "no folder"},
      {{"rerope", "--corpus", Path("corpus")}, 2, "corpus/train"},
      {{"rerope", "-m", model}, 2, "-t"},
      {{"rerope", "-t", text}, 2, "-m"},
      {{"hwfa", "-m", model, "-t", text}, 2, "hwfa"},
      {{"rerope", "-m", model, "-t", Path("none.txt")}, 1, "none.txt"},
      {{"rerope", "-m", Path("none.gguf"), "-t", text}, 1, "none.gguf"},
      {{"rerope", "-m", model, "-t", text, "--train-length", "zero"},
       2,
       "zero"},
      {{"rerope", "--scale", "smoke", "--documents", "0"}, 2, "documents"},
      {{"--scale", "smoke", "--corpus", "x"}, 2, "name a study"},
  };
  for (const Case& one : cases) {
    const ProgramResult result =
        Reproduce(one.arguments + Words{"--out", Path("out")});
    EXPECT_EQ(result.exit_code, one.exit_code) << Describe(result);
    EXPECT_NE(result.err.find(one.says), std::string::npos) << Describe(result);
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1)
        << Describe(result);
  }
}

TEST_F(ReproduceTest, RowsOfAnotherMakeAreLeftAlone) {
  fs::create_directories(Study("rerope"));
  const std::string path =
      Write("out/rerope/measured.csv", "mine,yours\n1,2\n");
  const ProgramResult result =
      Reproduce({"rerope", "--report", "--out", Path("out")});
  EXPECT_EQ(result.exit_code, 1) << Describe(result);
  EXPECT_NE(result.err.find("measured.csv"), std::string::npos);
  EXPECT_EQ(ReadAll(path), "mine,yours\n1,2\n");
}

TEST_F(ReproduceTest, SmokeOfAllStudiesGoesOnWhereItWasStopped) {
  if (!HasBible()) {
    if (std::getenv("ROPEWALK_REQUIRE_DATA") != nullptr) {
      FAIL() << "no bible(1); install bible-kjv";
    }
    GTEST_SKIP() << "no bible(1) of the package bible-kjv";
  }
  const Words call = {"all", "--scale", "smoke", "--out", Path("out")};
  // Stopped in the middle of the second training, killed among the rows of
  // the third model.
  ProgramResult result = Reproduce(
      call, {.signal_when = [](const ProgramOutput& so_far) {
        return so_far.err.find("== base-logn-s1") != std::string::npos;
      }});
  EXPECT_TRUE(result.signalled);
  EXPECT_EQ(result.signal, SIGINT) << Describe(result);
  const auto before = Rows("rerope").rows;
  EXPECT_FALSE(before.empty());
  result =
      Reproduce(call, {.signal_when =
                           [](const ProgramOutput& so_far) {
                             return so_far.err.find("invleaky: InvLeaky") !=
                                    std::string::npos;
                           },
                       .signal = SIGKILL});
  EXPECT_EQ(result.signal, SIGKILL) << Describe(result);
  result = Reproduce(call);
  ASSERT_TRUE(Worked(result));

  // What was there is there, once.
  const auto after = Rows("rerope").rows;
  ASSERT_GT(after.size(), before.size());
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(after[i], before[i]);
  for (const char* study :
       {"rerope", "ntk", "invleaky", "hwfa", "entropy", "long"}) {
    std::set<std::vector<std::string>> keys;
    const report::CsvFile rows = Rows(study);
    for (const std::vector<std::string>& row : rows.rows) {
      const bool is_new =
          keys.insert({row[1], row[2], row[3], row[4], row[5], row[6], row[7]})
              .second;
      EXPECT_TRUE(is_new) << study << ": " << row[1] << " " << row[7];
      EXPECT_EQ(row[0], "smoke");
      EXPECT_FALSE(row[11].empty());
      EXPECT_FALSE(row[12].empty());
      EXPECT_EQ(row[13].find("/"), std::string::npos) << row[13];
    }
    for (const char* file : {"table-smoke.md", "index-smoke.html"}) {
      EXPECT_TRUE(fs::exists(Study(study) + file)) << study << file;
    }
    const std::string page = ReadAll(Study(study) + "index-smoke.html");
    EXPECT_NE(page.find("<svg"), std::string::npos) << study;
    EXPECT_EQ(page.find("nothing measured yet"), std::string::npos) << study;
  }

  // Nothing is left to do: no training, the same tables.
  const ProgramResult again = Reproduce(call);
  ASSERT_TRUE(Worked(again));
  EXPECT_EQ(again.err.find("== "), std::string::npos);
  EXPECT_EQ(again.out, result.out);
  EXPECT_EQ(Rows("rerope").rows, after);
  // Nor does it take the texts or the models to show them.
  fs::remove_all(Path("cache"));
  const ProgramResult report =
      Reproduce({"all", "--scale", "smoke", "--report", "--out", Path("out")});
  ASSERT_TRUE(Worked(report));
  EXPECT_EQ(report.out, result.out);
}

}  // namespace
}  // namespace ropewalk
