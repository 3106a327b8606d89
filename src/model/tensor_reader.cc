#include "model/tensor_reader.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "base/error.h"
#include "formats/ggml_types.h"
#include "kernels/blocks.h"

namespace ropewalk::model {
namespace {

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  }
  return text + "]";
}

bool IsZeroBias(const formats::GgufTensor& tensor) {
  bool zero = tensor.name.ends_with(".bias");
  tensor.ForPieces([&](std::span<const std::byte> piece) {
    zero = zero && std::all_of(piece.begin(), piece.end(), [](std::byte byte) {
             return byte == std::byte{0};
           });
  });
  return zero;
}

}  // namespace

void TensorReader::Fail(const formats::GgufTensor& tensor,
                        const std::string& what) const {
  throw FormatError(tensor.path, tensor.file_offset,
                    "tensor '" + tensor.name + "' " + what);
}

const formats::GgufTensor* TensorReader::Find(const std::string& name) {
  const formats::GgufTensor* tensor = file_.Find(name);
  if (tensor != nullptr) taken_.insert(tensor->name);
  return tensor;
}

void TensorReader::FailMissing(const std::string& name) const {
  throw FormatError(file_.path(), 0, "tensor '" + name + "' is missing");
}

int64_t TensorReader::RowsOf(const std::string& name) const {
  const formats::GgufTensor* tensor = file_.Find(name);
  return tensor == nullptr || tensor->shape.size() != 2 ? 0
                                                        : tensor->shape.front();
}

const formats::GgufTensor& TensorReader::Get(
    const std::string& name, const std::vector<int64_t>& shape) {
  const formats::GgufTensor* tensor = Find(name);
  if (tensor == nullptr) FailMissing(name);
  if (tensor->shape != shape) {
    Fail(*tensor, "has the shape " + ShapeText(tensor->shape) + ", expected " +
                      ShapeText(shape));
  }
  if (!tensor->type) {
    Fail(*tensor, formats::UnreadType(tensor->type_name));
  }
  return *tensor;
}

kernels::Matrix TensorReader::Matrix(const std::string& name, int64_t rows,
                                     int64_t columns) {
  const formats::GgufTensor& tensor = Get(name, {rows, columns});
  return {*tensor.type, Together(tensor), rows, columns};
}

const void* TensorReader::Together(const formats::GgufTensor& tensor) {
  if (tensor.pieces.empty()) return tensor.bytes.data();
  uint8_t* copy = NewStorage(tensor.ByteSize());
  uint8_t* to = copy;
  for (const auto& piece : tensor.pieces) {
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
  }
  return copy;
}

AlignedBuffer<float> TensorReader::Floats(const std::string& name,
                                          const std::vector<int64_t>& shape) {
  const formats::GgufTensor& tensor = Get(name, shape);
  if (InfoOf(*tensor.type).block_elements != 1) {
    Fail(tensor, "is of type " + tensor.type_name + ", expected plain floats");
  }
  AlignedBuffer<float> out(tensor.Elements());
  kernels::UnpackRow(*tensor.type, Together(tensor), out.size(), out.data());
  return out;
}

AlignedBuffer<float> TensorReader::Vector(const std::string& name,
                                          int64_t size) {
  return Floats(name, {size});
}

AlignedBuffer<float> TensorReader::Table(const std::string& name, int64_t rows,
                                         int64_t columns) {
  return Floats(name, {rows, columns});
}

AlignedBuffer<float> TensorReader::OptionalTable(const std::string& name,
                                                 int64_t rows,
                                                 int64_t columns) {
  if (file_.Find(name) == nullptr) return {};
  return Table(name, rows, columns);
}

std::vector<kernels::Matrix> TensorReader::Stack(const std::string& name,
                                                 int64_t count, int64_t rows,
                                                 int64_t columns) {
  const formats::GgufTensor& tensor = Get(name, {count, rows, columns});
  std::vector<kernels::Matrix> matrices;
  if (static_cast<int64_t>(tensor.pieces.size()) == count) {
    for (const auto& piece : tensor.pieces) {
      matrices.push_back({*tensor.type, piece.data(), rows, columns});
    }
    return matrices;
  }
  const kernels::Matrix all{*tensor.type, Together(tensor), count * rows,
                            columns};
  for (int64_t m = 0; m < count; ++m) {
    matrices.push_back({all.type, all.Row(m * rows), rows, columns});
  }
  return matrices;
}

kernels::Matrix TensorReader::RowMatrix(const std::string& name,
                                        int64_t columns) {
  const formats::GgufTensor* found = Find(name);
  const bool flat = found != nullptr && found->shape.size() == 1;
  const formats::GgufTensor& tensor =
      Get(name, flat ? std::vector<int64_t>{columns}
                     : std::vector<int64_t>{1, columns});
  return {*tensor.type, Together(tensor), 1, columns};
}

AlignedBuffer<float> TensorReader::OptionalVector(const std::string& name,
                                                  int64_t size) {
  if (file_.Find(name) == nullptr) return {};
  return Vector(name, size);
}

uint8_t* TensorReader::NewStorage(int64_t bytes) {
  return storage_.emplace_back(bytes).data();
}

void TensorReader::RequireAllTaken() const {
  for (const formats::GgufTensor& tensor : file_.tensors()) {
    if (taken_.count(tensor.name) == 0 && !IsZeroBias(tensor)) {
      Fail(tensor, "is not part of the models that this build computes");
    }
  }
}

}  // namespace ropewalk::model
