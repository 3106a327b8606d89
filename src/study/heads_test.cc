#include "study/heads.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/error.h"
#include "study/head_rows.h"
#include "study/heads_report.h"
#include "study/rows.h"
#include "study/schemes.h"

namespace ropewalk::study {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kN = 1024;

class HeadsTest : public testing::Test {
 protected:
  HeadsTest()
      : folder_(fs::path(testing::TempDir()) /
                ("heads_" + std::string(testing::UnitTest::GetInstance()
                                            ->current_test_info()
                                            ->name()))) {
    fs::remove_all(folder_);
    fs::create_directories(Folder());
  }
  ~HeadsTest() override { fs::remove_all(folder_); }

  std::string Folder() const { return (folder_ / "attention").string(); }

  static study::Run RunOfTest() {
    return {.model = "m.gguf", .content = "0123", .N = kN, .command = "c"};
  }

  // Two layers of two heads; `source` is by layer and head.
  static std::vector<HeadRow> Layers(const std::string& document,
                                     const std::string& scheme, int64_t length,
                                     const std::vector<double>& source) {
    std::vector<HeadRow> rows;
    for (int64_t layer = 0; layer < 2; ++layer) {
      const auto at = static_cast<size_t>(2 * layer);
      rows.push_back({.set = "novels",
                      .document = document,
                      .scheme = scheme,
                      .position = "rope",
                      .length = length,
                      .layer = layer,
                      .entropy = {1, 3},
                      .sinks = {0.5, 0.25},
                      .far = {0.125, 0},
                      .source = {source[at], source[at + 1]},
                      .key_top = {1.0 + static_cast<double>(layer)},
                      .key_entropy = {3.0 - static_cast<double>(layer)}});
    }
    return rows;
  }

  void Fill() {
    HeadRows rows(Folder());
    (void)rows.RunOf(RunOfTest());
    rows.Add(Layers("a", kRope, kN, {0.1, 0.4, 0, 0.3}));
    rows.Add(Layers("b", kRope, kN, {0.1, 0.6, 0, 0.1}));
    rows.Add(Layers("a", kReRopeFar, 2 * kN, {0, 0.2, 0.1, 0.3}));
    rows.Add(Layers("a", kRope, kN / 2, {0.1, 0.5, 0, 0.2}));
  }

  fs::path folder_;
};

TEST(RepeatPassageTest, TheSourceIsWhatFollowedTheSameToken) {
  evaluate::Document text;
  for (Token t = 0; t < 200; ++t) text.push_back(1000 + t);
  const RepeatedText repeated = RepeatPassage({7}, text, 16, 120);
  ASSERT_EQ(repeated.ids.size(), 120u);
  EXPECT_EQ(repeated.ids[0], 7);
  EXPECT_EQ(repeated.ids[103], 1199);  // the text's end, then the passage
  EXPECT_EQ(repeated.FirstQuery(), 120 - 16 - 8);
  for (int64_t i = 104; i < 120; ++i) {
    const auto source = static_cast<size_t>(repeated.SourceOf(i));
    EXPECT_EQ(repeated.ids[source - 1], repeated.ids[static_cast<size_t>(i)]);
    EXPECT_EQ(repeated.ids[source], repeated.ids[source - 1] + 1);
    if (i + 1 < 120) {
      EXPECT_EQ(repeated.ids[source], repeated.ids[static_cast<size_t>(i + 1)]);
    }
  }
}

TEST_F(HeadsTest, RowsComeBackFromTheirFilesAndDoNotMix) {
  Fill();
  HeadRows rows(Folder());
  ASSERT_EQ(rows.heads().size(), 8u);
  EXPECT_EQ(rows.heads()[3].source, (std::vector<double>{0, 0.1}));
  EXPECT_EQ(rows.heads()[3].key_top, (std::vector<double>{2}));
  EXPECT_TRUE(rows.Has("novels", "b", kRope, kN));
  EXPECT_FALSE(rows.Has("novels", "b", kRope, 2 * kN));
  study::Run other = RunOfTest();
  other.content = "4567";
  EXPECT_THROW((void)rows.RunOf(other), std::invalid_argument);
  rows.AddRanks({{.set = "novels",
                  .document = "a",
                  .scheme = kRope,
                  .position = "rope",
                  .n = 8,
                  .layer = 1,
                  .rank = {8, 7},
                  .effective = {3.5, 4},
                  .log_own = {-2, -3}}});
  rows.AddEmbedding({{.most = 3, .tokens = 5, .norm_median = 1.5}});
  const HeadRows again(Folder());
  ASSERT_EQ(again.ranks().size(), 1u);
  EXPECT_EQ(again.ranks()[0].rank, (std::vector<int64_t>{8, 7}));
  EXPECT_EQ(again.ranks()[0].log_own, (std::vector<double>{-2, -3}));
  ASSERT_EQ(again.embedding().size(), 1u);
  EXPECT_EQ(again.embedding()[0].norm_median, 1.5);
}

TEST_F(HeadsTest, FilesThatAreNoneOfOursAreRefused) {
  Fill();
  const std::string path = Folder() + "/heads.csv";
  std::string all;
  std::string last;
  {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
      all += (last = line) + "\n";
    }
  }
  std::ofstream(path) << all << last << "\n";  // a row twice
  EXPECT_THROW(HeadRows{Folder()}, FormatError);
  std::ofstream(path) << "a,b\n1,2\n";
  EXPECT_THROW(HeadRows{Folder()}, FormatError);
}

TEST_F(HeadsTest, WhatIsThereIsNotReadAgain) {
  Fill();
  const HeadRows rows(Folder());
  const std::vector<Text> texts = {
      {"novels", "a", 0, evaluate::Document(2 * kN)},
      {"novels", "a second piece", 1, evaluate::Document(2 * kN)}};
  std::string open;
  for (const HeadJob& job :
       OpenHeadJobs(texts, kN, {.only = {kRope, kReRopeFar}}, rows)) {
    open += job.scheme + " " + std::to_string(job.length) + ", ";
  }
  // Not RoPE at N/2 and N, nor the far offset at 2N, nor 4N; N/16 holds four
  // passages of 16.
  EXPECT_EQ(open, std::string(kRope) + " 64, " + kRope + " 128, " + kRope +
                      " 256, " + kRope + " 2048, " + kReRopeFar + " 1024, ");
  EXPECT_THROW(OpenHeadJobs(texts, kN, {.only = {"none"}}, rows),
               std::invalid_argument);
}

TEST_F(HeadsTest, StrongHeadsAreFoundAndSoIsTheirPart) {
  Fill();
  const HeadRows rows(Folder());
  const HeadEvidence evidence(rows);
  // Means over a and b: 0.1 0.5 | 0 0.2.
  const auto heads = HeadsBySource(evidence, {kRope, kN});
  ASSERT_EQ(heads.size(), 4u);
  EXPECT_EQ(heads[0].layer, 0);
  EXPECT_EQ(heads[0].head, 1);
  EXPECT_DOUBLE_EQ(heads[0].source, 0.5);
  EXPECT_EQ(heads[1].layer, 1);
  EXPECT_NEAR(PartOfStrongest(heads, 1), 100 * 0.5 / 0.8, 1e-9);
  EXPECT_NEAR(PartOfStrongest(heads, 2), 100 * 0.7 / 0.8, 1e-9);
  const auto mean = evidence.MeanOf({kRope, kN}, HeadMetricOf("source"));
  ASSERT_TRUE(mean);
  EXPECT_NEAR(mean->value, 20, 1e-9);
  EXPECT_EQ(mean->documents, 2);
  // Over a alone: 15 - 20.
  const auto difference = evidence.Compare({kReRopeFar, 2 * kN}, {kRope, kN},
                                           HeadMetricOf("source"));
  ASSERT_TRUE(difference);
  EXPECT_NEAR(difference->value, -5, 1e-9);
  EXPECT_EQ(difference->verdict(), Verdict::kSeenOnce);
}

TEST_F(HeadsTest, APageIsFilledFromTheRows) {
  Fill();
  const std::string folder = folder_.string();
  const std::string first = "RoPE N";
  const std::string second = std::string(kReRopeFar) + " 2N";
  EXPECT_EQ(FillHeads({"heads", "source", first}, folder), "20.0");
  EXPECT_EQ(FillHeads({"heads", "entropy", second}, folder), "2.00");
  EXPECT_EQ(FillHeads({"heads difference", "source", second, first}, folder),
            "-5.0");
  EXPECT_EQ(FillHeads({"heads fact", "documents", first}, folder), "2");
  EXPECT_EQ(FillHeads({"heads fact", "heads", first}, folder), "4");
  EXPECT_EQ(FillHeads({"heads fact", "part", "2", first}, folder), "88");
  EXPECT_EQ(FillHeads({"heads fact", "strongest", "2", first}, folder),
            "0.1, 1.1");
  // Strongest two under the far offset: 1.1 and 0.1.
  EXPECT_EQ(FillHeads({"heads fact", "common", "1", first, second}, folder),
            "0");
  EXPECT_EQ(FillHeads({"heads fact", "common", "2", first, second}, folder),
            "2");
  EXPECT_EQ(FillHeads({"heads cell", "parts", "RoPE / N", "strongest head, %"},
                      folder),
            "50.0");
  // By key head the strongest: 0.5 and 0.2 against 1 and 2.
  EXPECT_EQ(
      FillHeads({"heads cell", "agreement",
                 "source, RoPE at N/2 / entropy of rotated keys, 16 values",
                 "rank correlation"},
                folder),
      "-1.00");
  // The strongest is of layer 0, the second of layer 1 with more.
  EXPECT_EQ(FillHeads({"heads fact", "key place", "1", first}, folder), "0");
  // Layer 0 has a window in the stack that tune found.
  std::ofstream((folder_ / "tuned.toml").string())
      << "layers = [\"sink-window\", \"rerope:window=5\"]\n";
  EXPECT_EQ(FillHeads({"heads fact", "tuned windows", first}, folder), "1");
  EXPECT_EQ(FillHeads({"heads fact", "tuned part", first}, folder), "75");
  EXPECT_EQ(FillHeads({"heads fact", "tuned common", first}, folder), "0");
  EXPECT_EQ(FillHeads({"heads fact", "tuned common", second}, folder), "1");
  for (const std::vector<std::string>& wrong :
       {std::vector<std::string>{"heads", "source", "RoPE 4N"},
        {"heads", "speed", first},
        {"heads", "source", "RoPE x"},
        {"heads"},
        {"heads table", "none"},
        {"heads cell", "parts", "none", "at"},
        {"heads fact", "none", first},
        {"heads fact", "part", "0", first},
        {"heads layers", second, "loss"}}) {
    EXPECT_THROW((void)FillHeads(wrong, folder), std::invalid_argument)
        << wrong.back();
  }
}

// The study has read a and b, the stack from heads a alone.
TEST_F(HeadsTest, LayersAreComparedOverWhatTheirStacksHaveRead) {
  const auto add = [](Rows& rows, const std::string& document,
                      const std::string& scheme, double loss) {
    rows.Add({.set = "novels",
              .document = document,
              .scheme = scheme,
              .length = 2 * kN,
              .scored = 1,
              .loss = loss});
  };
  fs::create_directories(folder_ / "by-heads");
  Rows study(folder_.string());
  (void)study.RunOf(RunOfTest());
  add(study, "a", kSinkWindow, 3);
  add(study, "b", kSinkWindow, 5);
  Rows stacks((folder_ / "by-heads").string());
  (void)stacks.RunOf(RunOfTest());
  add(stacks, "a", "@x.toml", 2);
  const std::string folder = folder_.string();
  EXPECT_EQ(FillHeads({"heads layers", "documents"}, folder), "1");
  EXPECT_EQ(FillHeads({"heads layers", "sink-window 2N", "loss"}, folder),
            "3.000");
  EXPECT_EQ(FillHeads({"heads layers", "@x.toml 2N", "loss"}, folder), "2.000");
}

TEST_F(HeadsTest, PicturesNeedNoCompleteRows) {
  Fill();
  WriteHeadPictures(HeadRows(Folder()), folder_.string());
  const auto read = [&](const char* name) {
    std::ifstream file(folder_ / name);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  EXPECT_NE(read("entropy-by-length.svg").find("RoPE"), std::string::npos);
  EXPECT_NE(read("heads-source.svg").find("30%"), std::string::npos);
}

// The demo's model (N = 256) on a text of its own making.
TEST_F(HeadsTest, ARealModelIsReadAndItsPartsAddUp) {
  engine::Engine engine(
      {.path = std::string(ROPEWALK_SOURCE_FOLDER) + "/models/novels-4m.gguf",
       .threads = 2});
  const int64_t N = engine.positions().train_length;
  const auto vocabulary = static_cast<int64_t>(engine.model().config().V);
  std::vector<Text> texts = {{"novels", "made", 0, {}}};
  for (int64_t t = 0; t < 2 * N; ++t) {
    texts[0].ids.push_back(static_cast<Token>((t * t + 17 * t) % vocabulary));
  }
  HeadRows rows(Folder());
  const HeadOptions options{.lengths = {2 * N},
                            .only = {kRope, kReRopeFar, kSinkWindow}};
  const auto open = OpenHeadJobs(texts, N, options, rows);
  ASSERT_EQ(open.size(), 3u);
  RunHeads(engine, open, DType::kF16, RunOfTest(), rows, {});
  EXPECT_TRUE(OpenHeadJobs(texts, N, options, rows).empty());
  const auto H = static_cast<size_t>(engine.model().config().heads.H);
  for (const HeadRow& row : rows.heads()) {
    ASSERT_EQ(row.far.size(), H);
    for (size_t h = 0; h < H; ++h) {
      EXPECT_GE(row.sinks[h], 0);
      EXPECT_LE(row.sinks[h] + row.far[h], 1 + 1e-3);
      EXPECT_GE(row.entropy[h], 0);
      if (row.scheme != kReRopeFar) {
        EXPECT_EQ(row.far[h], 0);
      }
      // A window of N does not see the passage, which left it.
      if (row.scheme == kSinkWindow) {
        EXPECT_EQ(row.source[h], 0);
      }
    }
    EXPECT_EQ(row.key_top.empty(), row.scheme != kRope);
  }
  const HeadEvidence evidence(rows);
  EXPECT_GT(evidence.MeanOf({kReRopeFar, 2 * N}, HeadMetricOf("far"))->value,
            1);
  EXPECT_GT(evidence.MeanOf({kReRopeFar, 2 * N}, HeadMetricOf("source"))->value,
            0);
  RunEmbedding(engine, texts, RunOfTest(), rows);
  ASSERT_FALSE(rows.embedding().empty());
  EXPECT_EQ(rows.embedding().front().tokens, vocabulary);
}

}  // namespace
}  // namespace ropewalk::study
