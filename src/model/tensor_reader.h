// Reads a model's tensors from its file one by one, checks each, and remembers
// which were read.

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

  // Throws a FormatError at the tensor: "tensor 'NAME' WHAT".
  [[noreturn]] void Fail(const formats::GgufTensor& tensor,
                         const std::string& what) const;

  // Returns null if the file has no such tensor.
  const formats::GgufTensor* Find(const std::string& name);

  // Throws the FormatError "tensor 'NAME' is missing".
  [[noreturn]] void FailMissing(const std::string& name) const;

  // The rows of a matrix; 0 if the file has no matrix of that name.
  int64_t RowsOf(const std::string& name) const;

  // These throw FormatError if the tensor is missing, has another shape, or is
  // of a type that the kernels cannot read. Vectors must not be of block types.
  kernels::Matrix Matrix(const std::string& name, int64_t rows,
                         int64_t columns);
  AlignedBuffer<float> Vector(const std::string& name, int64_t size);
  // Reads [rows, columns] as floats.
  AlignedBuffer<float> Table(const std::string& name, int64_t rows,
                             int64_t columns);
  // These return an empty buffer if the tensor is missing.
  AlignedBuffer<float> OptionalVector(const std::string& name, int64_t size);
  AlignedBuffer<float> OptionalTable(const std::string& name, int64_t rows,
                                     int64_t columns);
  // Reads [count, rows, columns] as `count` matrices.
  std::vector<kernels::Matrix> Stack(const std::string& name, int64_t count,
                                     int64_t rows, int64_t columns);
  // Reads [1, columns], which some files write as [columns].
  kernels::Matrix RowMatrix(const std::string& name, int64_t columns);

  // Returns memory that lives as long as the model, for reordered rows.
  uint8_t* NewStorage(int64_t bytes);

  // Throws FormatError for a tensor that was not read, since the computation
  // would silently leave it out (an expert, a norm of another architecture).
  // Biases of zeros are allowed.
  void RequireAllTaken() const;

 private:
  const formats::GgufTensor& Get(const std::string& name,
                                 const std::vector<int64_t>& shape);
  AlignedBuffer<float> Floats(const std::string& name,
                              const std::vector<int64_t>& shape);
  // The tensor's bytes in one place: as they lie, or copied together.
  const void* Together(const formats::GgufTensor& tensor);

  const formats::GgufFile& file_;
  std::vector<AlignedBuffer<uint8_t>>& storage_;
  std::set<std::string> taken_;
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_TENSOR_READER_H_
