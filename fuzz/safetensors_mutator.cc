#include "fuzz/safetensors_mutator.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

// The mutation of libFuzzer, from its runtime.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace ropewalk::fuzz {
namespace {

void Mutate(std::string& text, size_t max_size) {
  std::vector<uint8_t> bytes(std::max<size_t>(max_size, 1));
  std::memcpy(bytes.data(), text.data(), text.size());
  const size_t size = LLVMFuzzerMutate(bytes.data(), text.size(), bytes.size());
  text.assign(reinterpret_cast<const char*>(bytes.data()), size);
}

void FixChecksum(std::string& file) {
  uint32_t crc = 0;
  if (file.size() < sizeof(crc)) return;
  const size_t checked = file.size() - sizeof(crc);
  crc = static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(file.data()), checked));
  std::memcpy(file.data() + checked, &crc, sizeof(crc));
}

}  // namespace

size_t MutateSafetensors(uint8_t* data, size_t size, size_t max_size,
                         unsigned seed) {
  std::minstd_rand random(seed);
  const auto one_in = [&](unsigned n) { return random() % n == 0; };
  uint64_t length = 0;
  if (size >= sizeof(length)) std::memcpy(&length, data, sizeof(length));
  if (length < 2 || length > size - sizeof(length) || one_in(16)) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  const auto* text = reinterpret_cast<const char*>(data) + sizeof(length);
  std::string header(text, length);
  std::string bytes(text + length, size - sizeof(length) - length);
  if (one_in(2)) {
    const size_t before = bytes.size();
    Mutate(bytes, std::max<size_t>(before, 8));
    if (!one_in(8)) bytes.resize(before);
  } else {
    Mutate(header, header.size() + 64);
    length = header.size();
  }
  std::string file(reinterpret_cast<const char*>(&length), sizeof(length));
  file += header + bytes;
  if (header.find("__crc32__") != std::string::npos && !one_in(16)) {
    FixChecksum(file);
  }
  const size_t count = std::min(file.size(), max_size);
  std::memcpy(data, file.data(), count);
  return count;
}

}  // namespace ropewalk::fuzz
