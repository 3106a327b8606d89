// A forward pass in progress, for forward.cc (slices, memory, logits) and
// pass_layers.cc (what the layers compute).

#ifndef ROPEWALK_MODEL_PASS_H_
#define ROPEWALK_MODEL_PASS_H_

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "attention/serving/rotation_tables.h"
#include "base/parallel.h"
#include "kernels/cpu/kernels.h"
#include "kernels/matmul.h"
#include "model/forward.h"
#include "model/model.h"
#include "model/workspace.h"

namespace ropewalk::model {

// The rows of elementwise work in one task.
inline constexpr int64_t kRowsPerTask = 8;

template <typename Body>
void ForRows(int64_t rows, ParallelFor& threads, const Body& body) {
  threads.Run((rows + kRowsPerTask - 1) / kRowsPerTask,
              [&](int64_t task, int64_t) {
                const int64_t end = std::min(rows, (task + 1) * kRowsPerTask);
                for (int64_t r = task * kRowsPerTask; r < end; ++r) body(r);
              });
}

// A slice and the rows of the pass that hold its tokens.
struct Placed {
  const Slice* slice = nullptr;
  int64_t index = 0;  // of the slice in the pass
  int64_t row = 0;    // of the slice's first token
  attention::RotationTables* tables = nullptr;

  int64_t T() const { return static_cast<int64_t>(slice->tokens.size()); }
};

// One pass; its buffers are those of the workspace.
class Pass {
 public:
  Pass(const Model& model, Workspace& workspace)
      : model_(model), w_(workspace), threads_(workspace.threads()) {}

  void Run(std::span<const Slice> slices);
  std::span<const float> Logits(int64_t first, int64_t rows);

 private:
  void Check(std::span<const Slice> slices) const;
  // Takes the memory for all tokens; if that fails, gives back what it took.
  void Prepare(std::span<const Slice> slices) const;
  // Gives each slice its rows; slices of few tokens come before the others.
  void Place(std::span<const Slice> slices);
  void Reserve();
  void Embed();
  // hidden <- the layer's output.
  void Apply(int64_t l);
  // branch <- the attention part of layer l with the input x, projected.
  void Attend(int64_t l, const float* x);
  // Shows the inputs of attention to the probe.
  void Show(int64_t l, const float* logn_scale) const;
  // attended <- attention of each slice under its own plan.
  void AttendSlices(int64_t l);
  // queries, keys, values <- the projections of x, not rotated.
  void ProjectHeads(const Attention& layer, const float* x);
  // The same through a latent vector.
  void ProjectLatent(const Attention& layer, const float* x);
  // Returns the outputs of the heads, made from what attention gave.
  const float* RaiseLatent(const Attention& layer);
  // y <- the product of one head's columns [width] of x, at every `stride`, and
  // `weights`, put at every `y_stride`.
  void MultiplyHead(const Linear& weights, const float* x, int64_t stride,
                    float* y, int64_t y_stride);
  // y <- the feed-forward of x.
  void Feed(const FeedForward& feed, const float* x, kernels::BatchRows batch,
            float* y);
  void Feed(const Experts& experts, const float* x, float* y);
  // Bounds gate and up, of `size` elements each, as feed.limit says.
  void Limit(const FeedForward& feed, int64_t size);
  // One projection of x, or several, which then share its 8-bit form.
  struct Projection {
    const Linear* linear = nullptr;  // may not exist
    float* y = nullptr;
  };
  void Project(const float* x, kernels::BatchRows batch,
               std::initializer_list<Projection> projections);
  // y <- norm of x, in rows of norm.width; y may be x. Does nothing if the norm
  // does not exist.
  void Normalise(const Norm& norm, const float* x, int64_t rows, float* y);
  // Returns the norm of x, in normed, or x itself if the norm does not exist.
  const float* Normed(const Norm& norm, const float* x, int64_t rows);
  // y <- act(x) * factor, elementwise; y may be x. `stride` is the distance of
  // rows in `factor`; 0 uses one row of factors for all rows.
  void Gate(kernels::Activation activation, const float* x, const float* factor,
            int64_t stride, int64_t width, int64_t rows, float* y);
  void AddBranch(float scale);
  // Keeps the hidden states whose logits are wanted.
  void KeepWanted(std::span<const Slice> slices);

  const Model& model_;
  Workspace& w_;
  ParallelFor& threads_;
  std::vector<Placed> placed_;  // in the order of rows
  kernels::BatchRows batch_;
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_PASS_H_
