#include "lab/flow/tensor_file.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/error.h"
#include "base/text.h"
#include "formats/safetensors.h"

namespace ropewalk::lab::flow {
namespace {

using formats::SafeType;

constexpr std::pair<at::ScalarType, SafeType> kTypes[] = {
    {at::kFloat, SafeType::kF32},
    {at::kDouble, SafeType::kF64},
    {at::kByte, SafeType::kU8}};

SafeType TypeOf(const at::Tensor& tensor) {
  for (const auto& [ours, stored] : kTypes) {
    if (tensor.scalar_type() == ours) return stored;
  }
  throw std::invalid_argument("tensor file: no way to store this type");
}

}  // namespace

const at::Tensor& TensorFile::Get(const std::string& name,
                                  const std::string& path) const {
  for (const auto& [known, tensor] : tensors) {
    if (known == name) return tensor;
  }
  throw FormatError(path, 0, "has no '" + Printable(name) + "'");
}

void WriteTensorFile(const std::string& path, const TensorFile& file) {
  formats::SafetensorsWriter writer(path);
  for (const auto& [key, text] : file.texts) writer.AddMetadata(key, text);
  for (const auto& [name, tensor] : file.tensors) {
    writer.AddTensor(name, TypeOf(tensor), tensor.sizes().vec());
  }
  for (const auto& [name, tensor] : file.tensors) {
    const at::Tensor here = tensor.detach().to(at::kCPU).contiguous();
    writer.WriteTensor(
        {static_cast<const std::byte*>(here.data_ptr()), here.nbytes()});
  }
  writer.Finish();
}

TensorFile ReadTensorFile(const std::string& path) {
  const formats::SafetensorsFile stored(path);
  stored.VerifyChecksum();
  TensorFile file;
  for (const auto& [key, text] : stored.metadata()) file.texts[key] = text;
  for (const formats::SafeTensor& one : stored.tensors()) {
    const auto* type =
        std::find_if(std::begin(kTypes), std::end(kTypes),
                     [&](const auto& pair) { return pair.second == one.type; });
    if (type == std::end(kTypes)) {
      throw FormatError(path, 0,
                        "tensor '" + Printable(one.name) +
                            "' has a type that no state of ours uses");
    }
    at::Tensor tensor = at::empty(one.shape, at::dtype(type->first));
    if (!one.bytes.empty()) {
      std::memcpy(tensor.data_ptr(), one.bytes.data(), one.bytes.size());
    }
    file.tensors.emplace_back(one.name, tensor);
  }
  return file;
}

}  // namespace ropewalk::lab::flow
