// GGUF files: header, keys, tensors, and every Find function on every key.

#include "formats/gguf.h"
#include "fuzz/gguf_hooks.h"
#include "fuzz/input.h"

namespace ropewalk {
namespace {

void Ask(const formats::Metadata& metadata, const std::string& key) {
  fuzz::Accepts([&] { metadata.FindInt(key); });
  fuzz::Accepts([&] { metadata.FindFloat(key); });
  fuzz::Accepts([&] { metadata.FindBool(key); });
  fuzz::Accepts([&] { metadata.FindString(key); });
  fuzz::Accepts([&] { metadata.FindInts(key); });
  fuzz::Accepts([&] { metadata.FindFloats(key); });
  fuzz::Accepts([&] { metadata.FindBools(key); });
  fuzz::Accepts([&] { metadata.FindStrings(key); });
}

void Use(const formats::GgufFile& file) {
  for (const formats::Metadata::Entry& entry : file.metadata().entries()) {
    Ask(file.metadata(), entry.key);
    fuzz::Claim(entry.value.ShortValue().find('\n') == std::string::npos,
                "a value prints on one line");
    entry.value.TypeName();
  }
  unsigned sum = 0;
  for (const formats::GgufTensor& tensor : file.tensors()) {
    fuzz::Claim(tensor.Rows() * tensor.Columns() == tensor.Elements(),
                "a shape is rows times columns");
    fuzz::Claim(file.Find(tensor.name) == &tensor, "a tensor is found by name");
    for (const std::byte byte : tensor.bytes)
      sum += static_cast<unsigned>(byte);
  }
  volatile unsigned sink = sum;
  (void)sink;
}

}  // namespace
}  // namespace ropewalk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  const fuzz::MemoryFile file(fuzz::View(data, size));
  fuzz::Accepts([&] { Use(formats::GgufFile(file.path())); });
  return 0;
}
