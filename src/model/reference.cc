#include "model/reference.h"

#include "attention/reference.h"
#include "kernels/reference/blocks.h"
#include "kernels/reference/reference.h"

namespace ropewalk::model {
namespace {

using Doubles = std::vector<double>;

Doubles Row(const kernels::Matrix& matrix, int64_t r) {
  std::vector<float> row(static_cast<size_t>(matrix.columns));
  kernels::UnpackRow(matrix.type, matrix.Row(r), matrix.columns, row.data());
  return {row.begin(), row.end()};
}

// y[t, r] = sum_c x[t, c] W[r, c]
Doubles Multiply(const Doubles& x, const kernels::Matrix& matrix) {
  const auto columns = static_cast<size_t>(matrix.columns);
  const auto rows = static_cast<size_t>(matrix.rows);
  const size_t T = x.size() / columns;
  Doubles y(T * rows);
  for (size_t r = 0; r < rows; ++r) {
    const Doubles row = Row(matrix, static_cast<int64_t>(r));
    for (size_t t = 0; t < T; ++t) {
      for (size_t c = 0; c < columns; ++c) {
        y[t * rows + r] += x[t * columns + c] * row[c];
      }
    }
  }
  return y;
}

Doubles Normalise(const Doubles& x, const AlignedBuffer<float>& weight,
                  double epsilon) {
  const Doubles w(weight.data(), weight.data() + weight.size());
  Doubles y(x.size());
  for (size_t at = 0; at < x.size(); at += w.size()) {
    kernels::reference::RmsNorm(x.data() + at, w.data(), epsilon, weight.size(),
                                y.data() + at);
  }
  return y;
}

void AddTo(Doubles& x, const Doubles& y) {
  for (size_t at = 0; at < x.size(); ++at) x[at] += y[at];
}

}  // namespace

std::vector<double> ReferenceLogits(const LlamaModel& model,
                                    const position::Stack& stack,
                                    std::span<const Token> tokens) {
  const Config& config = model.config();
  Doubles x;
  for (const Token token : tokens) {
    const Doubles row = Row(model.embedding(), token);
    x.insert(x.end(), row.begin(), row.end());
  }
  for (size_t l = 0; l < stack.size(); ++l) {
    const LayerWeights& w = model.layers()[l];
    const Doubles normed = Normalise(x, w.attention_norm, config.rms_epsilon);
    const bool learned =
        stack[l].scale.kind == position::ScoreScale::Kind::kLearned;
    const Doubles scales =
        learned ? Doubles(w.logn_scale.data(),
                          w.logn_scale.data() + w.logn_scale.size())
                : Doubles();
    const Doubles attended = attention::ReferenceAttention(
        stack[l], config.heads, Multiply(normed, w.query),
        Multiply(normed, w.key), Multiply(normed, w.value), scales);
    AddTo(x, Multiply(attended, w.attention_output));
    const Doubles fed = Normalise(x, w.feed_norm, config.rms_epsilon);
    const Doubles gate = Multiply(fed, w.gate);
    const Doubles up = Multiply(fed, w.up);
    Doubles gated(gate.size());
    kernels::reference::SwiGlu(gate.data(), up.data(),
                               static_cast<int64_t>(gate.size()), gated.data());
    AddTo(x, Multiply(gated, w.down));
  }
  return Multiply(Normalise(x, model.output_norm(), config.rms_epsilon),
                  model.output());
}

}  // namespace ropewalk::model
