#include "formats/gguf_writer.h"

#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "formats/gguf.h"

namespace ropewalk::formats {
namespace {

template <typename T>
void Append(T value, std::string* out) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(T));
}

void AppendString(std::string_view text, std::string* out) {
  Append<uint64_t>(text.size(), out);
  out->append(text);
}

void AppendValue(const MetadataValue& value, std::string* out) {
  Append(static_cast<uint32_t>(value.type), out);
  if (value.type == GgufType::kString) {
    AppendString(value.bytes, out);
    return;
  }
  if (value.type == GgufType::kArray) {
    Append(static_cast<uint32_t>(value.element_type), out);
    Append(static_cast<uint64_t>(value.count), out);
    for (const std::string_view text : value.strings) AppendString(text, out);
  }
  out->append(value.bytes);
}

int64_t CheckedAlignment(const Metadata& metadata) {
  const int64_t alignment =
      metadata.FindInt("general.alignment").value_or(kGgufDefaultAlignment);
  Require(alignment >= kGgufMinAlignment && alignment <= kGgufMaxAlignment &&
              (alignment & (alignment - 1)) == 0,
          "general.alignment must be a power of two from 8 to 65536, got " +
              std::to_string(alignment));
  return alignment;
}

int64_t RoundUp(int64_t value, int64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace

GgufWriter::GgufWriter(const std::string& path, Metadata metadata)
    : file_(path),
      metadata_(std::move(metadata)),
      alignment_(CheckedAlignment(metadata_)) {}

void GgufWriter::AddTensor(const std::string& name, DType type,
                           std::vector<int64_t> shape) {
  AddTensor(name, GgmlTypeOf(type).name, std::move(shape));
}

void GgufWriter::AddTensor(const std::string& name, std::string_view type_name,
                           std::vector<int64_t> shape) {
  const std::string label = "AddTensor: tensor '" + Printable(name) + "'";
  Require(!header_written_, label + " comes after the first WriteTensor");
  Require(!name.empty(), "AddTensor: a tensor's name must not be empty");
  const GgmlType* type = FindGgmlType(type_name);
  Require(type != nullptr,
          label + " has the unknown type '" + Printable(type_name) + "'");
  Require(!shape.empty() &&
              static_cast<int64_t>(shape.size()) <= kGgufMaxDimensions,
          label + " must have 1 to 4 dimensions, got " +
              std::to_string(shape.size()));
  int64_t elements = 1;
  for (const int64_t size : shape) {
    Require(size > 0 && !__builtin_mul_overflow(elements, size, &elements),
            label +
                ": dimensions must be above 0 and their product below "
                "2^63, got " +
                std::to_string(size));
  }
  Require(shape.back() % type->block_elements == 0,
          label + ": rows of " + std::to_string(shape.back()) +
              " elements are not whole " + std::string(type->name) +
              " blocks of " + std::to_string(type->block_elements));
  int64_t bytes = 0;
  Require(!__builtin_mul_overflow(elements / type->block_elements,
                                  type->block_bytes, &bytes),
          label + " has more than 2^63 bytes");
  Require(names_.insert(name).second, label + " is declared twice");
  tensors_.push_back({name, type, std::move(shape), bytes});
}

void GgufWriter::WriteTensor(std::span<const std::byte> bytes) {
  if (!header_written_) WriteHeader();
  Require(written_ < tensors_.size(), "WriteTensor: all " +
                                          std::to_string(tensors_.size()) +
                                          " declared tensors are written");
  const Declared& tensor = tensors_[written_];
  Require(static_cast<int64_t>(bytes.size()) == tensor.bytes,
          "WriteTensor: tensor '" + Printable(tensor.name) + "' has " +
              std::to_string(tensor.bytes) + " bytes, got " +
              std::to_string(bytes.size()));
  file_.Write(std::string_view(reinterpret_cast<const char*>(bytes.data()),
                               bytes.size()));
  // Also after the last tensor, because some readers map whole blocks.
  WritePadding();
  ++written_;
}

void GgufWriter::Finish() {
  if (!header_written_) WriteHeader();
  Require(written_ == tensors_.size(),
          "Finish: " + std::to_string(written_) + " of " +
              std::to_string(tensors_.size()) + " tensors are written");
  file_.Commit();
}

void GgufWriter::WriteHeader() {
  std::string header(kGgufMagic);
  Append<uint32_t>(3, &header);
  Append<uint64_t>(tensors_.size(), &header);
  Append<uint64_t>(metadata_.entries().size(), &header);
  for (const Metadata::Entry& entry : metadata_.entries()) {
    AppendString(entry.key, &header);
    AppendValue(entry.value, &header);
  }
  int64_t offset = 0;
  for (const Declared& tensor : tensors_) {
    AppendString(tensor.name, &header);
    Append(static_cast<uint32_t>(tensor.shape.size()), &header);
    for (size_t i = tensor.shape.size(); i-- > 0;) {
      Append(static_cast<uint64_t>(tensor.shape[i]), &header);
    }
    Append(tensor.type->id, &header);
    Append(static_cast<uint64_t>(offset), &header);
    offset = RoundUp(offset + tensor.bytes, alignment_);
  }
  file_.Write(header);
  header_written_ = true;
  if (!tensors_.empty()) WritePadding();
}

void GgufWriter::WritePadding() {
  const int64_t bytes = file_.bytes_written();
  const int64_t padding = RoundUp(bytes, alignment_) - bytes;
  file_.Write(std::string(static_cast<size_t>(padding), '\0'));
}

}  // namespace ropewalk::formats
