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

const std::vector<std::string> kStudies = {
    "rerope",   "ntk",          "invleaky", "hwfa",           "entropy",
    "long",     "decoder-only", "rank",     "tied-embedding", "sign-embedding",
#ifdef ROPEWALK_GAN
    "monoflow",
#endif
};

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
    return RowsAt(Study(study) + "measured.csv");
  }
  static report::CsvFile RowsAt(const std::string& path) {
    return report::ParseCsv(ReadAll(path), path);
  }

  // A file of the smoke models' cache.
  std::string Cached(const std::string& name) const {
    for (const auto& entry :
         fs::directory_iterator(Path("cache/ropewalk/studies"))) {
      const fs::path path = entry.path() / name;
      if (fs::exists(path)) return path.string();
    }
    ADD_FAILURE() << "no " << name << " in the cache";
    return "";
  }

  // Both want the cache of a finished smoke run.
  void ExpectOtherConfigsAreToldApart() const;
  void ExpectGivenModelsHaveTablesOfTheirOwn() const;
};

void ReproduceTest::ExpectOtherConfigsAreToldApart() const {
  fs::create_directories(Path("data"));
  fs::copy(fs::path(ROPEWALK_SOURCE_FOLDER) / "studies", Path("data/studies"),
           fs::copy_options::recursive);
  const std::string config = Path("data/studies/smoke.toml");
  std::string text = ReadAll(config);
  const std::string rate = "embedding_learning_rate = 0.004";
  ASSERT_NE(text.find(rate), std::string::npos);
  text.replace(text.find(rate), rate.size(), "embedding_learning_rate = 0.4");
  WriteAll(config, text);
  const ProgramResult result =
      Lab({"reproduce", "ntk", "--scale", "smoke", "--only", "base", "--out",
           Path("other")},
          {.environment = {{"XDG_CACHE_HOME", Path("cache")},
                           {"ROPEWALK_DATA", Path("data")}},
           .timeout_seconds = 600});
  EXPECT_EQ(result.exit_code, 1) << Describe(result);
  EXPECT_NE(result.err.find("another config"), std::string::npos)
      << Describe(result);
  EXPECT_NE(result.err.find("embedding_learning_rate"), std::string::npos);
}

void ReproduceTest::ExpectGivenModelsHaveTablesOfTheirOwn() const {
  const std::string text = Cached("heldout/kjv.txt");
  const Words rest = {"-t", text, "--documents", "4", "--out", Path("given")};
  for (const char* model : {"base-s1", "base-logn-s1"}) {
    const std::string file = Path(std::string(model) + ".gguf");
    fs::copy_file(Cached(std::string(model) + "/smoke-f32.gguf"), file);
    const Words call = Words{"ntk", "-m", file} + rest;
    const ProgramResult result = Reproduce(call);
    ASSERT_TRUE(Worked(result));
    EXPECT_NE(result.out.find("YaRN"), std::string::npos) << result.out;
    const std::string folder = Path("given/ntk/" + std::string(model) + "/");
    EXPECT_TRUE(fs::exists(folder + "table-given.md"));
    const bool logn = std::string(model) == "base-logn-s1";
    for (const auto& row : RowsAt(folder + "measured.csv").rows) {
      EXPECT_EQ(row[2], model);
      // Read with the scale that it was trained with.
      EXPECT_EQ(row[4].find("+logn") != std::string::npos &&
                    row[4].find("+logn-clip") == std::string::npos,
                logn)
          << row[4];
    }
    const ProgramResult again = Reproduce(call);
    ASSERT_TRUE(Worked(again));
    EXPECT_EQ(again.out, result.out);
    EXPECT_EQ(again.err.find("ntk: "), std::string::npos) << again.err;
  }
  ASSERT_TRUE(
      Worked(Reproduce(Words{"rank", "-m", Path("base-s1.gguf")} + rest)));
  const std::string ranks = Path("given/rank/base-s1/");
  EXPECT_TRUE(fs::exists(ranks + "table-given.md"));
  std::map<std::string, double> finite;
  for (const auto& row : RowsAt(ranks + "measured.csv").rows) {
    if (row[2] == "base-s1" && row[7] == "share of finite log det") {
      finite[row[5]] = std::stod(row[8]);
    }
  }
  EXPECT_EQ(finite, (std::map<std::string, double>{{"softmax, causal", 1},
                                                   {"linear, causal", 1}}));
  const ProgramResult stack =
      Reproduce(Words{"ntk", "-m", Cached("hwfa-s1/smoke-f32.gguf")} + rest);
  EXPECT_EQ(stack.exit_code, 2) << Describe(stack);
  EXPECT_NE(stack.err.find("law of its own"), std::string::npos)
      << Describe(stack);
}

bool HasBible() {
  return std::system("bible -f Gen1:1 </dev/null >/dev/null 2>&1") == 0;
}

TEST_F(ReproduceTest, AloneItListsTheStudies) {
  const ProgramResult result = Reproduce({});
  ASSERT_TRUE(Worked(result));
  for (const std::string& study : kStudies) {
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
      {{"rerope", "--scale", "smoke", "--device", "tpu"}, 2, "cuda:N"},
      {{"rerope", "-m", model, "-t", text, "--device", "cpu"}, 2, "--device"},
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

#ifdef ROPEWALK_GAN
// A study with data of its own: no texts, no models, and what it has is kept
// where another part of its data is missing.
TEST_F(ReproduceTest, MonoflowNeedsNoTextsAndSaysWhichPackageItNeeds) {
  const ProgramResult result =
      Reproduce({"monoflow", "--scale", "smoke", "--out", Path("out")},
                {.environment = {{"ROPEWALK_FASHION_MNIST", Path("nowhere")}}});
  EXPECT_EQ(result.exit_code, 1) << Describe(result);
  EXPECT_NE(result.err.find("dataset-fashion-mnist"), std::string::npos)
      << Describe(result);
  std::set<std::string> rows;
  for (const auto& row : Rows("monoflow").rows) rows.insert(row[1]);
  EXPECT_TRUE(rows.contains("-log r, detached"));
  EXPECT_TRUE(rows.contains("spiral, kernel flow"));
  EXPECT_TRUE(fs::exists(Study("monoflow") + "table-smoke.md"));
  const ProgramResult report = Reproduce(
      {"monoflow", "--scale", "smoke", "--report", "--out", Path("out")});
  ASSERT_TRUE(Worked(report));
  const std::string page = ReadAll(Study("monoflow") + "index-smoke.html");
  EXPECT_NE(page.find("<canvas"), std::string::npos);
  EXPECT_NE(page.find("data:image/png;base64"), std::string::npos);
  EXPECT_EQ(page.find("src=\"http"), std::string::npos);
}
#else
TEST_F(ReproduceTest, WithoutGansMonoflowSaysHowToBuildIt) {
  const ProgramResult result = Reproduce({"monoflow", "--scale", "smoke"});
  EXPECT_EQ(result.exit_code, 2) << Describe(result);
  EXPECT_NE(result.err.find("-DROPEWALK_GAN=ON"), std::string::npos)
      << Describe(result);
}
#endif

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
  for (const std::string& study : kStudies) {
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
  }

  // Nothing is left to do: no training, the same tables.
  const ProgramResult again = Reproduce(call);
  ASSERT_TRUE(Worked(again));
  EXPECT_EQ(again.err.find("== "), std::string::npos);
  EXPECT_EQ(again.out, result.out);
  EXPECT_EQ(Rows("rerope").rows, after);
  ExpectOtherConfigsAreToldApart();
  ExpectGivenModelsHaveTablesOfTheirOwn();
  // Nor does it take the texts or the models to show them.
  fs::remove_all(Path("cache"));
  const ProgramResult report =
      Reproduce({"all", "--scale", "smoke", "--report", "--out", Path("out")});
  ASSERT_TRUE(Worked(report));
  EXPECT_EQ(report.out, result.out);
}

}  // namespace
}  // namespace ropewalk
