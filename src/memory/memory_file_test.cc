// Memories as files: what is written is what is read, and what is refused.

#include "memory/memory_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "formats/safetensors.h"
#include "memory/memory_for_test.h"

namespace ropewalk::memory {
namespace {

using formats::SafeTensor;
using formats::SafetensorsFile;
using formats::SafeType;

const ReadOptions kOptions{.part = 48, .overlap = 8, .type = DType::kF32};

// The parts of a file, to write it again with some changed and a checksum that
// fits.
struct Image {
  struct Tensor {
    std::string name;
    SafeType type;
    std::vector<int64_t> shape;
    std::vector<std::byte> bytes;
  };
  std::map<std::string, std::string> keys;
  std::vector<Tensor> tensors;

  explicit Image(const std::string& path) {
    const SafetensorsFile file(path);
    keys.insert(file.metadata().begin(), file.metadata().end());
    for (const SafeTensor& tensor : file.tensors()) {
      tensors.push_back({tensor.name,
                         tensor.type,
                         tensor.shape,
                         {tensor.bytes.begin(), tensor.bytes.end()}});
    }
  }

  Tensor& Get(const std::string& name) {
    return *std::ranges::find(tensors, name, &Tensor::name);
  }

  template <typename T>
  void Set(const std::string& name, const std::vector<T>& numbers) {
    Tensor& tensor = Get(name);
    const auto bytes = std::as_bytes(std::span(numbers));
    tensor.bytes.assign(bytes.begin(), bytes.end());
    tensor.shape = {static_cast<int64_t>(numbers.size())};
  }

  void Write(const std::string& path) const {
    formats::SafetensorsWriter writer(path);
    for (const auto& [key, value] : keys) writer.AddMetadata(key, value);
    for (const Tensor& tensor : tensors) {
      writer.AddTensor(tensor.name, tensor.type, tensor.shape);
    }
    for (const Tensor& tensor : tensors) writer.WriteTensor(tensor.bytes);
    writer.Finish();
  }
};

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class MemoryFileTest : public testing::Test {
 protected:
  void TearDown() override {
    std::filesystem::remove(path_);
    std::filesystem::remove(changed_);
    std::filesystem::remove_all(path_ + ".parts");
    std::filesystem::remove_all(changed_ + ".parts");
  }

  void Write(const ReadOptions& options = kOptions, int64_t tokens = 110) {
    Remember(*engine_, {"a document", "a test", RandomIds(tokens, 1)}, options,
             path_, [](int64_t) {});
  }

  // Why a file with one change is refused, as an error of the world's.
  std::string Refused(const std::function<void(Image&)>& change) {
    Image image(path_);
    change(image);
    image.Write(changed_);
    const std::string message =
        Refusal<FormatError>([&] { OpenMemory(changed_, *engine_); });
    ExpectOneLine(message);
    return message;
  }

  const std::string path_ = TestPath("file.memory");
  const std::string changed_ = TestPath("changed.memory");
  std::shared_ptr<engine::Engine> engine_ = NewEngine("file");
};

TEST_F(MemoryFileTest, AnOpenedMemoryGivesTheSameBits) {
  const auto ids = RandomIds(30, 9);
  for (const DType type :
       {DType::kF32, DType::kF16, DType::kBf16, DType::kQ8_0, DType::kQ4_0}) {
    const ReadOptions options{.part = 48, .overlap = 8, .type = type};
    Write(options);
    const auto opened = OpenMemory(path_, *engine_);
    const auto read = std::make_shared<const Memory>(
        ReadMemory(*engine_, "another name", "", RandomIds(110, 1), options,
                   [](int64_t) {}));
    EXPECT_EQ(opened->name, "a document");
    EXPECT_EQ(opened->source, "a test");
    EXPECT_EQ(opened->tokens, read->tokens);
    EXPECT_EQ(opened->hash, read->hash);
    ASSERT_EQ(opened->parts.size(), read->parts.size());
    for (const std::string& law :
         std::vector<std::string>{"far", "place", "order:skip=0"}) {
      engine::Session from_file = Open(engine_, "auto", type);
      Attach(from_file, {opened}, law);
      engine::Session from_text = Open(engine_, "auto", type);
      Attach(from_text, {read}, law);
      EXPECT_EQ(from_file.Read(ids), from_text.Read(ids)) << law;
      EXPECT_EQ(from_file.Read(Cut(ids, 0, 1)), from_text.Read(Cut(ids, 0, 1)));
    }
  }
}

// A file that is replaced or removed stays mapped.
TEST_F(MemoryFileTest, AnOpenedMemoryOutlivesItsName) {
  const auto ids = RandomIds(30, 9);
  Write();
  auto opened = OpenMemory(path_, *engine_);
  engine::Session session = Open(engine_);
  Attach(session, {opened}, "far");
  const auto want = session.Read(ids);
  engine::Session later = Open(engine_);
  Attach(later, {opened}, "far");
  opened.reset();
  std::filesystem::remove(path_);
  EXPECT_EQ(later.Read(ids), want);
}

TEST_F(MemoryFileTest, AFileSaysWhatItIs) {
  Write();
  const MemoryInfo info = ReadInfo(path_);
  EXPECT_EQ(info.name, "a document");
  EXPECT_EQ(info.source, "a test");
  EXPECT_EQ(info.model, engine_->Hash());
  EXPECT_EQ(info.type, DType::kF32);
  EXPECT_EQ(info.tokens, 110);
  EXPECT_EQ(info.parts, 3);
  EXPECT_EQ(info.part, 48);
  EXPECT_EQ(info.overlap, 8);
  EXPECT_EQ(info.bytes,
            BytesFor(*engine_, 110, kOptions) + 110 * 4 + 3 * 3 * 8);
  VerifyMemory(path_);
}

TEST_F(MemoryFileTest, AMemoryOfAnotherModelOrOtherProductsIsRefused) {
  Write();
  const auto refusal = [&](engine::Engine& engine) {
    const std::string message =
        Refusal<std::invalid_argument>([&] { OpenMemory(path_, engine); });
    ExpectOneLine(message);
    return message;
  };
  EXPECT_NE(refusal(*NewEngine("other", {.seed = 2})).find("another model"),
            std::string::npos);
  // The same file, trained to another length as its caller says.
  engine::Engine shorter(
      {.path = TestPath("file.gguf"), .train_length = 48, .threads = 1});
  EXPECT_NE(refusal(shorter).find("trained length of 64, not of 48"),
            std::string::npos);
  const auto quantised = NewEngine("q8", {.type = DType::kQ8_0});
  Remember(*quantised, {"a", "", RandomIds(20, 1)}, kOptions, path_,
           [](int64_t) {});
  engine::Engine exact(
      {.path = TestPath("q8.gguf"), .threads = 1, .exact = true});
  EXPECT_NE(refusal(exact).find("with integer products of the weights, not "
                                "with float32 ones"),
            std::string::npos);
}

TEST_F(MemoryFileTest, EveryDamagedByteIsSeen) {
  Write();
  std::ifstream file(path_, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  for (size_t at = 0; at < bytes.size(); at += 1 + bytes.size() / 61) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x20);
    std::ofstream(changed_, std::ios::binary) << damaged;
    std::string message;
    try {
      OpenMemory(changed_, *engine_);
    } catch (const FormatError& error) {
      message = error.what();
    } catch (const std::invalid_argument& error) {
      message = error.what();  // a damaged hash is one of another model
    }
    ExpectOneLine(message);
  }
}

TEST_F(MemoryFileTest, EveryCutFileIsFormatError) {
  Write();
  std::ifstream file(path_, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  for (size_t size = 0; size < bytes.size(); size += 1 + bytes.size() / 61) {
    std::ofstream(changed_, std::ios::binary) << bytes.substr(0, size);
    ExpectOneLine(
        Refusal<FormatError>([&] { OpenMemory(changed_, *engine_); }));
    ExpectOneLine(Refusal<FormatError>([&] { VerifyMemory(changed_); }));
  }
  EXPECT_THROW(OpenMemory(TestPath("nowhere.memory"), *engine_), IoError);
}

TEST_F(MemoryFileTest, WrongShapesAndTypesAreRefused) {
  Write();
  EXPECT_NE(Refused([](Image& image) {
              Image::Tensor& tensor = image.Get("part.1.layer.0.keys");
              std::swap(tensor.shape[0], tensor.shape[1]);
            }).find("tensor 'part.1.layer.0.keys' must be 1 tiles of"),
            std::string::npos);
  EXPECT_NE(Refused([](Image& image) {
              image.Get("part.0.layer.1.values").type = SafeType::kI8;
            }).find("tensor 'part.0.layer.1.values' must be 1 tiles of"),
            std::string::npos);
  EXPECT_NE(Refused([](Image& image) {
              std::erase_if(image.tensors, [](const Image::Tensor& tensor) {
                return tensor.name == "part.2.layer.1.keys";
              });
            }).find("no tensor 'part.2.layer.1.keys'"),
            std::string::npos);
  // Three bytes in front move all tiles away from where kernels expect them.
  EXPECT_NE(Refused([](Image& image) {
              image.tensors.insert(
                  image.tensors.begin(),
                  {"a", SafeType::kU8, {3}, std::vector<std::byte>(3)});
            }).find("must lie at a multiple of 64 bytes"),
            std::string::npos);
  EXPECT_NE(Refused([](Image& image) {
              image.keys["kv_type"] = "f16";
            }).find("must be 1 tiles of"),
            std::string::npos);
  EXPECT_NE(
      Refused([](Image& image) {
        image.keys["kv_type"] = "q4_1";
      }).find("'kv_type' must be f32, f16, bf16, q8_0 or q4_0, got 'q4_1'"),
      std::string::npos);
}

TEST_F(MemoryFileTest, PartsThatContradictTheDocumentAreRefused) {
  Write();  // parts from 0, 48 and 88
  const int64_t kMost = std::numeric_limits<int64_t>::max();
  for (const std::vector<int64_t>& begins : {std::vector<int64_t>{0, 88, 48},
                                             {5, 48, 88},
                                             {0, 48},
                                             {},
                                             {0, 48, 88, 100},
                                             {0, 48, kMost},
                                             {-1, 48, 88}}) {
    EXPECT_NE(Refused([&](Image& image) { image.Set("begins", begins); })
                  .find("'begins' does not fit a document of 110 tokens in "
                        "parts of 48 with an overlap of 8"),
              std::string::npos);
  }
  for (const std::string& name : std::vector<std::string>{"firsts", "lasts"}) {
    for (const std::vector<int64_t>& numbers :
         {std::vector<int64_t>{1, 9}, {0, 0, 0}, {1, 9, kMost}, {-5, 9, 9}}) {
      EXPECT_NE(Refused([&](Image& image) {
                  image.Set(name, numbers);
                }).find("'" + name + "' does not fit"),
                std::string::npos);
    }
  }
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{
           {"part", "0"},
           {"part", "49"},
           {"part", "65"},
           {"part", "-1"},
           {"part", "99999999999999999999"},
           {"overlap", "48"},
           {"overlap", "x"}}) {
    Refused([&, key = key, value = value](Image& image) {
      image.keys[key] = value;
    });
  }
}

TEST_F(MemoryFileTest, TokensOutsideTheVocabularyAreRefused) {
  Write();
  for (const Token token : {300, -1}) {
    auto ids = RandomIds(110, 1);
    ids[70] = token;
    EXPECT_NE(Refused([&](Image& image) { image.Set("tokens", ids); })
                  .find("token " + std::to_string(token) +
                        " is outside the vocabulary of 300"),
              std::string::npos);
  }
  EXPECT_NE(Refused([&](Image& image) {
              image.Set("tokens", std::vector<Token>{});
            }).find("has no text"),
            std::string::npos);
}

TEST_F(MemoryFileTest, WhatIsNoMemoryIsRefused) {
  Write();
  for (const std::string& key : std::vector<std::string>{
           "ropewalk.memory", "name", "source", "model", "products",
           "train_length", "kv_type", "part", "overlap"}) {
    EXPECT_NE(Refused([&](Image& image) {
                image.keys.erase(key);
              }).find("key '" + key + "' is missing: not a memory"),
              std::string::npos);
  }
  Image image(path_);
  image.keys["ropewalk.memory"] = "2";
  image.Write(changed_);
  EXPECT_NE(Refusal<std::invalid_argument>([&] {
              OpenMemory(changed_, *engine_);
            }).find("another version of this program"),
            std::string::npos);
}

TEST_F(MemoryFileTest, NamesWithControlCharactersStayOnOneLine) {
  const std::string name = "a\x1b[31m\nb";
  Remember(*engine_, {name, "\t", RandomIds(20, 1)}, kOptions, path_,
           [](int64_t) {});
  const auto memory = OpenMemory(path_, *engine_);
  EXPECT_EQ(memory->name, name);
  ExpectOneLine(Refusal<std::invalid_argument>([&] {
    Arrange(std::vector{memory, memory}, {}, *engine_,
            Open(engine_).sequence().stack());
  }));
  Write();
  ExpectOneLine(Refused([&](Image& image) {
    image.keys["name"] = name;
    image.Set("tokens", std::vector<Token>{});
  }));
  std::filesystem::remove(changed_);
  ExpectOneLine(Refusal<std::invalid_argument>([&] {
    Remember(*engine_, {"\xff", "", RandomIds(20, 1)}, kOptions, changed_,
             [](int64_t) {});
  }));
  EXPECT_FALSE(std::filesystem::exists(changed_));
}

TEST_F(MemoryFileTest, AReadingThatStopsLeavesTheFileBefore) {
  Write();
  const auto before = ReadInfo(path_).tokens;
  EXPECT_THROW(Remember(*engine_, {"b", "", RandomIds(60, 2)}, kOptions, path_,
                        [](int64_t) { throw Interrupted(); }),
               Interrupted);
  EXPECT_EQ(ReadInfo(path_).tokens, before);
}

// What is done stays done, and the file is the one that an unbroken reading
// gives.
TEST_F(MemoryFileTest, AReadingThatWasStoppedGoesOnWithTheNextPart) {
  const Document document{"a document", "a test", RandomIds(200, 1)};
  Remember(*engine_, document, kOptions, path_, [](int64_t) {});
  const std::string whole = ReadAll(path_);
  const size_t parts = CutParts(200, kOptions).size();
  ASSERT_GT(parts, 3u);
  const std::string folder = changed_ + ".parts";
  size_t read = 0;
  const auto until = [&](size_t stop) {
    return [&read, stop](int64_t) {
      if (read == stop) throw std::runtime_error("stopped");
      ++read;
    };
  };
  EXPECT_THROW(Remember(*engine_, document, kOptions, changed_, until(2)),
               std::runtime_error);
  EXPECT_FALSE(std::filesystem::exists(changed_));
  EXPECT_TRUE(std::filesystem::exists(folder + "/1"));
  // A damaged part is read again.
  std::filesystem::resize_file(folder + "/0", 100);
  read = 0;
  Remember(*engine_, document, kOptions, changed_, until(100));
  EXPECT_EQ(read, parts - 1);
  EXPECT_TRUE(ReadAll(changed_) == whole);
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST_F(MemoryFileTest, PartsOfAnotherTextAreNotTaken) {
  Remember(*engine_, {"a document", "a test", RandomIds(200, 2)}, kOptions,
           path_, [](int64_t) {});
  const std::string whole = ReadAll(path_);
  size_t read = 0;
  const auto stop = [&](int64_t) {
    if (read++ == 2) throw std::runtime_error("stopped");
  };
  EXPECT_THROW(Remember(*engine_, {"a document", "a test", RandomIds(200, 1)},
                        kOptions, changed_, stop),
               std::runtime_error);
  Remember(*engine_, {"a document", "a test", RandomIds(200, 2)}, kOptions,
           changed_, [](int64_t) {});
  EXPECT_TRUE(ReadAll(changed_) == whole);
}

TEST_F(MemoryFileTest, AFileHoldsOneDocumentReadInOneWay) {
  Write();
  const Document document{"another name", "", RandomIds(110, 1)};
  EXPECT_TRUE(Holds(path_, *engine_, document, kOptions));
  ReadOptions other = kOptions;
  other.overlap = 4;
  EXPECT_FALSE(Holds(path_, *engine_, document, other));
  EXPECT_FALSE(
      Holds(path_, *engine_, {"a document", "", RandomIds(110, 2)}, kOptions));
  const auto model = NewEngine("another_holder", {.seed = 77});
  EXPECT_FALSE(Holds(path_, *model, document, kOptions));
}

TEST_F(MemoryFileTest, AFolderStandsForItsMemories) {
  const std::string folder = TestPath("folder");
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  ExpectOneLine(Refusal<std::invalid_argument>([&] { MemoryFiles({folder}); }));
  for (const char* name : {"b.memory", "a.memory", "c.txt"}) {
    std::ofstream(folder + "/" + name) << "x";
  }
  EXPECT_EQ(MemoryFiles({"z.memory", folder}),
            (std::vector<std::string>{"z.memory", folder + "/a.memory",
                                      folder + "/b.memory"}));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace ropewalk::memory
