// ropewalk measure, from the outside, on small random models.

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "formats/text_file.h"
#include "tests/e2e.h"

namespace ropewalk {
namespace {

class MeasureTest : public ProgramTest {
 protected:
  // Runs `measure` and gives back its JSON.
  Json Measure(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "measure");
    arguments.insert(arguments.end(), {"--json", Path("out.json")});
    const ProgramResult result = RunProgram(arguments);
    EXPECT_TRUE(Worked(result));
    return Json::parse(ReadAll(Path("out.json")), nullptr, false);
  }
};

Json WithoutTimes(Json json) {
  for (Json& row : json["rows"]) row.erase("seconds");
  return json;
}

// Rows as a set, without times.
Json WithoutOrder(Json json) {
  json = WithoutTimes(std::move(json));
  std::sort(json["rows"].begin(), json["rows"].end());
  return json;
}

TEST_F(MeasureTest, JsonHasTheDocumentedFields) {
  const Json json = Measure({"-m", Tiny(), "--ids", Ids(3, 300), "--length",
                             "64,256", "--score-last", "32", "--position",
                             "rope", "--position", "rerope+logn-clip"});
  EXPECT_EQ(json["model"], "tiny");
  EXPECT_EQ(json["train_length"], 64);
  EXPECT_EQ(json["documents"], 3);
  EXPECT_EQ(json["score_last"], 32);
  EXPECT_EQ(json["interrupted"], false);
  ASSERT_EQ(json["rows"].size(), 4u);
  std::set<std::pair<std::string, int64_t>> seen;
  for (const Json& row : json["rows"]) {
    seen.emplace(row["position"].get<std::string>(),
                 row["length"].get<int64_t>());
    EXPECT_EQ(row["set"], "natural");
    EXPECT_EQ(row["tokens"], 3 * 32);
    // A random model guesses: about ln V, give or take a few nats.
    EXPECT_GT(row["loss"], 3.0);
    EXPECT_LT(row["loss"], 12.0);
    EXPECT_GT(row["loss_stderr"], 0.0);
    EXPECT_GE(row["accuracy"], 0.0);
    EXPECT_LE(row["accuracy"], 1.0);
    EXPECT_GE(row["seconds"], 0.0);
    const bool rerope = row["position"] == "rerope+logn-clip";
    EXPECT_EQ(row["resolved"], rerope ? "rerope:window=32+logn-clip" : "rope");
    EXPECT_EQ(row.contains("known_to_fail"), !rerope && row["length"] == 256);
  }
  EXPECT_EQ(seen.size(), 4u);
}

TEST_F(MeasureTest, TableCsvAndPageHaveTheSameNumbers) {
  const ProgramResult result = RunProgram(
      {"measure", "-m", Tiny(), "--ids", Ids(2, 300), "--length", "64,256",
       "--position", "rope", "--json", Path("a.json"), "--csv", Path("a.csv"),
       "--html", Path("a.html"), "--svg", Path("a.svg")});
  EXPECT_TRUE(Worked(result));
  const Json json = Json::parse(ReadAll(Path("a.json")));
  const std::vector<std::string> csv = Lines(ReadAll(Path("a.csv")));
  ASSERT_EQ(csv.size(), 3u);
  for (const std::string name : {"position", "resolved", "set", "length",
                                 "tokens", "loss", "accuracy", "seconds"}) {
    EXPECT_TRUE(Contains(csv[0], name)) << csv[0];
  }
  const std::string html = ReadAll(Path("a.html"));
  EXPECT_TRUE(html.starts_with("<!DOCTYPE html>") ||
              html.starts_with("<!doctype html>"))
      << html.substr(0, 60);
  EXPECT_TRUE(Contains(html, "<svg"));
  EXPECT_TRUE(ReadAll(Path("a.svg")).starts_with("<svg"));
  for (const Json& row : json["rows"]) {
    char loss[32];
    std::snprintf(loss, sizeof(loss), "%.4f", row["loss"].get<double>());
    EXPECT_TRUE(Contains(result.out, loss)) << result.out;
    EXPECT_TRUE(Contains(html, loss)) << loss;
  }
  // Marked as known to fail beyond the trained length.
  EXPECT_TRUE(Contains(result.out, "!")) << result.out;
}

TEST_F(MeasureTest, NumbersAreTheSameInEveryRunAndForEveryNumberOfThreads) {
  const std::string model = Tiny({.type = DType::kQ8_0});
  const std::string ids = Ids(2, 400);
  const auto measure = [&](const std::string& threads) {
    return WithoutTimes(Measure(
        {"-m", model, "--ids", ids, "--length", "64,320", "--threads", threads,
         "--position", "rope", "--position", "rerope+logn-clip", "--position",
         "self-extend", "--position", "dca", "--position", "sink-window"}));
  };
  const Json one = measure("1");
  EXPECT_EQ(one["rows"].size(), 10u);
  EXPECT_EQ(one, measure("1"));
  EXPECT_EQ(one, measure("2"));
  EXPECT_EQ(one, measure("3"));
}

TEST_F(MeasureTest, DefaultsAreFourLengthsAndFiveSchemes) {
  const Json json = Measure({"-m", Tiny(), "--ids", Ids(1, 513)});
  EXPECT_EQ(json["score_last"], 64);
  std::set<std::string> schemes;
  std::set<int64_t> lengths;
  for (const Json& row : json["rows"]) {
    schemes.insert(row["position"]);
    lengths.insert(row["length"].get<int64_t>());
  }
  EXPECT_EQ(schemes,
            (std::set<std::string>{"rope", "window", "rerope",
                                   "rerope+logn-clip", "leaky-rerope"}));
  EXPECT_EQ(lengths, (std::set<int64_t>{64, 128, 256, 512}));
}

TEST_F(MeasureTest, TargetsAreTheSameAtEveryLength) {
  // Without attention to what lies far back, length cannot matter at all.
  const Json json = Measure({"-m", Tiny(), "--ids", Ids(2, 300), "--length",
                             "64,128,256", "--score-last", "16", "--position",
                             "window:size=8", "--kv-type", "f32"});
  const Json& rows = json["rows"];
  ASSERT_EQ(rows.size(), 3u);
  // Two layers of windows of 8 see 14 tokens; 48 stand before the targets.
  EXPECT_NEAR(rows[0]["loss"], rows[1]["loss"].get<double>(), 1e-5);
  EXPECT_NEAR(rows[0]["loss"], rows[2]["loss"].get<double>(), 1e-5);
  const Json other =
      Measure({"-m", Tiny(), "--ids", Ids(2, 300), "--length", "64",
               "--score-last", "17", "--position", "window:size=8"});
  EXPECT_GT(std::abs(rows[0]["loss"].get<double>() -
                     other["rows"][0]["loss"].get<double>()),
            1e-4);
}

TEST_F(MeasureTest, RepeatAddsRowsOfTheRepeatedSet) {
  const Json json = Measure({"-m", Tiny(), "--ids", Ids(2, 300), "--length",
                             "64,128", "--position", "rope", "--repeat"});
  int64_t natural = 0;
  double loss[2] = {0, 0};
  for (const Json& row : json["rows"]) {
    natural += row["set"] == "natural" ? 1 : 0;
    EXPECT_TRUE(row["set"] == "natural" || row["set"] == "repeated");
    if (row["length"] == 128) {
      loss[row["set"] == "natural" ? 0 : 1] = row["loss"];
    }
  }
  EXPECT_EQ(json["rows"].size(), 4u);
  EXPECT_EQ(natural, 2);
  EXPECT_NE(loss[0], loss[1]);
}

TEST_F(MeasureTest, LossByPositionAveragesToTheLossOfTheBlock) {
  const Json json = Measure({"-m", Tiny(), "--ids", Ids(2, 300), "--length",
                             "64,256", "--score-last", "64", "--position",
                             "rope", "--by-position", "32"});
  const Json& stretches = json["by_position"];
  ASSERT_EQ(stretches.size(), 8u);
  double sum = 0;
  for (size_t s = 0; s < stretches.size(); ++s) {
    EXPECT_EQ(stretches[s]["from"], static_cast<int64_t>(32 * s));
    EXPECT_EQ(stretches[s]["to"], static_cast<int64_t>(32 * (s + 1)));
    EXPECT_EQ(stretches[s]["tokens"], 64);
    if (s >= 6) sum += stretches[s]["loss"].get<double>() / 2;
  }
  EXPECT_NEAR(sum, json["rows"][1]["loss"].get<double>(), 1e-9);
}

std::string RepeatedText(int64_t bytes) {
  std::string text;
  for (int64_t n = 0; static_cast<int64_t>(text.size()) < bytes; ++n) {
    text += "Line " + std::to_string(n * n) + " of a text.\n";
  }
  return text;
}

TEST_F(MeasureTest, APackedTextGivesTheSameNumbers) {
  const std::string text = RepeatedText(20000);
  const std::string plain = Write("a.txt", text);
  const std::string packed = Path("a.txt.gz");
  gzFile file = gzopen(packed.c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  const std::string model = Tiny();
  const auto measure = [&](const std::string& path) {
    return WithoutTimes(Measure({"-m", model, "-t", path, "--length", "64",
                                 "--documents", "5", "--position", "rope"}));
  };
  const Json from_plain = measure(plain);
  EXPECT_EQ(from_plain["documents"], 5);
  EXPECT_EQ(from_plain["rows"][0]["tokens"], 5 * 64);
  EXPECT_EQ(from_plain, measure(packed));
}

TEST_F(MeasureTest, ReadsAsManyDocumentsAsTheTextHas) {
  const std::string model = Tiny();
  const std::string text = Write("a.txt", RepeatedText(600));
  const auto ids =
      RunProgram({"tokenize", "-m", model, "-f", text, "--no-bos"});
  const int64_t count = std::ranges::count(ids.out, ' ') + 1;
  const Json json = Measure({"-m", model, "-t", text, "--length", "64",
                             "--documents", "99", "--position", "rope"});
  EXPECT_EQ(json["documents"], count / 65);
}

TEST_F(MeasureTest, TooShortDocumentsAreCounted) {
  const std::string ids = Ids(3, 200, "long.ids");
  const std::string text = ReadAll(ids) + "5 6 7\n\n8 9\n";
  const ProgramResult result = RunProgram(
      {"measure", "-m", Tiny(), "--ids", Write("mixed.ids", text), "--length",
       "128", "--position", "rope", "--json", Path("a.json")});
  EXPECT_TRUE(Worked(result));
  const Json json = Json::parse(ReadAll(Path("a.json")));
  EXPECT_EQ(json["documents"], 3);
  EXPECT_EQ(json["skipped"], 2);
  EXPECT_TRUE(Contains(result.out, "too short: 2")) << result.out;
}

TEST_F(MeasureTest, EachLayerCanHaveItsOwnScheme) {
  const std::string model = Tiny();
  const std::string ids = Ids(2, 300);
  const std::string same = Write("same.toml",
                                 "layers = [\"rerope:window=32\", "
                                 "\"rerope:window=32\"]\n");
  const std::string mixed = Write("mixed.toml",
                                  "layers = [\"window:size=16\", "
                                  "\"rerope:window=32\"]\n");
  const Json json = Measure({"-m", model, "--ids", ids, "--length", "256",
                             "--position", "rerope:window=32", "--position",
                             "@" + same, "--position", "@" + mixed});
  ASSERT_EQ(json["rows"].size(), 3u);
  EXPECT_EQ(json["rows"][0]["loss"], json["rows"][1]["loss"]);
  EXPECT_NE(json["rows"][0]["loss"], json["rows"][2]["loss"]);
  EXPECT_EQ(json["rows"][1]["position"], "@" + same);
}

TEST_F(MeasureTest, WeightsThatAreNanGiveNanAndNull) {
  const std::string model = WithNan(Tiny(), "output_norm.weight", 64);
  const ProgramResult result =
      RunProgram({"measure", "-m", model, "--ids", Ids(2, 300), "--length",
                  "64,128", "--position", "rope", "--by-position", "32",
                  "--json", Path("a.json"), "--csv", Path("a.csv"), "--html",
                  Path("a.html"), "--svg", Path("a.svg")});
  EXPECT_TRUE(Worked(result));
  EXPECT_TRUE(Contains(result.out, "nan")) << result.out;
  const Json json = Json::parse(ReadAll(Path("a.json")));
  EXPECT_EQ(json["rows"].size(), 2u);
  for (const Json& row : json["rows"]) {
    EXPECT_TRUE(row["loss"].is_null()) << row;
    EXPECT_EQ(row["accuracy"], 0.0) << row;
  }
}

// The models that the tiny ones stand for.

TEST_F(MeasureTest, RopeFailsBeyondTheTrainedLengthAndReropeDoesNot) {
  ROPEWALK_NEED_DATA(model, "models/llama2xs270K/llama2xs270K.gguf");
  ROPEWALK_NEED_DATA(text, "text/tinystories.txt.gz");
  const Json json =
      Measure({"-m", model, "-t", text, "--length", "256,2048", "--documents",
               "4", "--position", "rope", "--position", "rerope+logn-clip"});
  ASSERT_EQ(json["rows"].size(), 4u);
  EXPECT_EQ(json["documents"], 4);
  EXPECT_EQ(json["score_last"], 256);
  EXPECT_LT(json["rows"][0]["loss"], 2.5);  // rope at its trained length
  EXPECT_GT(json["rows"][1]["loss"], 4.5);  // rope at eight times that
  EXPECT_LT(json["rows"][3]["loss"], 2.5);  // rerope there
}

// All schemes of the independent float64 program, in one run of ours.
class GoldenMeasureTest : public ProgramTest {};

TEST_F(GoldenMeasureTest, LossAndAccuracyMatchTheFloat64Program) {
  ROPEWALK_NEED_DATA(model, "models/llama2xs270K/llama2xs270K.gguf");
  ROPEWALK_NEED_DATA(ids, "ids/stories.ids");
  ROPEWALK_NEED_DATA(golden, "ids/stories.llama2xs.expected.json");
  // The sanitizers are slow; the code is the same at every length.
  const std::string lengths = kSanitized ? "256,512" : "256,512,1024,2048";
  const Json expected = Json::parse(ReadAll(golden));
  std::vector<std::string> call = {
      "measure", "-m",           model,           "--ids",
      ids,       "--score-last", "256",           "--length",
      lengths,   "--json",       Path("all.json")};
  // That program rounds nothing.
  call.insert(call.end(), {"--exact", "--kv-type", "f32"});
  std::set<std::string> schemes;
  for (const Json& row : expected["rows"]) {
    const auto position = row["position"].get<std::string>();
    if (schemes.insert(position).second) {
      call.insert(call.end(), {"--position", position});
    }
  }
  ASSERT_EQ(schemes.size(), 19u);
  const ProgramResult result = RunProgram(call, {.timeout_seconds = 600});
  ASSERT_TRUE(Worked(result));
  const Json measured = Json::parse(ReadAll(Path("all.json")));
  EXPECT_EQ(measured["train_length"], expected["train_length"]);
  std::map<std::string, Json> rows;
  const auto name = [](const Json& row) {
    return row["position"].get<std::string>() + " at " + row["length"].dump();
  };
  for (const Json& row : measured["rows"]) rows[name(row)] = row;
  ASSERT_EQ(rows.size(), kSanitized ? 38u : 76u);
  for (const Json& row : expected["rows"]) {
    if (kSanitized && row["length"] > 512) continue;
    const Json& ours = rows[name(row)];
    EXPECT_NEAR(ours["loss"], row["loss"].get<double>(), 1e-3) << row;
    // One token of 4 x 256 may tip over.
    EXPECT_NEAR(ours["accuracy"], row["accuracy"].get<double>(), 1.5 / 1024)
        << row;
  }
  if (kSanitized) return;
  // What this is all for.
  EXPECT_GT(rows["rope at 2048"]["loss"], 6.0);
  EXPECT_NEAR(rows["rerope:window=128 at 2048"]["loss"],
              rows["rerope:window=128 at 256"]["loss"].get<double>(), 0.05);
}

TEST_F(MeasureTest, StoppedRunGoesOnBehindItsRows) {
  const std::vector<std::string> arguments = {
      "-m",         Tiny(),   "--ids",         Ids(2, 300),
      "--length",   "64,256", "--position",    "rope",
      "--position", "rerope", "--by-position", "64"};
  Json json = Measure(arguments);
  ASSERT_EQ(json["rows"].size(), 4u);
  // As Ctrl-C leaves it behind its third row; a changed loss tells whether a
  // row was taken over.
  Json stopped = json;
  stopped["interrupted"] = true;
  stopped["rows"].erase(3);
  stopped["rows"][0]["loss"] = 1.25;
  const auto write = [&](const Json& text) {
    WriteAll(Path("out.json"), text.dump());
  };
  write(stopped);
  const Json all = Measure(arguments);
  ASSERT_EQ(all["rows"].size(), 4u);
  EXPECT_EQ(all["interrupted"], false);
  EXPECT_EQ(all["rows"][0]["loss"], 1.25);
  EXPECT_EQ(all["rows"][3]["loss"], json["rows"][3]["loss"]);
  EXPECT_EQ(all["by_position"], json["by_position"]);
  // A finished run, another measurement, and what is no JSON begin anew.
  stopped["interrupted"] = false;
  write(stopped);
  EXPECT_EQ(Measure(arguments)["rows"][0]["loss"], json["rows"][0]["loss"]);
  stopped["interrupted"] = true;
  stopped["measurement"] = "another";
  write(stopped);
  EXPECT_EQ(Measure(arguments)["rows"][0]["loss"], json["rows"][0]["loss"]);
  WriteAll(Path("out.json"), "{\"interrupted\": true, \"rows\": 7");
  EXPECT_EQ(Measure(arguments)["rows"][0]["loss"], json["rows"][0]["loss"]);
}

TEST_F(MeasureTest, LittleTimeReadsShortLengthsOfOneDocument) {
  const Json json =
      Measure({"-m", Tiny(), "--ids", Ids(4, 300), "--length", "256,64",
               "--position", "rope", "--position", "rerope", "--position",
               "window", "--time", "0.000001s"});
  EXPECT_EQ(json["documents"], 1);
  ASSERT_EQ(json["rows"].size(), 2u);  // two schemes at least
  for (const Json& row : json["rows"]) EXPECT_EQ(row["length"], 64);
  EXPECT_EQ(json["unread"], Json({"window at 64", "rope at 256",
                                  "rerope at 256", "window at 256"}));
}

TEST_F(MeasureTest, TimeEnoughReadsAllThatThereIs) {
  const std::vector<std::string> arguments = {
      "-m",     Tiny(),       "--ids", Ids(3, 300),  "--length",
      "64,256", "--position", "rope",  "--position", "rerope"};
  std::vector<std::string> timed = arguments;
  timed.insert(timed.end(), {"--time", "1h"});
  EXPECT_EQ(WithoutOrder(Measure(timed)), WithoutOrder(Measure(arguments)));
}

}  // namespace
}  // namespace ropewalk
