// A GGUF file taken apart, so that a mutator can change a key or a tensor and
// put together a file that is broken in that place alone.

#ifndef FUZZ_GGUF_IMAGE_H_
#define FUZZ_GGUF_IMAGE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::fuzz {

// Numbers are as the file has them and may be nonsense.
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
  std::string data;  // behind the padding that follows the tensors' entries

  // Nothing unless every key and tensor entry can be told apart.
  static std::optional<GgufImage> Parse(std::string_view bytes);

  // `lengths` gets the place of each 64-bit count and length.
  std::string Bytes(std::vector<size_t>* lengths = nullptr) const;

  // 32, or what general.alignment says where that is sensible.
  size_t Alignment() const;
  // Where the last tensor ends within `data`, by its shape and type. Nothing
  // where that overflows, or a type is unknown.
  std::optional<uint64_t> DataEnd() const;
  // Moves the tensors one behind the other.
  void PlaceTensors();

  Key* Find(std::string_view name);
};

}  // namespace ropewalk::fuzz

#endif  // FUZZ_GGUF_IMAGE_H_
