// The parts of a GGUF file. A mutator changes one key or tensor and joins the
// parts to a file that is broken in that place only.

#ifndef FUZZ_GGUF_IMAGE_H_
#define FUZZ_GGUF_IMAGE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::fuzz {

// Numbers are unchecked copies of those in the file.
struct GgufImage {
  struct Key {
    std::string name;
    uint32_t type = 0;
    uint32_t element_type = 0;         // of an array
    std::string bytes;                 // numbers, or the bytes of a string
    std::vector<std::string> strings;  // of an array of strings
  };
  struct Tensor {
    std::string name;
    std::vector<uint64_t> ne;  // GGUF's order, fastest first
    uint32_t type = 0;
    uint64_t offset = 0;
  };

  uint32_t version = 3;
  std::vector<Key> keys;
  std::vector<Tensor> tensors;
  std::string data;  // after the padding that follows the tensor entries

  // Returns nullopt if some key or tensor entry cannot be read.
  static std::optional<GgufImage> Parse(std::string_view bytes);

  // `lengths` receives the place of each 64-bit count and length.
  std::string Bytes(std::vector<size_t>* lengths = nullptr) const;

  // general.alignment if its value is allowed, else 32.
  size_t Alignment() const;
  // The end of the last tensor within `data`, from its shape and type; nullopt
  // if that overflows or a type is unknown.
  std::optional<uint64_t> DataEnd() const;
  // Moves the tensors so that they follow each other without gaps.
  void PlaceTensors();

  Key* Find(std::string_view name);
};

}  // namespace ropewalk::fuzz

#endif  // FUZZ_GGUF_IMAGE_H_
