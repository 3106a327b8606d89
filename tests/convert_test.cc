// convert: mixes, what types cannot hold, split models.

#include <algorithm>
#include <cmath>
#include <span>

#include "formats/gguf_writer.h"
#include "tests/e2e.h"

namespace ropewalk {
namespace {

using ConvertTypesTest = ProgramTest;

std::string TypeOf(const std::string& path, const std::string& tensor) {
  const formats::GgufFile file(path);
  const formats::GgufTensor* found = file.Find(tensor);
  return found == nullptr ? "missing" : found->type_name;
}

TEST_F(ConvertTypesTest, MixesGiveMoreBitsToTheMoreImportantTensors) {
  TinyModelOptions options;
  options.E = 256;
  options.F = 512;
  WriteTinyModel(Path("m.gguf"), options);
  EXPECT_TRUE(Worked(RunProgram(
      {"convert", Path("m.gguf"), Path("q.gguf"), "--type", "Q4_K_M"})));
  // The embedding is the output; layers are too few for a first eighth.
  EXPECT_EQ(TypeOf(Path("q.gguf"), "token_embd.weight"), "q6_K");
  EXPECT_EQ(TypeOf(Path("q.gguf"), "blk.0.attn_q.weight"), "q4_K");
  EXPECT_EQ(TypeOf(Path("q.gguf"), "blk.1.attn_v.weight"), "q6_K");
  EXPECT_EQ(TypeOf(Path("q.gguf"), "blk.1.ffn_down.weight"), "q6_K");
  EXPECT_EQ(TypeOf(Path("q.gguf"), "blk.0.attn_norm.weight"), "f32");
  EXPECT_EQ(
      formats::GgufFile(Path("q.gguf")).metadata().FindInt("general.file_type"),
      15);
  EXPECT_TRUE(Worked(RunProgram(
      {"convert", Path("m.gguf"), Path("s.gguf"), "--type", "q4_k_s"})));
  EXPECT_EQ(TypeOf(Path("s.gguf"), "blk.1.attn_v.weight"), "q5_K");
  // What already has the type is copied, not rounded a second time.
  EXPECT_TRUE(Worked(RunProgram(
      {"convert", Path("q.gguf"), Path("again.gguf"), "--type", "q4_K_M"})));
  EXPECT_TRUE(ReadAll(Path("q.gguf")) == ReadAll(Path("again.gguf")));
}

TEST_F(ConvertTypesTest, RowsThatAreNotWholeBlocksTakeTheNextType) {
  const ProgramResult result =
      RunProgram({"convert", Tiny(), Path("q.gguf"), "--type", "q4_K_M"});
  EXPECT_TRUE(Worked(result));
  EXPECT_TRUE(Contains(result.err,
                       "blk.0.attn_q.weight: rows of 64 are not whole blocks "
                       "of q4_K; kept q5_0"))
      << result.err;
  EXPECT_EQ(TypeOf(Path("q.gguf"), "token_embd.weight"), "q8_0");
}

TEST_F(ConvertTypesTest, TensorsThatATypeCannotHoldAreKeptAndNamed) {
  formats::Metadata keys;
  keys.SetString("general.architecture", "llama");
  formats::GgufWriter writer(Path("m.gguf"), keys);
  const std::vector<std::pair<std::string, float>> tensors = {
      {"big.weight", 1e8f},
      {"tiny.weight", 1e-9f},
      {"plain.weight", 1},
      {"none.weight", NAN}};
  for (const auto& [name, value] : tensors) {
    writer.AddTensor(name, DType::kF32, {2, 2, 32});  // as experts lie
  }
  for (const auto& [name, value] : tensors) {
    std::vector<float> values(128);
    for (size_t i = 0; i < 128; ++i) {
      values[i] = value * std::sin(static_cast<float>(i));
    }
    writer.WriteTensor(std::as_bytes(std::span(values)));
  }
  writer.Finish();
  const std::vector<std::pair<std::string, std::string>> fallbacks = {
      {"f16", "f32"}, {"q8_0", "bf16"}, {"q4_0", "bf16"}, {"q5_1", "bf16"}};
  for (const auto& [type, kept] : fallbacks) {
    const ProgramResult result =
        RunProgram({"convert", Path("m.gguf"), Path("o.gguf"), "--type", type});
    EXPECT_TRUE(Worked(result));
    for (const std::string name : {"big.weight", "tiny.weight"}) {
      EXPECT_TRUE(Contains(result.err, name + ": the range of " + type +
                                           " does not hold its numbers; kept " +
                                           kept))
          << result.err;
      EXPECT_EQ(TypeOf(Path("o.gguf"), name), kept);
    }
    EXPECT_EQ(TypeOf(Path("o.gguf"), "none.weight"), "f32");
    EXPECT_EQ(TypeOf(Path("o.gguf"), "plain.weight"), type);
  }
}

TEST_F(ConvertTypesTest, ASplitModelBecomesOneFile) {
  const formats::GgufFile whole(Tiny());
  const size_t half = whole.tensors().size() / 2;
  for (size_t part = 0; part < 2; ++part) {
    formats::Metadata keys = part == 0 ? whole.metadata() : formats::Metadata();
    keys.SetInt("split.no", static_cast<int64_t>(part));
    keys.SetInt("split.count", 2);
    keys.SetInt("split.tensors.count",
                static_cast<int64_t>(whole.tensors().size()));
    formats::GgufWriter writer(
        Path("s-0000" + std::to_string(part + 1) + "-of-00002.gguf"), keys);
    const auto belongs = [&](size_t i) { return (i >= half) == (part == 1); };
    for (size_t i = 0; i < whole.tensors().size(); ++i) {
      const formats::GgufTensor& tensor = whole.tensors()[i];
      if (belongs(i)) writer.AddTensor(tensor.name, *tensor.type, tensor.shape);
    }
    for (size_t i = 0; i < whole.tensors().size(); ++i) {
      if (belongs(i)) writer.WriteTensor(whole.tensors()[i].bytes);
    }
    writer.Finish();
  }
  const std::string first = Path("s-00001-of-00002.gguf");
  EXPECT_TRUE(Worked(RunProgram({"inspect", first})));
  EXPECT_TRUE(Worked(
      RunProgram({"convert", first, Path("one.gguf"), "--type", "f32"})));
  const formats::GgufFile one(Path("one.gguf"));
  EXPECT_EQ(one.parts(), 1);
  EXPECT_FALSE(one.metadata().Has("split.count"));
  ASSERT_EQ(one.tensors().size(), whole.tensors().size());
  for (const formats::GgufTensor& tensor : whole.tensors()) {
    EXPECT_TRUE(std::ranges::equal(tensor.bytes, one.Find(tensor.name)->bytes))
        << tensor.name;
  }
  EXPECT_TRUE(Refused(RunProgram({"inspect", Path("s-00002-of-00002.gguf")}), 1,
                      "open the first"));
  std::filesystem::remove(Path("s-00002-of-00002.gguf"));
  EXPECT_TRUE(Refused(RunProgram({"inspect", first}), 1, "is missing"));
}

}  // namespace
}  // namespace ropewalk
