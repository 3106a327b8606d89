// Takes a model's tensors out of its file one by one, checks each, and
// remembers which were taken.

#ifndef ROPEWALK_MODEL_TENSOR_READER_H_
#define ROPEWALK_MODEL_TENSOR_READER_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "formats/gguf.h"
#include "kernels/matmul.h"

namespace ropewalk::model {

// Borrows `file` and `storage`; matrices point into them.
class TensorReader {
 public:
  TensorReader(const formats::GgufFile& file,
               std::vector<AlignedBuffer<uint8_t>>& storage)
      : file_(file), storage_(storage) {}

  // A FormatError at the tensor: "tensor 'NAME' WHAT".
  [[noreturn]] void Fail(const formats::GgufTensor& tensor,
                         const std::string& what) const;

  // Nothing when the file has no such tensor.
  const formats::GgufTensor* Find(const std::string& name);

  // "tensor 'NAME' is missing"
  [[noreturn]] void FailMissing(const std::string& name) const;

  // Rows of a matrix; 0 when the file has none of that name.
  int64_t RowsOf(const std::string& name) const;

  // These throw FormatError when the tensor is missing, has another shape, or
  // is of a type that the kernels cannot read; vectors, also of block types.
  kernels::Matrix Matrix(const std::string& name, int64_t rows,
                         int64_t columns);
  AlignedBuffer<float> Vector(const std::string& name, int64_t size);
  // [rows, columns] as floats.
  AlignedBuffer<float> Table(const std::string& name, int64_t rows,
                             int64_t columns);
  // Empty when missing.
  AlignedBuffer<float> OptionalVector(const std::string& name, int64_t size);
  AlignedBuffer<float> OptionalTable(const std::string& name, int64_t rows,
                                     int64_t columns);
  // [count, rows, columns], as one matrix of count * rows rows.
  kernels::Matrix Stack(const std::string& name, int64_t count, int64_t rows,
                        int64_t columns);
  // [1, columns], which files also write as [columns].
  kernels::Matrix RowMatrix(const std::string& name, int64_t columns);

  // Memory that lives as long as the model, for rows that must be moved.
  uint8_t* NewStorage(int64_t bytes);

  // A tensor that nobody asked for would be left out of the computation
  // without a word: experts, norms of another family. Biases of zeros are let
  // through.
  void RequireAllTaken() const;

 private:
  const formats::GgufTensor& Get(const std::string& name,
                                 const std::vector<int64_t>& shape);
  AlignedBuffer<float> Floats(const std::string& name,
                              const std::vector<int64_t>& shape);

  const formats::GgufFile& file_;
  std::vector<AlignedBuffer<uint8_t>>& storage_;
  std::set<std::string> taken_;
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_TENSOR_READER_H_
