// Whole models: the config and the weights of a file and, if it is small, a
// forward pass under some scheme.
//
// Inputs are headers. The target makes up the bytes of the tensors, so that a
// mutation changes a key or a shape and not one of thousands of weights.

#include "fuzz/gguf_hooks.h"
#include "fuzz/gguf_image.h"
#include "fuzz/input.h"
#include "fuzz/small_model.h"
#include "model/model.h"

namespace ropewalk {
namespace {

constexpr uint64_t kMostData = 256 << 10;

std::string WithData(std::string_view bytes) {
  std::optional<fuzz::GgufImage> image = fuzz::GgufImage::Parse(bytes);
  if (!image) return std::string(bytes);
  const uint64_t end = image->DataEnd().value_or(0);
  static const std::string kData = fuzz::MadeUpData(kMostData);
  if (end > image->data.size() && end <= kMostData) {
    image->data += kData.substr(image->data.size(), end - image->data.size());
  }
  return image->Bytes();
}

}  // namespace
}  // namespace ropewalk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  const fuzz::MemoryFile file(WithData(fuzz::View(data, size)));
  fuzz::Accepts(
      [&] { fuzz::ReadSmall(model::Model::Load(file.path()), size); });
  return 0;
}
