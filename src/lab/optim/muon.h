// Muon (Jordan 2024): momentum whose matrix is brought close to orthogonal
// before it is applied. For the hidden matrices alone; embeddings, the output
// head, gains and biases belong to another group of a HybridOptimizer.
//
// The orthogonal step of a [rows, columns] matrix is 0.2 sqrt(max(rows,
// columns)) large: RMS 0.2, as AdamW's updates have, so its learning rate and
// decay carry over (arXiv 2502.16982).
//
// A fused projection (queries, keys and values in one matrix) is
// orthogonalised as the one matrix that it is.

#ifndef ROPEWALK_LAB_OPTIM_MUON_H_
#define ROPEWALK_LAB_OPTIM_MUON_H_

#include <vector>

#include "lab/ops/product.h"
#include "lab/optim/parameterwise.h"

namespace ropewalk::lab::optim {

struct MuonOptions {
  CommonOptions common;
  double momentum = 0.95;
  bool nesterov = true;
  int64_t iterations = 5;                            // of Newton and Schulz
  ops::Precision precision = ops::Precision::kFull;  // of its products
};

class Muon : public ParameterwiseOptimizer {
 public:
  // Throws std::invalid_argument unless every parameter is a kMatrix [.., ..].
  Muon(std::vector<Parameter> parameters, const MuonOptions& muon_options);

 protected:
  void Apply(const Update& update) override;
  void Finish() override;

 private:
  // A matrix on a GPU, whose step waits for the others of its shape.
  struct Pending {
    at::Tensor value;
    at::Tensor direction;
    double rate = 0;
    double shrink = 1;
  };

  void Move(const Pending& step, const at::Tensor& direction) const;

  MuonOptions muon_;
  std::vector<Pending> pending_;
};

// U V^T of the singular value decomposition, nearly: the singular values land
// between about 0.7 and 1.2, because the quintic's coefficients (3.4445,
// -4.7750, 2.0315) are those that lift small ones fastest. Zeros stay zeros.
// `matrix` is float32 or float64. Under kBf16 the operands of the iteration's
// products are rounded, as the original's are; what they are added to is not.
at::Tensor Orthogonalize(const at::Tensor& matrix, int64_t iterations = 5,
                         ops::Precision precision = ops::Precision::kFull);

// The same of each of [n, rows, columns], all at once: on a GPU one small
// matrix after the other takes longer to ask for than to do.
at::Tensor OrthogonalizeEach(const at::Tensor& matrices, int64_t iterations = 5,
                             ops::Precision precision = ops::Precision::kFull);

}  // namespace ropewalk::lab::optim

#endif  // ROPEWALK_LAB_OPTIM_MUON_H_
