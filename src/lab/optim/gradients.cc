#include "lab/optim/gradients.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "lab/optim/fused.h"

namespace ropewalk::lab::optim {
namespace {

bool IsPlainFloat(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kFloat && tensor.device().is_cpu() &&
         tensor.is_contiguous();
}

at::Tensor SumOfSquaresThere(const at::Tensor& tensor) {
  return at::linalg_vector_norm(tensor, 2, c10::nullopt, false, at::kDouble)
      .square();
}

}  // namespace

double SumOfSquares(const at::Tensor& tensor) {
  const at::NoGradGuard no_grad;
  at::Tensor dense = tensor.detach();
  if (dense.layout() != at::kStrided) dense = dense.to_dense();
  if (IsPlainFloat(dense)) {
    return fused::SumSquares(dense.data_ptr<float>(), dense.numel());
  }
  if (dense.is_cuda()) return SumOfSquaresThere(dense).item<double>();
  return dense.to(at::kDouble).square().sum().item<double>();
}

std::vector<double> SumsOfSquares(const std::vector<at::Tensor>& tensors) {
  const at::NoGradGuard no_grad;
  const bool there =
      !tensors.empty() && std::ranges::all_of(tensors, [](const at::Tensor& t) {
        return t.is_cuda() && t.layout() == at::kStrided;
      });
  if (!there) {
    std::vector<double> sums;
    for (const at::Tensor& tensor : tensors)
      sums.push_back(SumOfSquares(tensor));
    return sums;
  }
  std::vector<at::Tensor> sums;
  for (const at::Tensor& tensor : tensors) {
    sums.push_back(SumOfSquaresThere(tensor.detach()));
  }
  const at::Tensor all = at::stack(sums).cpu();
  return {all.data_ptr<double>(), all.data_ptr<double>() + all.numel()};
}

double RootMeanSquare(const at::Tensor& tensor) {
  if (tensor.numel() == 0) return 0;
  return std::sqrt(SumOfSquares(tensor) / static_cast<double>(tensor.numel()));
}

at::Tensor RowsInUse(const at::Tensor& gradient) {
  const at::NoGradGuard no_grad;
  const at::Tensor dense = gradient.detach();
  if (!IsPlainFloat(dense)) return dense.ne(0).any(1);
  at::Tensor rows = at::empty({dense.size(0)}, at::kBool);
  fused::NonZeroRows(dense.data_ptr<float>(), dense.size(0), dense.size(1),
                     rows.data_ptr<bool>());
  return rows;
}

GradientReport ReportGradients(const std::vector<Parameter>& parameters,
                               double scale) {
  GradientReport report;
  std::vector<at::Tensor> gradients;
  std::vector<const Parameter*> owners;
  for (const Parameter& parameter : parameters) {
    const at::Tensor gradient = parameter.value.grad();
    if (!gradient.defined()) {
      ++report.missing;
      continue;
    }
    gradients.push_back(gradient);
    owners.push_back(&parameter);
  }
  const std::vector<double> squares = SumsOfSquares(gradients);
  double sum = 0;
  for (size_t i = 0; i < squares.size(); ++i) {
    if (std::isfinite(squares[i])) {
      sum += squares[i];
    } else if (++report.bad == 1) {
      report.first_bad = owners[i]->name;
    }
  }
  report.finite = report.bad == 0;
  report.norm = std::sqrt(sum) * std::abs(scale);
  return report;
}

double ClipScale(double norm, double max_norm) {
  Require(max_norm >= 0,
          "clip: max_norm must be at least 0, got " + std::to_string(max_norm));
  if (max_norm == 0 || !(norm > max_norm)) return 1;
  return max_norm / norm;
}

}  // namespace ropewalk::lab::optim
