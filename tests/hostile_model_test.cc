// Model files that lie: every one gets a FormatError, in little memory.

#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "formats/gguf_bytes_for_test.h"
#include "model/context.h"
#include "position/scheme.h"
#include "tests/e2e.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk {
namespace {

constexpr int64_t kMemory = int64_t{1} << 30;  // of address space

using HostileModelTest = ProgramTest;

// The error of loading a file in this process; "" when it loads.
std::string LoadError(const std::string& path) {
  try {
    model::Model::Load(path);
  } catch (const FormatError& error) {
    return error.what();
  }
  return "";
}

// `run` and `measure` refuse the file with the same single line, quickly and
// without much memory.
void ExpectRefusedByTheProgram(const std::string& path, const std::string& ids,
                               std::string_view part) {
  const ProgramOptions limits{.timeout_seconds = 10, .memory_bytes = kMemory};
  EXPECT_TRUE(RefusedAtOnce(
      RunProgram({"run", "-m", path, "-p", "x", "-n", "2"}, limits), 1, part));
  EXPECT_TRUE(RefusedAtOnce(
      RunProgram({"measure", "-m", path, "--ids", ids, "--length", "8"},
                 limits),
      1, part));
}

TEST_F(HostileModelTest, PathsThatAreNotFilesAreRefused) {
  const std::string ids = Ids(1, 20);
  ExpectRefusedByTheProgram(Path("missing.gguf"), ids,
                            "No such file or directory");
  ExpectRefusedByTheProgram(Path(""), ids, "without config.json");
  ExpectRefusedByTheProgram(Write("empty.gguf", ""), ids, "empty.gguf");
  ExpectRefusedByTheProgram(Write("text.gguf", "Once upon a time, there was"),
                            ids, "GGUF");
  ExpectRefusedByTheProgram("/dev/zero", ids, "not a regular file");
}

TEST_F(HostileModelTest, EveryTruncationIsAFormatError) {
  const std::string path = Tiny();
  std::vector<int64_t> cuts;
  {
    const formats::GgufFile file(path);
    const int64_t header = file.tensors().front().file_offset;
    // Both sides of every border of a tensor, from the end down.
    for (const formats::GgufTensor& tensor : file.tensors()) {
      const auto end =
          tensor.file_offset + static_cast<int64_t>(tensor.bytes.size());
      for (const int64_t cut : {end, end - 1, tensor.file_offset + 1}) {
        if (cut < file.file_bytes()) cuts.push_back(cut);
      }
    }
    for (int64_t cut = 0; cut <= header; ++cut) cuts.push_back(cut);
  }
  std::ranges::sort(cuts, std::greater());
  int64_t refused = 0;
  for (const int64_t cut : cuts) {
    std::filesystem::resize_file(path, static_cast<uintmax_t>(cut));
    const std::string error = LoadError(path);
    if (!error.empty()) ++refused;
    ASSERT_NE(error, "") << "cut to " << cut << " bytes";
  }
  EXPECT_GT(refused, 5000);
}

TEST_F(HostileModelTest, TheProgramRefusesTruncatedFiles) {
  const std::string ids = Ids(1, 20);
  const std::string bytes = ReadAll(Tiny());
  for (const double part : {0.00001, 0.001, 0.02, 0.1, 0.5, 0.9, 0.99999}) {
    const auto size =
        static_cast<size_t>(part * static_cast<double>(bytes.size()));
    ExpectRefusedByTheProgram(Write("cut.gguf", bytes.substr(0, size)), ids,
                              "cut.gguf: byte ");
  }
}

TEST_F(HostileModelTest, WrongHeadersAreRefused) {
  using formats::GgufBytes;
  using formats::GgufType;
  const std::string ids = Ids(1, 20);
  constexpr uint64_t kHuge = uint64_t{1} << 62;
  const auto with_llama = [](uint64_t tensors) {
    return GgufBytes(3, tensors, 1)
        .Key("general.architecture", GgufType::kString)
        .String("llama");
  };
  const std::vector<std::pair<GgufBytes, std::string>> table = {
      {GgufBytes(1), "must be 2 or 3, got 1"},
      {GgufBytes(99), "must be 2 or 3, got 99"},
      {GgufBytes(3, kHuge, 0), "tensor count"},
      {GgufBytes(3, 0, kHuge), "key count"},
      {GgufBytes(3, 0, 1).U64(kHuge).Raw("abc"), "byte"},
      {GgufBytes(3, 0, 1).Key("a", GgufType::kString).U64(kHuge), "byte"},
      {GgufBytes(3, 0, 1)
           .Key("a", GgufType::kArray)
           .U32(static_cast<uint32_t>(GgufType::kUint8))
           .U64(kHuge),
       "byte"},
      {GgufBytes(3, 0, 1).String("a").U32(77).U64(0), "type"},
      {with_llama(1).Tensor("t", {kHuge, kHuge}, 0), "tensor 't'"},
      {with_llama(1).Tensor("t", {0}, 0), "tensor 't'"},
      {with_llama(1).Tensor("t", {8}, 7).PadTo(32).Raw(std::string(64, 'x')),
       "tensor 't'"},
      {with_llama(1).Tensor("t", {8}, 0, 4242), "tensor 't'"},
      {with_llama(2)
           .Tensor("t", {16}, 0)
           .Tensor("u", {16}, 32)
           .PadTo(32)
           .Raw(std::string(256, 'x')),
       "tensor"},
      {with_llama(0), "llama.block_count"}};
  for (size_t t = 0; t < table.size(); ++t) {
    SCOPED_TRACE("case " + std::to_string(t));
    ExpectRefusedByTheProgram(Write("made.gguf", table[t].first.bytes()), ids,
                              table[t].second);
  }
  std::string swapped = GgufBytes(3).bytes();
  std::swap(swapped[1], swapped[2]);
  ExpectRefusedByTheProgram(Write("made.gguf", swapped), ids, "GGUF");
}

// A header of some hundred bytes must not make plans for as many layers as it
// names before one of them has been found: these would take 4 GB.
TEST_F(HostileModelTest, MissingLayersCostNoMemory) {
  formats::Metadata keys;
  keys.SetString("general.architecture", "gemma3");
  for (const auto& [key, value] : std::vector<std::pair<std::string, int64_t>>{
           {"block_count", 65536},
           {"embedding_length", 1},
           {"feed_forward_length", 1},
           {"context_length", 8192},
           {"attention.head_count", 1},
           {"attention.key_length", 16384},
           {"attention.value_length", 16384},
           {"attention.sliding_window", 512}}) {
    keys.SetInt("gemma3." + key, value);
  }
  const std::string path = Path("layers.gguf");
  formats::GgufWriter writer(path, keys);
  writer.AddTensor("token_embd.weight", DType::kF32, {8, 1});
  writer.AddTensor("output_norm.weight", DType::kF32, {1});
  writer.WriteTensor(std::vector<std::byte>(32));
  writer.WriteTensor(std::vector<std::byte>(4));
  writer.Finish();
  ExpectRefusedByTheProgram(path, Ids(1, 20), "tensor 'blk.0.");
}

struct KeyCase {
  std::string part;  // of the message
  std::function<void(formats::Metadata&)> change;
};

TEST_F(HostileModelTest, WrongKeysAreRefused) {
  const auto set = [](const std::string& key, int64_t value) {
    return KeyCase{key, [=](formats::Metadata& keys) {
                     keys.SetInt(key, value, formats::GgufType::kInt64);
                   }};
  };
  const auto without = [](const std::string& key) {
    return KeyCase{key, [=](formats::Metadata& keys) { keys.Remove(key); }};
  };
  const auto number = [](const std::string& key, double value,
                         const std::string& part) {
    return KeyCase{part,
                   [=](formats::Metadata& keys) { keys.SetFloat(key, value); }};
  };
  constexpr int64_t kHuge = int64_t{1} << 40;
  std::vector<KeyCase> cases = {
      without("llama.block_count"),
      without("llama.embedding_length"),
      without("llama.feed_forward_length"),
      without("llama.context_length"),
      without("llama.attention.head_count"),
      {"architecture", [](auto& keys) { keys.Remove("general.architecture"); }},
      {"gpt2",
       [](auto& keys) { keys.SetString("general.architecture", "gpt2"); }},
      {"general.architecture",
       [](auto& keys) { keys.SetInt("general.architecture", 3); }},
      {"llama.block_count",
       [](auto& keys) { keys.SetString("llama.block_count", "2"); }},
      number("llama.rope.freq_base", -1, "base"),
      number("llama.rope.freq_base", 0, "base"),
      number("llama.rope.freq_base", std::numeric_limits<double>::infinity(),
             "llama.rope.freq_base"),
      number("llama.attention.layer_norm_rms_epsilon", -1, "rms_epsilon"),
      number("llama.rope.scaling.factor", -4, "factor"),
      {"squared",
       [](auto& keys) {
         keys.SetString("llama.rope.scaling.type", "squared");
       }},
      {"rerope",
       [](auto& keys) {
         keys.SetString("ropewalk.position", "rerope:window=-1");
       }},
      {"'@/dev/stdin'",
       [](auto& keys) { keys.SetString("ropewalk.position", "@/dev/stdin"); }},
      {"logn-learned",
       [](auto& keys) {
         keys.SetString("ropewalk.position", "rope+logn-learned");
       }},
      {"5 entries",
       [](auto& keys) {
         keys.SetStrings("ropewalk.position",
                         std::vector<std::string>(5, "rope"));
       }},
      {"gau", [](auto& keys) { keys.SetString("ropewalk.block", "gau"); }},
      {"3",
       [](auto& keys) { keys.SetInt("llama.attention.head_count_kv", 3); }},
      {"rotary",
       [](auto& keys) { keys.SetInt("llama.rope.dimension_count", 7); }},
      {"rotary",
       [](auto& keys) { keys.SetInt("llama.rope.dimension_count", 18); }},
      {"rope.dimension_count",
       [](auto& keys) { keys.SetInt("llama.rope.dimension_count", 1 << 20); }}};
  for (const std::string key :
       {"llama.block_count", "llama.embedding_length", "llama.context_length",
        "llama.feed_forward_length", "llama.attention.head_count",
        "llama.attention.head_count_kv"}) {
    cases.push_back(set(key, 0));
    cases.push_back(set(key, -5));
    cases.push_back(set(key, kHuge));
    cases.push_back(set(key, std::numeric_limits<int64_t>::max()));
  }
  for (size_t c = 0; c < cases.size(); ++c) {
    const std::string path = Tiny({.change_keys = cases[c].change});
    const std::string error = LoadError(path);
    EXPECT_TRUE(Contains(error, cases[c].part))
        << "case " << c << ", " << cases[c].part << ": '" << error << "'";
    if (c % 8 == 0) {
      ExpectRefusedByTheProgram(path, Ids(1, 20), cases[c].part);
    }
  }
  // Allowed sizes that no tensor of the file has.
  for (const auto& [key, value] : std::vector<std::pair<std::string, int64_t>>{
           {"llama.block_count", 1 << 16},
           {"llama.embedding_length", 1 << 15},
           {"llama.feed_forward_length", 1 << 24},
           {"llama.attention.key_length", 1 << 14}}) {
    const std::string path =
        Tiny({.change_keys = [&](auto& keys) { keys.SetInt(key, value); }});
    ExpectRefusedByTheProgram(path, Ids(1, 20), "tensor '");
  }
  // Heads so wide that only their tables of angles would fill the memory.
  for (const char* key :
       {"llama.embedding_length", "llama.attention.key_length"}) {
    const std::string path =
        Tiny({.change_keys = [&](auto& keys) { keys.SetInt(key, 1 << 24); }});
    ExpectRefusedByTheProgram(path, Ids(1, 20), "16384");
  }
}

TEST_F(HostileModelTest, TensorsThatDoNotFitTheModelAreRefused) {
  for (const std::string name :
       {"token_embd.weight", "output_norm.weight", "blk.0.attn_q.weight",
        "blk.1.ffn_down.weight", "blk.1.ffn_norm.weight"}) {
    const std::string path =
        Tiny({.keep_tensor = [&](const std::string& n) { return n != name; }});
    EXPECT_TRUE(Contains(LoadError(path), "tensor '" + name + "' is missing"));
    const std::string misshapen =
        Tiny({.keep_tensor = [&](const std::string& n) { return n != name; },
              .extra_tensors = {{name, {3, 32}}}});
    EXPECT_TRUE(Contains(LoadError(misshapen), "tensor '" + name + "' has"))
        << LoadError(misshapen);
  }
  const std::string bias =
      Tiny({.extra_tensors = {{"blk.0.attn_norm.bias", {64}}}});
  ExpectRefusedByTheProgram(bias, Ids(1, 20),
                            "tensor 'blk.0.attn_norm.bias' is not part");
}

TEST_F(HostileModelTest, VocabulariesThatDoNotFitAreRefused) {
  const auto refused = [&](std::string_view part,
                           const std::function<void(formats::Metadata&)>& f) {
    const ProgramResult result = RunProgram(
        {"run", "-m", Tiny({.change_keys = f}), "-p", "x", "-n", "2"},
        {.timeout_seconds = 10, .memory_bytes = kMemory});
    EXPECT_TRUE(RefusedAtOnce(result, 1, part));
  };
  refused("400 tokens", [](auto& keys) { SetTinyVocabulary(keys, 400); });
  refused("tokenizer.ggml",
          [](auto& keys) { keys.Remove("tokenizer.ggml.tokens"); });
  refused("tokenizer.ggml.model", [](auto& keys) {
    keys.SetString("tokenizer.ggml.model", "no-such");
  });
  refused("bos", [](auto& keys) {
    keys.SetInt("tokenizer.ggml.bos_token_id", 1 << 30);
  });
  refused("scores", [](auto& keys) {
    keys.SetFloats("tokenizer.ggml.scores", std::vector<float>(3, 0.0f));
  });
}

// Names out of the file do not reach the terminal as they are.
TEST_F(HostileModelTest, MessagesHoldNoControlCharacters) {
  const std::string path =
      Tiny({.extra_tensors = {{"evil\x1b[2J\nropewalk: name", {8}}}});
  const ProgramResult result = RunProgram({"run", "-m", path, "-p", "x"});
  EXPECT_TRUE(RefusedAtOnce(result, 1, "evil\\x1b[2J\\x0aropewalk: name"));
}

// One forward pass with every default scheme; may throw what a caller's or a
// file's mistake throws.
void ReadAFewTokens(const std::string& path) {
  const model::Model model = model::Model::Load(path);
  const auto threads = MakeThreadPool(1);
  const position::ModelPositions& positions = model.config().positions;
  for (const char* spelling : {"auto", "rerope", "self-extend", "dca"}) {
    const position::Scheme scheme =
        position::Resolve(position::ParseScheme(spelling), positions, 200);
    (void)position::KnownToFail(scheme, positions, 200);
    model::Context context(
        model, position::BuildStack(scheme, positions, 200, model.config().L),
        {.length = 200}, *threads);
    context.Forward(std::vector<Token>{1, 2, 3, 4, 5});
    context.Logits(4, 1);
  }
  const auto tokenizer = tokenizer::Tokenizer::FromGguf(model.file());
  (void)tokenizer.Encode("abc \xe2\x82\xac <s>", {.parse_special = true});
}

TEST_F(HostileModelTest, FlippedHeaderBytesNeverCrash) {
  const std::string good = ReadAll(Tiny());
  size_t header = 0;
  size_t vocabulary = 0;
  {
    const formats::GgufFile file(Path("tiny.gguf"));
    header = static_cast<size_t>(file.tensors().front().file_offset);
    for (const auto& entry : file.metadata().entries()) {
      if (entry.key == "tokenizer.ggml.model") {
        vocabulary = static_cast<size_t>(entry.offset);
      }
    }
  }
  ASSERT_GT(vocabulary, 0u);
  Rng rng(20240607);
  int64_t loaded = 0;
  int64_t refused = 0;
  for (int trial = 0; trial < 900; ++trial) {
    std::string bytes = good;
    const int64_t flips = 1 + rng.Below(3);
    for (int64_t f = 0; f < flips; ++f) {
      // The keys of the model and the tensors' table say the most; the pieces
      // of the vocabulary between them are many and alike.
      const auto keys =
          static_cast<size_t>(rng.Below(static_cast<int64_t>(vocabulary)));
      const auto table = header - 1 - static_cast<size_t>(rng.Below(1500));
      const auto any =
          static_cast<size_t>(rng.Below(static_cast<int64_t>(header)));
      const size_t at = trial % 3 == 0 ? keys : trial % 3 == 1 ? table : any;
      bytes[at] = rng.Below(2) == 0
                      ? static_cast<char>(bytes[at] ^ (1 << rng.Below(8)))
                      : static_cast<char>(rng.Below(256));
    }
    WriteAll(Path("flipped.gguf"), bytes);
    try {
      ReadAFewTokens(Path("flipped.gguf"));
      ++loaded;
    } catch (const FormatError&) {
      ++refused;
    } catch (const std::invalid_argument&) {
      ++refused;  // a scheme that is not defined for such a model
    }
  }
  // Neither everything nor nothing: the flips reach what matters.
  EXPECT_GT(loaded, 20);
  EXPECT_GT(refused, 100);
}

TEST_F(HostileModelTest, FlippedWeightsNeverCrash) {
  const std::string good = ReadAll(Tiny({.V = 260, .type = DType::kQ8_0}));
  size_t header = 0;
  {
    const formats::GgufFile file(Path("tiny.gguf"));
    header = static_cast<size_t>(file.tensors().front().file_offset);
  }
  Rng rng(5);
  for (int trial = 0; trial < 30; ++trial) {
    std::string bytes = good;
    for (int f = 0; f < 2000; ++f) {
      const auto at = header + static_cast<size_t>(rng.Below(
                                   static_cast<int64_t>(good.size() - header)));
      bytes[at] = static_cast<char>(rng.Below(256));
    }
    WriteAll(Path("flipped.gguf"), bytes);
    ReadAFewTokens(Path("flipped.gguf"));
  }
}

}  // namespace
}  // namespace ropewalk
