// Whole models: the config and the weights of a file and, if it is small, a
// forward pass under some scheme.
//
// Inputs are headers. The target makes up the bytes of the tensors, so that a
// mutation changes a key or a shape and not one of thousands of weights.

#include <cmath>

#include "base/parallel.h"
#include "fuzz/gguf_hooks.h"
#include "fuzz/gguf_image.h"
#include "fuzz/input.h"
#include "model/context.h"
#include "model/model.h"
#include "position/scheme.h"

namespace ropewalk {
namespace {

constexpr uint64_t kMostData = 256 << 10;
constexpr int64_t kMostWeights = 1 << 20;
constexpr int64_t kLength = 12;

// Small numbers in every float type: 0.0078 to 0.0156 in f32.
std::string MadeUpData(uint64_t size) {
  std::string data(size, '\0');
  uint32_t state = 1;
  for (uint64_t i = 0; i < size; ++i) {
    state = state * 1664525 + 1013904223;
    data[i] = i % 4 == 3 ? '\x3c' : static_cast<char>(state >> 24 & 0x87);
  }
  return data;
}

std::string WithData(std::string_view bytes) {
  std::optional<fuzz::GgufImage> image = fuzz::GgufImage::Parse(bytes);
  if (!image) return std::string(bytes);
  const uint64_t end = image->DataEnd().value_or(0);
  static const std::string kData = MadeUpData(kMostData);
  if (end > image->data.size() && end <= kMostData) {
    image->data += kData.substr(image->data.size(), end - image->data.size());
  }
  return image->Bytes();
}

bool IsSmall(const model::Model& model) {
  const model::Config& config = model.config();
  return model.WeightBytes() <= kMostWeights && config.L <= 16;
}

// Reads a few tokens in two parts, like a prompt and an answer.
void Read(const model::Model& model, const std::string& spelling) {
  const auto& positions = model.config().positions;
  const position::Scheme scheme =
      position::Resolve(position::ParseScheme(spelling), positions, kLength);
  SerialFor threads;
  model::Context context(
      model, position::BuildStack(scheme, positions, kLength, model.config().L),
      {.length = kLength, .chunk = 4}, threads);
  const int64_t V = model.config().V;
  const Token last = static_cast<Token>(V - 1);
  context.Forward(std::vector<Token>{0, last, last / 2});
  fuzz::Claim(context.Logits(2, 1).size() == static_cast<size_t>(V),
              "a row of logits has the size of the vocabulary");
  context.Forward(std::vector<Token>{last});
  context.Logits(0, 1);
}

}  // namespace
}  // namespace ropewalk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  static const std::vector<std::string> kSpellings = {
      "rope", "auto",          "rerope:window=3+logn-clip",  "self-extend",
      "dca",  "window:size=2", "sink-window:size=2,sinks=1", "nope+logn",
      "yarn"};
  const fuzz::MemoryFile file(WithData(fuzz::View(data, size)));
  fuzz::Accepts([&] {
    const model::Model model = model::Model::Load(file.path());
    if (!IsSmall(model)) return;
    fuzz::Accepts([&] { Read(model, "rope"); });
    const std::string& other = kSpellings[size % kSpellings.size()];
    fuzz::Accepts([&] { Read(model, other); });
  });
  return 0;
}
