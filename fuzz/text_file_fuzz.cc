// Text files, plain and gzip, and files of ids. The first byte chooses.

#include "formats/text_file.h"
#include "fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  if (size == 0) return 0;
  const fuzz::MemoryFile file(fuzz::View(data + 1, size - 1));
  fuzz::Accepts([&] {
    if (data[0] % 2 == 0) {
      formats::ReadIdsFile(file.path());
    } else {
      formats::RequireUtf8(file.path(), formats::ReadTextFile(file.path()));
    }
  });
  return 0;
}
