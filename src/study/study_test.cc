#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/error.h"
#include "position/scheme.h"
#include "report/table.h"
#include "study/evidence.h"
#include "study/real.h"
#include "study/real_report.h"
#include "study/rows.h"
#include "study/schemes.h"
#include "study/tune.h"

namespace ropewalk::study {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kN = 1000;

Row MakeRow(const std::string& document, const std::string& scheme,
            int64_t times, double loss) {
  return {.set = "novels",
          .document = document,
          .scheme = scheme,
          .position = "rope",
          .length = times * kN,
          .scored = 100,
          .loss = loss,
          .accuracy = 0.25,
          .rare = 2,
          .rare_loss = 5,
          .passage_loss = 2 * loss,
          .passage_accuracy = 0.5,
          .needles = "1011",
          .needle_losses = {4, 3, 2, 1},
          .distances = {1800, 1001, 1000, 10},
          .traces = "110",
          .seconds = 1.5,
          .kv_bytes = 1 << 20};
}

class StudyTest : public testing::Test {
 protected:
  StudyTest()
      : folder_(fs::path(testing::TempDir()) /
                ("study_" + std::string(testing::UnitTest::GetInstance()
                                            ->current_test_info()
                                            ->name()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "model");
  }
  ~StudyTest() override { fs::remove_all(folder_); }

  std::string ModelFolder() const { return (folder_ / "model").string(); }

  // Rows of two schemes on three documents.
  void Fill() {
    Rows rows(ModelFolder());
    (void)rows.RunOf({.model = "m.gguf", .N = kN, .command = "c"});
    for (const auto& [document, loss] :
         {std::pair{"a", 3.0}, {"b", 3.5}, {"c", 4.0}}) {
      rows.Add(MakeRow(document, kRope, 1, loss));
      rows.Add(MakeRow(document, kSinkWindow, 2, loss + 0.01));
      rows.Add(MakeRow(document, kReRopeHalf, 2,
                       loss + (document[0] == 'a' ? 0.12 : 0.1)));
    }
  }

  fs::path folder_;
};

TEST_F(StudyTest, RowsComeBackFromTheirFilesAsTheyWere) {
  const study::Run run{.model = "m.gguf",
                       .content = "0123",
                       .N = kN,
                       .kv_type = "f16",
                       .products = "int",
                       .hardware = "2 x \"CPU\"",
                       .command = "ropewalk reproduce real, x"};
  {
    Rows rows(ModelFolder());
    EXPECT_EQ(rows.RunOf(run), 0);
    EXPECT_EQ(rows.RunOf(run), 0);
    rows.Add(MakeRow("a", "rope", 2, 3.25));
  }
  Rows again(ModelFolder());
  ASSERT_EQ(again.rows().size(), 1u);
  ASSERT_EQ(again.runs().size(), 1u);
  EXPECT_EQ(again.runs()[0], run);
  const Row& row = again.rows()[0];
  EXPECT_EQ(row.needles, "1011");
  EXPECT_EQ(row.needle_losses, (std::vector<double>{4, 3, 2, 1}));
  EXPECT_EQ(row.distances, (std::vector<int64_t>{1800, 1001, 1000, 10}));
  EXPECT_EQ(row.loss, 3.25);
  EXPECT_EQ(row.kv_bytes, 1 << 20);
  EXPECT_EQ(again.Find("novels", "a", "rope", 2 * kN), &row);
  EXPECT_EQ(again.Find("novels", "a", "rope", kN), nullptr);
  EXPECT_EQ(again.Find("novels", "b", "rope", 2 * kN), nullptr);
  EXPECT_EQ(again.Find("code", "a", "rope", 2 * kN), nullptr);
  // Another model, other keys or products would stand in the same means.
  study::Run other = run;
  other.kv_type = "f32";
  EXPECT_THROW((void)again.RunOf(other), std::invalid_argument);
  other = run;
  other.content = "4567";
  EXPECT_THROW((void)again.RunOf(other), std::invalid_argument);
  other = run;
  other.command = "another";
  EXPECT_EQ(again.RunOf(other), 1);
}

TEST_F(StudyTest, FilesThatAreNoneOfOursAreRefusedByALine) {
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream((folder_ / "model" / name).string()) << text;
  };
  write("measured.csv", "a,b\n1,2\n");
  EXPECT_THROW(Rows{ModelFolder()}, FormatError);
  fs::remove(folder_ / "model" / "measured.csv");
  Fill();
  fs::remove(folder_ / "model" / "runs.csv");  // rows name a run that is gone
  EXPECT_THROW(Rows{ModelFolder()}, FormatError);
}

TEST_F(StudyTest, DifferencesArePairedByDocument) {
  Fill();
  const Rows rows(ModelFolder());
  const Evidence evidence(rows.rows(), "novels", kN);
  const auto mean = evidence.MeanOf({kRope, 1}, MetricOf("loss"));
  ASSERT_TRUE(mean);
  EXPECT_DOUBLE_EQ(mean->value, 3.5);
  EXPECT_EQ(mean->documents, 3);
  // 0.11, 0.09, 0.09: mean 0.29 / 3, standard error 0.02 / 3, t(2) = 4.303.
  const auto difference =
      evidence.Compare({kReRopeHalf, 2}, {kSinkWindow, 2}, MetricOf("loss"));
  ASSERT_TRUE(difference);
  EXPECT_NEAR(difference->value, 0.29 / 3, 1e-12);
  EXPECT_NEAR(difference->margin, 4.303 * 0.02 / 3, 1e-6);
  EXPECT_EQ(difference->verdict(), Verdict::kAbove);
  // The documents differ by far more than the schemes: without pairs nothing
  // would be decided.
  EXPECT_LT(difference->value, mean->error);
  EXPECT_FALSE(evidence.Compare({kReRopeHalf, 2}, {kDca, 2}, MetricOf("loss")));
}

// Two pieces of a novel share its author: they count once.
TEST_F(StudyTest, PiecesOfOneFileAreOneDocument) {
  const std::vector<Row> rows = {MakeRow("a.txt 1/2", kRope, 1, 3),
                                 MakeRow("a.txt 2/2", kRope, 1, 5),
                                 MakeRow("b.txt 1/2", kRope, 1, 6),
                                 MakeRow("a.txt 1/2", kSinkWindow, 2, 2),
                                 MakeRow("a.txt 2/2", kSinkWindow, 2, 3)};
  const Evidence evidence(rows, "novels", kN);
  const auto mean = evidence.MeanOf({kRope, 1}, MetricOf("loss"));
  EXPECT_EQ(mean->value, 5);
  EXPECT_EQ(mean->documents, 2);
  const auto difference =
      evidence.Compare({kSinkWindow, 2}, {kRope, 1}, MetricOf("loss"));
  EXPECT_EQ(difference->value, -1.5);
  EXPECT_EQ(difference->verdict(), Verdict::kSeenOnce);
}

TEST_F(StudyTest, ARowThatIsThereTwiceIsRefused) {
  Fill();
  const std::string path = ModelFolder() + "/measured.csv";
  std::ifstream file(path);
  std::string line, last, all;
  while (std::getline(file, line)) all += (last = line) + "\n";
  std::ofstream(path) << all << last << "\n";
  EXPECT_THROW(Rows{ModelFolder()}, FormatError);
}

TEST_F(StudyTest, OneDocumentDecidesNothing) {
  const std::vector<Row> rows = {MakeRow("a", kRope, 1, 3),
                                 MakeRow("a", kSinkWindow, 2, 2)};
  const Evidence evidence(rows, "novels", kN);
  const auto difference =
      evidence.Compare({kSinkWindow, 2}, {kRope, 1}, MetricOf("loss"));
  ASSERT_TRUE(difference);
  EXPECT_EQ(difference->verdict(), Verdict::kSeenOnce);
  EXPECT_EQ(ToString(*difference, 2), "-1.00");
}

TEST(MetricTest, FarNumbersAreThoseMoreThanNTokensAgo) {
  const Row row = MakeRow("a", kRope, 2, 3);
  EXPECT_EQ(MetricOf("needle_loss").of(row, kN), 2.5);
  EXPECT_EQ(MetricOf("needles_right").of(row, kN), 75);
  EXPECT_EQ(MetricOf("far_needle_loss").of(row, kN), 3.5);
  EXPECT_EQ(MetricOf("far_needles_right").of(row, kN), 50);
  EXPECT_EQ(MetricOf("far_needle_loss").of(row, 5000), std::nullopt);
  EXPECT_NEAR(*MetricOf("traces_right").of(row, kN), 200.0 / 3, 1e-9);
  EXPECT_THROW(MetricOf("speed"), std::invalid_argument);
}

TEST_F(StudyTest, APageIsFilledFromTheRows) {
  Fill();
  const std::string folder = folder_.string();
  EXPECT_EQ(FillPage("loss {{model | mean | RoPE | N | loss}} of "
                     "{{model | documents | sink-window | 2N}}.",
                     folder),
            "loss 3.500 of 3.");
  EXPECT_EQ(FillPage("{{model | verdict | ReRoPE w=N/2 2N | sink-window 2N | "
                     "loss}} {{model | difference | sink-window 2N | RoPE N | "
                     "loss}}",
                     folder),
            "above +0.010 ± 0.000");
  Rows rows(ModelFolder());
  Row code = MakeRow("d", kRope, 1, 1.25);
  code.set = "code";
  rows.Add(code);
  EXPECT_EQ(FillPage("{{model, code | mean | RoPE | N | loss}} "
                     "{{model | mean | RoPE | N | loss}}",
                     folder),
            "1.250 3.500");
  EXPECT_NE(
      FillPage("{{model | table | claims}}\nafter", folder).find("|\nafter"),
      std::string::npos);
  for (const char* wrong :
       {"{{model | mean | RoPE | 4N | loss}}",
        "{{other | mean | RoPE | N | loss}}",
        "{{model, plays | mean | RoPE | N | loss}}",
        "{{model | mean | RoPE | N | speed}}", "{{model | mean", "{{model}}",
        "{{model | mean | RoPE | x | loss}}", "{{model | table | none}}"}) {
    EXPECT_THROW(FillPage(std::string("\n") + wrong, folder),
                 std::invalid_argument)
        << wrong;
  }
}

TEST_F(StudyTest, AReportNeedsNoCompleteRows) {
  Fill();
  const Rows rows(ModelFolder());
  WriteReport(rows, ModelFolder());
  const auto read = [&](const char* name) {
    std::ifstream file(folder_ / "model" / name);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  // 0.097 ± 0.029 nats above the window, on three documents.
  EXPECT_NE(read("table.md").find("+0.097 ± 0.029 |         3 | does not hold"),
            std::string::npos)
      << read("table.md");
  EXPECT_NE(read("loss-and-finding.svg").find(kReRopeHalf), std::string::npos);
  // The two places more than N tokens back cost 4 and 3 nats, exp(-3.5) = 3 %.
  EXPECT_NE(read("finding-by-depth.svg").find("ReRoPE w=N/2, 1400: 3.0197"),
            std::string::npos)
      << read("finding-by-depth.svg");
}

TEST_F(StudyTest, OneDocumentMakesNoVerdict) {
  Rows rows(ModelFolder());
  (void)rows.RunOf({.model = "m.gguf", .N = kN, .command = "c"});
  for (const char* piece : {"a 1/2", "a 2/2"}) {
    rows.Add(MakeRow(piece, kRope, 1, 3));
    rows.Add(MakeRow(piece, kReRopeHalf, 2, 3));
  }
  WriteReport(rows, ModelFolder());
  std::ifstream file(folder_ / "model/table.md");
  const std::string table(std::istreambuf_iterator<char>(file), {});
  EXPECT_NE(table.find("**Fewer than two documents"), std::string::npos)
      << table;
  EXPECT_NE(table.find("2 of 1 files at 2N"), std::string::npos) << table;
}

TEST_F(StudyTest, RowsBesideThePublishedLossesAreOfTheSameDocuments) {
  std::vector<Row> rows;
  for (const auto& [document, loss] :
       {std::pair{"a", 3.0}, {"b", 3.5}, {"c", 4.0}}) {
    rows.push_back(MakeRow(document, kRope, 2, loss));
  }
  rows.push_back(MakeRow("b", "ReRoPE w=N/4", 2, 3.25));
  const std::string table =
      ToMarkdown(PublishedTable(Evidence(rows, "novels", kN)));
  EXPECT_NE(table.find("2N, 1 documents"), std::string::npos) << table;
  EXPECT_NE(table.find("3.250"), std::string::npos) << table;
  // RoPE over "b" alone too.
  EXPECT_NE(table.find("3.500"), std::string::npos) << table;
}

std::string ReadSource(const std::string& name) {
  std::ifstream file(fs::path(ROPEWALK_SOURCE_FOLDER) / name);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A number that rows no longer give, or that somebody typed, is found here;
// `ropewalk reproduce real --report` and tools/front_table.py mend it.
TEST(CommittedPageTest, SaysWhatTheRowsSay) {
  const std::string folder =
      (fs::path(ROPEWALK_SOURCE_FOLDER) / "studies/real").string();
  const std::string page = ReadSource("studies/real/README.md");
  EXPECT_EQ(page, FillPage(ReadSource("studies/real/page.md"), folder));
  const auto between = [](const std::string& text, const std::string& mark) {
    const std::string begin = "<!-- " + mark + " -->\n";
    const size_t from = text.find(begin);
    const size_t to = text.find("<!-- /" + mark + " -->\n");
    if (from == std::string::npos || to == std::string::npos) return mark;
    return text.substr(from + begin.size(), to - from - begin.size());
  };
  std::string front = between(page, "front");
  for (size_t at = 0; (at = front.find("](", at)) != std::string::npos;) {
    at += 2;
    if (front.compare(at, 4, "http") != 0) front.insert(at, "studies/real/");
  }
  EXPECT_EQ(between(ReadSource("README.md"), "studies/real"), front);
}

TEST(ClaimTest, IsJudgedByWhatItExpects) {
  const Claim claim{.text = "", .expected = Verdict::kBelow};
  EXPECT_EQ(Judge(claim, std::nullopt), "");
  EXPECT_EQ(Judge(claim, Difference{-1, 0.5, 3}), "holds");
  EXPECT_EQ(Judge(claim, Difference{1, 0.5, 3}), "does not hold");
  EXPECT_EQ(Judge(claim, Difference{-1, 1.5, 3}), "undecided");
  EXPECT_EQ(Judge(claim, Difference{-1, 0, 1}), "seen once");
}

TEST(OpenJobsTest, ChiefRowsOfAllTextsComeFirstAndWhatIsThereIsLeftOut) {
  std::vector<Text> texts;
  for (const char* name : {"a", "b"}) {
    texts.push_back({"novels", name, 0, evaluate::Document(2 * kN)});
  }
  RealOptions options{.times = {1, 2, 4}, .some = 1};
  options.conditions = {{"chief", "rope", {1, 2, 4}, {}},
                        {"more", "pi", {}, {2}}};
  const fs::path folder = fs::path(testing::TempDir()) / "open_jobs";
  fs::remove_all(folder);
  fs::create_directories(folder);
  Rows rows(folder.string());
  (void)rows.RunOf({.model = "m"});
  Row there = MakeRow("b", "chief", 1, 3);
  rows.Add(there);
  const std::vector<RealJob> jobs = OpenJobs(texts, kN, options, rows);
  std::string order;
  for (const RealJob& job : jobs) {
    order += job.text->name + " " + job.condition.name + " " +
             std::to_string(job.length / kN) + ", ";
  }
  // No text is long enough for 4N; "more" is read on the first text alone.
  EXPECT_EQ(order, "a chief 1, a chief 2, b chief 2, a more 2, ");
  fs::remove_all(folder);
}

// A made-up landscape: the loss falls with the window, finding is best at a far
// distance of N/4 and needs layers 3 to 5.
Trial MadeUp(const Candidate& candidate) {
  Trial trial{.candidate = candidate};
  int sees = 0;
  int useful = 0;
  double window = 0;
  double far = 0;
  for (size_t l = 0; l < candidate.layers.size(); ++l) {
    const auto scheme = position::ParseScheme(candidate.layers[l]);
    if (scheme.name == "sink-window" || scheme.name == "rope") continue;
    ++sees;
    useful += l >= 3 && l < 6 ? 1 : 0;
    window = scheme.Get("window");
    far = scheme.Find("far").value_or(window);
  }
  trial.loss = sees == 0 ? 2.9 : 3 + 0.01 * sees + 0.1 * (1 - window / kN);
  trial.passage_loss = useful == 3 ? 1 + std::abs(far - 250) / kN : 4;
  trial.needle_loss = trial.passage_loss;
  return trial;
}

TEST(SearchTest, FindsWindowFarAndTheLayersThatNeedIt) {
  const SearchOptions options{.N = kN,
                              .length = 2 * kN,
                              .acts = std::vector<bool>(9, true),
                              .seconds = 1e9};
  SearchResult result;
  Search(
      options, MadeUp, [] { return 0.0; }, result);
  const Candidate& best = result.trials[result.best].candidate;
  for (size_t l = 0; l < 9; ++l) {
    if (l < 3 || l >= 6) {
      EXPECT_EQ(best.layers[l], "sink-window") << l;
    } else {
      EXPECT_EQ(best.layers[l], "rerope:window=937,far=250") << l;
    }
  }
  for (const Trial& trial : result.trials) {
    EXPECT_GE(trial.Cost(options.weight),
              result.trials[result.best].Cost(options.weight));
  }
}

// A window alone is best where finding counts nothing; the search still goes on
// from the best of the laws.
TEST(SearchTest, GoesOnWhereAWindowLeads) {
  SearchResult result;
  Search(
      {.N = kN,
       .length = 2 * kN,
       .acts = std::vector<bool>(9, true),
       .weight = 0,
       .seconds = 1e9},
      MadeUp, [] { return 0.0; }, result);
  EXPECT_EQ(result.trials[result.best].candidate.name, "sink-window");
  bool from_the_longest_window = false;
  for (const Trial& trial : result.trials) {
    from_the_longest_window =
        from_the_longest_window ||
        trial.candidate.name.starts_with("rerope:window=937,far=500, layers");
  }
  EXPECT_TRUE(from_the_longest_window);
}

TEST(SearchTest, LayersThatNoSchemeChangesStayAsTheModelHasThem) {
  std::vector<bool> acts(9, true);
  acts[0] = acts[8] = false;
  SearchResult result;
  Search(
      {.N = kN, .length = 2 * kN, .acts = acts, .seconds = 1e9}, MadeUp,
      [] { return 0.0; }, result);
  for (const Trial& trial : result.trials) {
    EXPECT_EQ(trial.candidate.layers.front(), "rope");
    EXPECT_EQ(trial.candidate.layers.back(), "rope");
    EXPECT_NE(trial.candidate.layers[4], "rope");
  }
}

TEST(SearchTest, StopsBeforeATrialThatWouldEndTooLate) {
  double now = 0;
  SearchResult result;
  Search(
      {.N = kN,
       .length = 2 * kN,
       .acts = std::vector<bool>(6, true),
       .seconds = 100},
      [&](const Candidate& candidate) {
        now += 30;
        return MadeUp(candidate);
      },
      [&] { return now; }, result);
  EXPECT_EQ(result.trials.size(), 3u);
}

TEST(StackFileTest, IsReadBack) {
  Trial trial;
  trial.candidate = {"x", {"rerope:window=5,far=2", "sink-window"}};
  const fs::path path = fs::path(testing::TempDir()) / "tuned.toml";
  std::ofstream(path) << StackFile(trial, "# about\n");
  const position::Scheme scheme = position::ParseScheme("@" + path.string());
  ASSERT_EQ(scheme.layers.size(), 2u);
  EXPECT_EQ(position::ToString(scheme.layers[0]), "rerope:window=5,far=2");
  fs::remove(path);
}

}  // namespace
}  // namespace ropewalk::study
