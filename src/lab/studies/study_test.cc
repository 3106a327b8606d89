#include "lab/studies/study.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <stdexcept>

#include "base/error.h"
#include "formats/text_file.h"
#include "lab/nn/model.h"
#include "lab/studies/bench.h"
#include "lab/studies/comparison.h"
#include "lab/studies/corpus.h"
#include "lab/studies/head_simulation.h"
#include "lab/studies/length_models.h"
#include "lab/studies/sequence_models.h"
#include "lab/studies/sign_models.h"
#include "lab/studies/study_report.h"

namespace ropewalk::lab::studies {
namespace {

namespace fs = std::filesystem;

fs::path Root() { return ROPEWALK_SOURCE_FOLDER; }

Setting ReadSetting(Scale scale) {
  setenv("ROPEWALK_DATA", Root().c_str(), 1);
  return MakeSetting(scale);
}

// Names of all rows that a study measures at a scale.
std::set<std::string> RowsOf(const Study& study, const Setting& setting) {
  std::set<std::string> rows;
  for (const ModelSpec& model : study.Models(setting)) {
    for (const Job& job : study.Jobs(setting, model)) rows.insert(job.row);
  }
  for (const Job& job : study.OwnJobs(setting)) rows.insert(job.row);
  return rows;
}

std::vector<Published> PublishedOf(const Study& study) {
  const std::string path =
      (Root() / "studies" / study.name() / "published.csv").string();
  return ParsePublished(formats::ReadTextFile(path), path);
}

// Windows of HWFA2 beside the one that we train: for reading along.
bool IsPublishedAlone(const std::string& row) {
  return row.starts_with("HWFA2 f") && row.find(" window") != std::string::npos;
}

TEST(StudyTest, EveryPublishedRowAndEveryClaimIsMeasured) {
  const Setting small = ReadSetting(Scale::kSmall);
  for (const Study* study : AllStudies()) {
    const std::set<std::string> rows = RowsOf(*study, small);
    for (const Published& published : PublishedOf(*study)) {
      EXPECT_NE(rows.contains(published.row), IsPublishedAlone(published.row))
          << study->name() << ": " << published.row;
      EXPECT_FALSE(published.source.empty());
    }
    for (const Claim& claim : study->Claims(small)) {
      EXPECT_TRUE(rows.contains(claim.left.row)) << claim.left.row;
      EXPECT_TRUE(claim.bound || rows.contains(claim.right.row)) << claim.text;
    }
  }
}

TEST(StudyTest, RowsOfAModelHaveNamesOfTheirOwn) {
  for (const Scale scale : {Scale::kSmoke, Scale::kSmall, Scale::kPaper}) {
    const Setting setting = ReadSetting(scale);
    for (const Study* study : AllStudies()) {
      for (const ModelSpec& model : study->Models(setting)) {
        std::set<std::string> rows;
        for (const Job& job : study->Jobs(setting, model)) {
          EXPECT_TRUE(rows.insert(job.row).second)
              << study->name() << ", " << model.name << ": " << job.row;
        }
        EXPECT_FALSE(rows.empty()) << study->name() << ", " << model.name;
      }
    }
  }
}

// Two rows of one name and seed would overwrite each other.
TEST(StudyTest, OwnRowsOfASeedHaveNamesOfTheirOwn) {
  for (const Scale scale : {Scale::kSmoke, Scale::kSmall, Scale::kPaper}) {
    const Setting setting = ReadSetting(scale);
    for (const Study* study : AllStudies()) {
      std::set<std::pair<std::string, uint64_t>> rows;
      for (const Job& job : study->OwnJobs(setting)) {
        EXPECT_TRUE(rows.emplace(job.row, job.seed).second)
            << study->name() << ": " << job.row << ", seed " << job.seed;
      }
    }
  }
}

TEST(StudyTest, OneNameIsOneModelInAllStudies) {
  for (const Scale scale : {Scale::kSmoke, Scale::kSmall, Scale::kPaper}) {
    const Setting setting = ReadSetting(scale);
    std::map<std::string, ModelSpec> known;
    for (const Study* study : AllStudies()) {
      for (const ModelSpec& model : study->Models(setting)) {
        const auto [at, is_new] = known.emplace(model.Label(), model);
        EXPECT_EQ(at->second.overrides, model.overrides) << model.Label();
        EXPECT_EQ(at->second.stack, model.stack) << model.Label();
        EXPECT_EQ(at->second.starts_from, model.starts_from);
        if (!model.starts_from.empty()) {
          EXPECT_TRUE(known.contains(model.starts_from + "-s1"))
              << "trained after what it starts from";
        }
      }
    }
  }
}

TEST(StudyTest, EveryModelHasAValidConfig) {
  for (const Scale scale : {Scale::kSmoke, Scale::kSmall, Scale::kPaper}) {
    const Setting setting = ReadSetting(scale);
    for (const Study* study : AllStudies()) {
      for (const ModelSpec& model : study->Models(setting)) {
        std::vector<std::string> overrides = {"data.train=[\"texts\"]"};
        overrides.insert(overrides.end(), model.overrides.begin(),
                         model.overrides.end());
        EXPECT_NO_THROW(
            train::ReadTrainConfig(setting.config, "config", overrides))
            << model.name;
        EXPECT_TRUE(model.stack.empty() ||
                    static_cast<int64_t>(model.stack.size()) == setting.L);
      }
    }
  }
}

// What is matched is matched, at the size that is trained.
TEST(StudyTest, ArchitecturesAreMatchedAsTheTablesSay) {
  const Setting small = ReadSetting(Scale::kSmall);
  for (const PairTaskName& task : PairTasks()) {
    const auto config = [&](const PairArchitecture& of) {
      return ConfigOf(small, PairModel(small, of, task, 1).overrides).model;
    };
    const nn::Model gpt(config(PairArchitectures().front()), 1);
    const int64_t half = gpt.config().N / 2;
    for (const PairArchitecture& of : PairArchitectures()) {
      const nn::Model model(config(of), 1);
      const double weights = static_cast<double>(model.BlockParameterCount()) /
                             static_cast<double>(gpt.BlockParameterCount());
      const double work =
          model.ForwardFlops(half, half) / gpt.ForwardFlops(half, half);
      EXPECT_NEAR(weights, of.equal_parameters ? 1 : 2, 0.01) << of.name;
      // Cross attention runs shared weights once more.
      const bool shared = of.name == std::string("shared");
      EXPECT_NEAR(work, of.half ? 0.55 : shared ? 1.17 : 1, 0.06) << of.name;
    }
  }
}

// What is trained for the study of heads shows what it is about: a tied head
// that starts far above an even guess, and a sigma that is smaller than its
// own.
TEST(StudyTest, TrainedHeadsHaveTheEffectThatTheyStudy) {
  const Setting small = ReadSetting(Scale::kSmall);
  const Study& study = *FindStudies({"tied-embedding"}).front();
  std::map<std::string, HeadStart> starts;
  for (const ModelSpec& model : study.Models(small)) {
    if (model.seed != 1 || model.name.find("ordinary") != std::string::npos) {
      continue;
    }
    const nn::ModelConfig config = ConfigOf(small, model.overrides).model;
    starts[model.name] = {.head = config.head,
                          .width = config.E,
                          .vocabulary = config.V,
                          .layers = config.L};
  }
  ASSERT_TRUE(starts.contains("head-tied"));
  const HeadStart& tied = starts["head-tied"];
  EXPECT_GT(ClosedFormLoss(tied),
            std::log(static_cast<double>(tied.vocabulary)) + 2);
  EXPECT_LT(SigmaOf(starts["head-tied-sigma"]), SigmaOf(tied));
}

// The rule of post 9603 gives 17 on its bench.
TEST(StudyTest, WindowsFollowThePosts) {
  const Setting paper = ReadSetting(Scale::kPaper);
  EXPECT_EQ(HwfaWindow(paper), 17);
  EXPECT_EQ(Hwfa2Window(paper), 64);
  const Setting small = ReadSetting(Scale::kSmall);
  EXPECT_EQ(HwfaWindow(small), 39);
  EXPECT_EQ(Hwfa2Window(small), 128);
}

TEST(StudyTest, NamesAreFoundAndNonsenseIsRefused) {
  EXPECT_EQ(FindStudies({"all"}).size(), AllStudies().size());
  EXPECT_EQ(FindStudies({"ntk", "rerope", "ntk"}).size(), 2u);
  EXPECT_EQ(FindStudies({"ntk", "rerope"})[0]->name(), "ntk");
  EXPECT_THROW(FindStudies({"nonsense"}), std::invalid_argument);
  EXPECT_THROW(ParseScale("given"), std::invalid_argument);
}

// What stands in the repository comes from its rows by the code that is there:
// `ropewalk reproduce all --report --out studies` makes it.
TEST(StudyTest, CommittedTablesAreThoseOfTheCommittedRows) {
  for (const Study* study : AllStudies()) {
    const fs::path root = Root() / "studies" / study->name();
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      if (entry.path().filename() != "measured.csv") continue;
      const fs::path folder = entry.path().parent_path();
      const Scale scale = folder == root ? Scale::kSmall : Scale::kGiven;
      const Measurements measured(entry.path().string(),
                                  {.scale = ToString(scale)});
      ASSERT_FALSE(measured.lines().empty()) << entry.path();
      const Setting setting = ReportSetting(scale, measured);
      const std::string table = formats::ReadTextFile(
          (folder / ResultName(setting, "table", ".md")).string());
      EXPECT_EQ(table, ResultMarkdown({.study = study,
                                       .setting = &setting,
                                       .measured = &measured,
                                       .published = PublishedOf(*study)}))
          << study->name();
    }
  }
}

TEST(StudyTest, OptimizersHaveTheSeedsOfTheirBestRate) {
  const Setting small = ReadSetting(Scale::kSmall);
  const Measurements measured(
      (Root() / "studies/sign-embedding/measured.csv").string(),
      {.scale = "small"});
  for (const OptimizerChoice& choice : OptimizerChoices()) {
    ASSERT_LT(choice.best, choice.rates.size());
    std::map<double, size_t> by_loss;  // of the seed that has every rate
    for (size_t rate = 0; rate < choice.rates.size(); ++rate) {
      for (const Measurement& line : measured.lines()) {
        if (line.seed == 1 && line.length == CompactLength(small) &&
            line.metric == "loss" && line.set == "natural" &&
            line.row == OptimizerRow(choice, rate)) {
          by_loss[line.value] = rate;
        }
      }
    }
    ASSERT_EQ(by_loss.size(), choice.rates.size()) << choice.title;
    EXPECT_EQ(by_loss.begin()->second, choice.best) << choice.title;
    // Not the last one that was tried: a higher or lower one might be better.
    EXPECT_GT(choice.best, 0u) << choice.title;
    EXPECT_LT(choice.best + 1, choice.rates.size()) << choice.title;
  }
}

// The table of docs/results.md is that of `long`.
TEST(StudyTest, ResultsShowTheTableOfLong) {
  const std::string csv = (Root() / "studies/long/measured.csv").string();
  if (!fs::exists(csv)) GTEST_SKIP() << "no rows of long in the repository";
  const Measurements measured(csv, {.scale = "small"});
  const Study& study = *FindStudies({"long"}).front();
  const std::string table = ToMarkdown(
      study.Tables(ReadSetting(Scale::kSmall), measured).front().table);
  EXPECT_NE(
      formats::ReadTextFile((Root() / "docs/results.md").string()).find(table),
      std::string::npos)
      << table;
}

// The course of a training in few points: none is lost in the means, the first
// and the last are there.
TEST(BenchTest, CurvesKeepTheirEndsAndTheirMean) {
  std::vector<train::StepRecord> curve;
  double sum = 0;
  for (int64_t step = 20; step <= 6000; step += 20) {
    const double loss = 8 - std::log(static_cast<double>(step));
    // What Ctrl-C leaves behind: a record between two others.
    if (step == 200) curve.push_back({.step = 187, .loss = loss});
    curve.push_back({.step = step,
                     .loss = loss,
                     .largest_embedding = static_cast<double>(step)});
    sum += loss;
  }
  const std::vector<evaluate::Document> none;
  const Setting setting;
  const Bench bench(setting, "", none, {.curve = curve});
  double weighted = 0;
  int64_t before = 0;
  std::vector<int64_t> steps;
  for (const Measurement& line : bench.CurveLines()) {
    EXPECT_EQ(line.set, "curve");
    if (line.metric == "training loss") {
      weighted += line.value * static_cast<double>(line.length - before) / 20;
      before = line.length;
      steps.push_back(line.length);
    } else {
      EXPECT_EQ(line.value, static_cast<double>(line.length));
    }
  }
  EXPECT_NEAR(weighted, sum, 1e-9 * sum);
  EXPECT_EQ(std::ranges::count(steps, 187), 0);
  EXPECT_EQ(steps.front(), 20);
  EXPECT_EQ(steps.back(), 6000);
  EXPECT_GT(steps.size(), 15u);
  EXPECT_LE(steps.size(), 26u);
  EXPECT_TRUE(Bench(setting, "", none).CurveLines().empty());
  const Bench one(setting, "", none, {.curve = {{.step = 1, .loss = 2}}});
  EXPECT_EQ(one.CurveLines().size(), 2u);
}

// Jobs that score nothing do not want a model that can be scored.
TEST(BenchTest, ReadsItsFileWhenItMeasures) {
  const std::vector<evaluate::Document> none;
  Bench bench(Setting(), "no such file.gguf", none, {.curve = {{.step = 1}}});
  EXPECT_EQ(bench.CurveLines().size(), 2u);
  EXPECT_THROW(bench.Loss("rope", 16, 1), std::exception);
}

class CorpusTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    Write("train/b.txt", "second");
    Write("train/a.txt", "first\n");
    Write("heldout/c.md", "third");
  }
  void TearDown() override { fs::remove_all(folder_); }
  void Write(const std::string& name, const std::string& text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }

  fs::path folder_;
};

TEST_F(CorpusTest, ListsTitlesAndHashes) {
  const StudyCorpus corpus = ReadStudyCorpus(folder_.string());
  EXPECT_EQ(corpus.listing.find("split\ttitle\tbytes\tsha256\n"), 0u);
  // SHA-256 of "second", from sha256sum.
  EXPECT_NE(corpus.listing.find("train\tb\t6\t16367aacb67a4a017c8da8ab95682ccb"
                                "390863780f7114dda0a0e0c55644c7c4\n"),
            std::string::npos)
      << corpus.listing;
  EXPECT_LT(corpus.listing.find("train\ta\t"), corpus.listing.find("train\tb"));
  EXPECT_EQ(corpus.hash.size(), 12u);
}

TEST_F(CorpusTest, AnotherTextIsAnotherHash) {
  const std::string before = ReadStudyCorpus(folder_.string()).hash;
  EXPECT_EQ(ReadStudyCorpus(folder_.string()).hash, before);
  Write("train/b.txt", "Second");
  EXPECT_NE(ReadStudyCorpus(folder_.string()).hash, before);
}

TEST_F(CorpusTest, MissingPartsAreNamed) {
  fs::remove_all(folder_ / "heldout");
  try {
    ReadStudyCorpus(folder_.string());
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("heldout"), std::string::npos);
  }
}

}  // namespace
}  // namespace ropewalk::lab::studies
