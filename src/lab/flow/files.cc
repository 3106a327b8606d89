#include "lab/flow/files.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "formats/text_file.h"
#include "lab/flow/networks.h"

namespace ropewalk::lab::flow {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSeparators = " \t,;\r";

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const size_t begin = line.find_first_not_of(kSeparators);
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    const size_t end = std::min(line.find_first_of(kSeparators), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

bool HasNumber(const std::vector<std::string_view>& words) {
  for (const std::string_view word : words) {
    if (ParseNumber(word)) return true;
    // Numbers that are none: a point that must be refused, and no header.
    std::string small(word);
    for (char& c : small) c = static_cast<char>(std::tolower(c));
    for (const char* none : {"nan", "+nan", "-nan", "inf", "+inf", "-inf"}) {
      if (small == none) return true;
    }
  }
  return false;
}

// An IDX file: its sizes, and where its bytes begin.
struct Idx {
  std::string bytes;
  std::vector<int64_t> sizes;
  size_t begin = 0;
};

// Two zero bytes, the type (8: bytes), the number of dimensions, their sizes as
// big-endian 32-bit numbers, the data.
Idx ReadIdx(const std::string& path, int64_t dimensions) {
  Idx idx{.bytes = formats::ReadTextFile(path)};
  const auto byte = [&](size_t i) {
    return static_cast<uint64_t>(static_cast<unsigned char>(idx.bytes[i]));
  };
  idx.begin = 4 + 4 * static_cast<size_t>(dimensions);
  if (idx.bytes.size() < 4 || byte(0) != 0 || byte(1) != 0 || byte(2) != 8 ||
      byte(3) != static_cast<uint64_t>(dimensions)) {
    throw FormatError(path, 0,
                      "is no IDX file of bytes in " +
                          std::to_string(dimensions) + " dimension" +
                          (dimensions == 1 ? "" : "s"));
  }
  if (idx.bytes.size() < idx.begin) {
    throw FormatError(path, static_cast<int64_t>(idx.bytes.size()),
                      "ends inside its header (interrupted download?)");
  }
  // Of bytes that are there, so the product is checked as it grows.
  const uint64_t room = idx.bytes.size() - idx.begin;
  uint64_t expected = 1;
  for (int64_t d = 0; d < dimensions; ++d) {
    uint64_t size = 0;
    for (size_t i = 0; i < 4; ++i) {
      size = size << 8 | byte(4 + 4 * static_cast<size_t>(d) + i);
    }
    if (size == 0) {
      throw FormatError(path, 4 + 4 * d, "has a dimension of size 0");
    }
    idx.sizes.push_back(static_cast<int64_t>(size));
    expected = expected > room / size ? room + 1 : expected * size;
  }
  if (expected > room) {
    throw FormatError(path, static_cast<int64_t>(idx.bytes.size()),
                      "is shorter than its header says (interrupted "
                      "download?)");
  }
  if (expected < room) {
    throw FormatError(path, static_cast<int64_t>(idx.begin + expected),
                      "is longer than its header says");
  }
  return idx;
}

at::Tensor BytesOf(const Idx& idx) {
  at::Tensor tensor = at::empty(idx.sizes, at::kByte);
  std::memcpy(tensor.data_ptr(), idx.bytes.data() + idx.begin,
              idx.bytes.size() - idx.begin);
  return tensor;
}

// "28x28", of sizes [H, W].
std::string SizeText(at::IntArrayRef sizes) {
  return std::to_string(sizes[0]) + "x" + std::to_string(sizes[1]);
}

LabelledImages ReadLabelled(const fs::path& folder, const std::string& prefix) {
  const std::string images = (folder / (prefix + "-images-idx3-ubyte.gz"));
  const std::string labels = (folder / (prefix + "-labels-idx1-ubyte.gz"));
  LabelledImages set{.images = ReadImages({images}),
                     .labels = ReadLabels(labels)};
  if (set.images.size(0) != set.labels.size(0)) {
    throw FormatError(labels, 0,
                      "has " + std::to_string(set.labels.size(0)) +
                          " labels for " + std::to_string(set.images.size(0)) +
                          " images");
  }
  if (set.images.size(1) != kImageSide || set.images.size(2) != kImageSide) {
    throw FormatError(images, 8,
                      "has images of " + SizeText(set.images.sizes().slice(1)) +
                          "; Fashion-MNIST has 28x28");
  }
  const auto most = set.labels.max().item<int64_t>();
  if (most > 9) {
    throw FormatError(
        labels, 8,
        "has the label " + std::to_string(most) + "; Fashion-MNIST has 0 to 9");
  }
  set.images = ToPixels(set.images);
  return set;
}

}  // namespace

at::Tensor ReadPoints(const std::string& path, int64_t D) {
  const std::string text = formats::ReadTextFile(path);
  std::vector<float> flat;
  int64_t line_number = 0;
  int64_t points = 0;
  size_t begin = 0;
  bool may_be_header = true;
  while (begin < text.size()) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line(text.data() + begin, end - begin);
    const auto offset = static_cast<int64_t>(begin);
    begin = end + 1;
    ++line_number;
    const auto words = Words(line);
    if (words.empty() || words.front().starts_with('#')) continue;
    if (may_be_header && !HasNumber(words)) {
      may_be_header = false;
      continue;
    }
    may_be_header = false;
    const std::string where = "line " + std::to_string(line_number) + ": ";
    if (D == 0) D = static_cast<int64_t>(words.size());
    if (static_cast<int64_t>(words.size()) != D) {
      throw FormatError(path, offset,
                        where + "a point of " + std::to_string(words.size()) +
                            " coordinates, expected " + std::to_string(D));
    }
    for (const std::string_view word : words) {
      const auto number = ParseNumber(word);
      // What is finite as float64 and not as float32 is no coordinate either.
      if (!number || !(std::abs(*number) < 1e30)) {
        throw FormatError(
            path, offset,
            where + "'" + Printable(word, 20) + "' is no finite number");
      }
      flat.push_back(static_cast<float>(*number));
    }
    ++points;
  }
  if (points < 2) {
    throw FormatError(path, 0,
                      "has " + std::to_string(points) +
                          " points; a target needs two or more");
  }
  return at::tensor(flat, at::kFloat).view({points, D});
}

at::Tensor ReadImages(const std::vector<std::string>& paths) {
  Require(!paths.empty(), "images: no file");
  std::vector<at::Tensor> parts;
  for (const std::string& path : paths) {
    parts.push_back(BytesOf(ReadIdx(path, 3)));
    const auto size = parts.back().sizes().slice(1);
    const auto first = parts.front().sizes().slice(1);
    if (size != first) {
      throw FormatError(path, 8,
                        "has images of " + SizeText(size) +
                            ", those before it have " + SizeText(first));
    }
  }
  return at::cat(parts);
}

at::Tensor ToPixels(const at::Tensor& bytes) {
  Require(
      bytes.dim() == 3 && bytes.scalar_type() == at::kByte && bytes.numel() > 0,
      "images: pixels are made of bytes [N, H, W]");
  return (bytes.to(at::kFloat) / 127.5 - 1).unsqueeze(1);
}

at::Tensor ReadLabels(const std::string& path) {
  return BytesOf(ReadIdx(path, 1)).to(at::kLong);
}

ImageSet ReadFashionMnist() {
  const char* named = std::getenv("ROPEWALK_FASHION_MNIST");
  const fs::path folder =
      named != nullptr ? named : "/usr/share/datasets/fashion-mnist";
  if (!fs::is_directory(folder)) {
    throw IoError(
        "no Fashion-MNIST here: install the package dataset-fashion-mnist, or "
        "set ROPEWALK_FASHION_MNIST to the folder of its four files");
  }
  return {.train = ReadLabelled(folder, "train"),
          .test = ReadLabelled(folder, "t10k")};
}

}  // namespace ropewalk::lab::flow
