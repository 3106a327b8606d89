#include "lab/flow/png.h"

#include <zlib.h>

#include <cstdint>

#include "base/base64.h"
#include "base/error.h"

namespace ropewalk::lab::flow {
namespace {

void AddNumber(uint32_t value, std::string* out) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    *out += static_cast<char>(value >> shift & 255);
  }
}

// Length, name, data, and the checksum of name and data.
void AddChunk(const std::string& name, const std::string& data,
              std::string* out) {
  AddNumber(static_cast<uint32_t>(data.size()), out);
  const std::string checked = name + data;
  *out += checked;
  AddNumber(static_cast<uint32_t>(
                crc32(0, reinterpret_cast<const Bytef*>(checked.data()),
                      static_cast<uInt>(checked.size()))),
            out);
}

}  // namespace

std::string ToPng(const at::Tensor& pixels) {
  Require(pixels.scalar_type() == at::kByte && pixels.numel() > 0 &&
              (pixels.dim() == 2 || (pixels.dim() == 3 && pixels.size(2) == 3)),
          "png: pixels are uint8, [H, W] or [H, W, 3]");
  const at::Tensor flat = pixels.to(at::kCPU).contiguous();
  const auto* bytes = static_cast<const char*>(flat.data_ptr());
  const auto rows = static_cast<size_t>(pixels.size(0));
  const auto row_bytes = static_cast<size_t>(pixels.numel()) / rows;
  std::string raw;
  for (size_t row = 0; row < rows; ++row) {
    raw += '\0';  // this row is stored as it is
    raw.append(bytes + row * row_bytes, row_bytes);
  }
  uLongf packed_size = compressBound(raw.size());
  std::string packed(packed_size, '\0');
  const int status =
      compress2(reinterpret_cast<Bytef*>(packed.data()), &packed_size,
                reinterpret_cast<const Bytef*>(raw.data()), raw.size(),
                Z_BEST_COMPRESSION);
  ROPEWALK_CHECK(status == Z_OK);
  packed.resize(packed_size);
  std::string header;
  AddNumber(static_cast<uint32_t>(pixels.size(1)), &header);
  AddNumber(static_cast<uint32_t>(pixels.size(0)), &header);
  header += '\x08';                               // bits a channel
  header += pixels.dim() == 2 ? '\x00' : '\x02';  // grey, or colours
  header += std::string(3, '\0');  // deflate, plain filters, not interlaced
  std::string out = "\x89PNG\r\n\x1a\n";
  AddChunk("IHDR", header, &out);
  AddChunk("IDAT", packed, &out);
  AddChunk("IEND", "", &out);
  return out;
}

std::string PngUri(const at::Tensor& pixels) {
  return "data:image/png;base64," + EncodeBase64(ToPng(pixels));
}

}  // namespace ropewalk::lab::flow
