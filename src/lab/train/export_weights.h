// The tensors of an exported file, made of those of the lab.

#ifndef ROPEWALK_LAB_TRAIN_EXPORT_WEIGHTS_H_
#define ROPEWALK_LAB_TRAIN_EXPORT_WEIGHTS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lab/train/export.h"

namespace ropewalk::lab::train {

// Computed when asked for, so that one copy is in memory at a time.
struct ExportTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::function<at::Tensor()> values;  // float32, contiguous
};

// In the order of the file. Throw std::invalid_argument when the lab's tensor
// is missing, of another shape, or not float32 on the CPU.
//
//   logn   the learned log n scales are written, where the model has them
std::vector<ExportTensor> GgufTensors(const LabModel& model, bool logn);
std::vector<ExportTensor> HuggingFaceTensors(const LabModel& model);

// The output matrix is the embedding, unchanged.
bool PlainTied(nn::Head head);

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_EXPORT_WEIGHTS_H_
