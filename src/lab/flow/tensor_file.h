// Named tensors and texts in one safetensors file with a checksum: the states
// of runs, and the particles that pictures are drawn from.

#ifndef ROPEWALK_LAB_FLOW_TENSOR_FILE_H_
#define ROPEWALK_LAB_FLOW_TENSOR_FILE_H_

#include <ATen/ATen.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace ropewalk::lab::flow {

struct TensorFile {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  std::map<std::string, std::string> texts;

  // Throws FormatError with `path` where there is none of the name.
  const at::Tensor& Get(const std::string& name, const std::string& path) const;
};

// Float32, float64 and uint8, from any device. Whole or not at all. Throws
// IoError, std::invalid_argument for another type.
void WriteTensorFile(const std::string& path, const TensorFile& file);

// On the CPU. Throws IoError, and FormatError for a file that is cut or
// changed.
TensorFile ReadTensorFile(const std::string& path);

}  // namespace ropewalk::lab::flow

#endif  // ROPEWALK_LAB_FLOW_TENSOR_FILE_H_
