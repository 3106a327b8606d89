// Text files, plain and gzip, files of ids, and CSV files. The first byte
// chooses the format.

#include "formats/text_file.h"
#include "fuzz/input.h"
#include "report/csv.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  if (size == 0) return 0;
  const fuzz::MemoryFile file(fuzz::View(data + 1, size - 1));
  fuzz::Accepts([&] {
    switch (data[0] % 3) {
      case 0:
        formats::ReadIdsFile(file.path());
        break;
      case 1:
        formats::RequireUtf8(file.path(), formats::ReadTextFile(file.path()));
        break;
      default: {
        const std::string text = formats::ReadTextFile(file.path());
        for (const auto& row : report::ParseCsv(text, file.path()).rows) {
          fuzz::Claim(!row.empty(), "a row has cells");
        }
      }
    }
  });
  return 0;
}
