// Looking at gradients before a step: their norm, whether they are finite, and
// which rows of an embedding took part.
//
// Sums are taken in float64 over fixed blocks joined in order, so a norm is the
// same with any number of threads and cannot overflow in float32.

#ifndef ROPEWALK_LAB_OPTIM_GRADIENTS_H_
#define ROPEWALK_LAB_OPTIM_GRADIENTS_H_

#include <string>
#include <vector>

#include "lab/optim/optimizer.h"

namespace ropewalk::lab::optim {

struct GradientReport {
  bool finite = true;     // no NaN, no infinity anywhere
  double norm = 0;        // L2, over the parameters whose gradient is finite
  int64_t bad = 0;        // parameters whose gradient is not
  std::string first_bad;  // the name of the first of them
  int64_t missing = 0;    // parameters without a gradient
};

// `scale` multiplies the norm: 1 / accumulation for gradients that have piled
// up, the inverse of a loss scale.
GradientReport ReportGradients(const std::vector<Parameter>& parameters,
                               double scale = 1);

// The factor that brings `norm` to at most `max_norm`, for
// StepInput::gradient_scale; 1 where max_norm is 0 (no clipping).
double ClipScale(double norm, double max_norm);

// The sum of squares of any tensor. Infinite or NaN for a tensor of up to
// float32 exactly where an element is; NaN exactly where one is NaN.
double SumOfSquares(const at::Tensor& tensor);

// The same of several, with one wait where all of them are on a GPU.
std::vector<double> SumsOfSquares(const std::vector<at::Tensor>& tensors);

// sqrt of the mean of squares, 0 for an empty tensor.
double RootMeanSquare(const at::Tensor& tensor);

// bool [V]: rows of [V, E] that are not all zeros.
at::Tensor RowsInUse(const at::Tensor& gradient);

}  // namespace ropewalk::lab::optim

#endif  // ROPEWALK_LAB_OPTIM_GRADIENTS_H_
