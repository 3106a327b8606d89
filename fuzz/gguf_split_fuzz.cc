// Models in several files: the input is the parts, separated by a line.

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "fuzz/gguf_mutator.h"
#include "fuzz/input.h"

namespace ropewalk {
namespace {

constexpr std::string_view kBorder = "\n--next part--\n";
constexpr size_t kMostParts = 8;

std::vector<std::string> PartsOf(std::string_view input) {
  std::vector<std::string> parts;
  while (parts.size() + 1 < kMostParts) {
    const size_t end = input.find(kBorder);
    if (end == std::string_view::npos) break;
    parts.emplace_back(input.substr(0, end));
    input.remove_prefix(end + kBorder.size());
  }
  parts.emplace_back(input);
  return parts;
}

std::string Name(size_t part, size_t count) {
  return "m-0000" + std::to_string(part + 1) + "-of-0000" +
         std::to_string(count) + ".gguf";
}

void Use(const std::string& path) {
  const formats::GgufFile file(path);
  unsigned sum = 0;
  for (const formats::GgufTensor& tensor : file.tensors()) {
    fuzz::Claim(file.Find(tensor.name) == &tensor, "a tensor is found by name");
    for (const std::byte byte : tensor.bytes) {
      sum += static_cast<unsigned>(byte);
    }
  }
  volatile unsigned sink = sum;
  (void)sink;
}

}  // namespace
}  // namespace ropewalk

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size,
                                          size_t max_size, unsigned seed) {
  using namespace ropewalk;
  std::vector<std::string> parts = PartsOf(fuzz::View(data, size));
  switch (seed % 16) {
    case 0:
      if (parts.size() < kMostParts)
        parts.push_back(parts[seed % parts.size()]);
      break;
    case 1:
      if (parts.size() > 1) parts.pop_back();
      break;
    default: {
      std::string& part = parts[seed / 16 % parts.size()];
      std::vector<uint8_t> bytes(max_size);
      const size_t before = std::min(part.size(), max_size);
      std::memcpy(bytes.data(), part.data(), before);
      const size_t after =
          fuzz::MutateGguf(bytes.data(), before, max_size, seed);
      part.assign(reinterpret_cast<const char*>(bytes.data()), after);
    }
  }
  std::string all = parts.front();
  for (size_t i = 1; i < parts.size(); ++i) {
    all += std::string(kBorder) + parts[i];
  }
  const size_t count = std::min(all.size(), max_size);
  std::memcpy(data, all.data(), count);
  return count;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  const std::vector<std::string> parts = PartsOf(fuzz::View(data, size));
  for (size_t i = 0; i < parts.size(); ++i) {
    std::ofstream(fuzz::Folder() / Name(i, parts.size()), std::ios::binary)
        .write(parts[i].data(), static_cast<std::streamsize>(parts[i].size()));
  }
  fuzz::Accepts(
      [&] { Use((fuzz::Folder() / Name(0, parts.size())).string()); });
  for (size_t i = 0; i < parts.size(); ++i) {
    std::filesystem::remove(fuzz::Folder() / Name(i, parts.size()));
  }
  return 0;
}
