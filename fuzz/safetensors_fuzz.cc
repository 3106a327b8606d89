// Safetensors files: header, layout, checksum.

#include "formats/safetensors.h"
#include "fuzz/input.h"
#include "fuzz/safetensors_mutator.h"

namespace ropewalk {
namespace {

// Reads every byte of a tensor.
void Use(const formats::SafetensorsFile& file) {
  unsigned sum = 0;
  for (const formats::SafeTensor& tensor : file.tensors()) {
    for (const std::byte byte : tensor.bytes)
      sum += static_cast<unsigned>(byte);
    fuzz::Claim(file.Find(tensor.name) == &tensor, "a tensor is found by name");
  }
  volatile unsigned sink = sum;
  (void)sink;
  if (file.has_checksum()) file.VerifyChecksum();
}

}  // namespace
}  // namespace ropewalk

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size,
                                          size_t max_size, unsigned seed) {
  return ropewalk::fuzz::MutateSafetensors(data, size, max_size, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  const fuzz::MemoryFile file(fuzz::View(data, size));
  fuzz::Accepts([&] { Use(formats::SafetensorsFile(file.path())); });
  return 0;
}
