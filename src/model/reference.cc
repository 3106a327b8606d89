#include "model/reference.h"

#include "attention/reference.h"
#include "kernels/blocks.h"
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

Doubles Vector(const AlignedBuffer<float>& x) {
  return {x.data(), x.data() + x.size()};
}

// Every row of x by its root mean square, times the weight.
Doubles Normalise(const Doubles& x, const Doubles& weight, double epsilon) {
  Doubles y(x.size());
  for (size_t at = 0; at < x.size(); at += weight.size()) {
    kernels::reference::RmsNorm(x.data() + at, weight.data(), epsilon,
                                static_cast<int64_t>(weight.size()),
                                y.data() + at);
  }
  return y;
}

// Every row of x times the weight, element by element.
Doubles Scale(const Doubles& x, const Doubles& weight) {
  Doubles y(x.size());
  for (size_t at = 0; at < x.size(); ++at) {
    y[at] = x[at] * weight[at % weight.size()];
  }
  return y;
}

Doubles Silu(const Doubles& x) {
  const Doubles ones(x.size(), 1.0);
  Doubles y(x.size());
  kernels::reference::SwiGlu(x.data(), ones.data(),
                             static_cast<int64_t>(x.size()), y.data());
  return y;
}

void AddTo(Doubles& x, const Doubles& y) {
  for (size_t at = 0; at < x.size(); ++at) x[at] += y[at];
}

Doubles Attention(const Config& config, const position::Plan& plan,
                  const AlignedBuffer<float>& logn_scale,
                  const Doubles& queries, Doubles keys, const Doubles& values) {
  if (config.key_norm) {
    keys = Normalise(keys, Doubles(static_cast<size_t>(config.heads.D), 1.0),
                     config.rms_epsilon);
  }
  const bool learned = plan.scale.kind == position::ScoreScale::Kind::kLearned;
  return attention::ReferenceAttention(
      plan, config.heads, queries, keys, values,
      learned ? Vector(logn_scale) : Doubles());
}

// x <- the layer's output
void Apply(const Config& config, const position::Plan& plan,
           const LlamaLayer& w, Doubles& x) {
  const Doubles normed =
      Normalise(x, Vector(w.attention_norm), config.rms_epsilon);
  const Doubles attended =
      Attention(config, plan, w.logn_scale, Multiply(normed, w.query),
                Multiply(normed, w.key), Multiply(normed, w.value));
  AddTo(x, Multiply(attended, w.attention_output));
  const Doubles fed = Normalise(x, Vector(w.feed_norm), config.rms_epsilon);
  AddTo(x, Multiply(Scale(Silu(Multiply(fed, w.gate)), Multiply(fed, w.up)),
                    w.down));
}

void Apply(const Config& config, const position::Plan& plan, const GauLayer& w,
           Doubles& x) {
  const Doubles z = Silu(Multiply(x, w.z));
  const Doubles attended =
      Attention(config, plan, w.logn_scale, Scale(z, Vector(w.gamma_q)),
                Scale(z, Vector(w.gamma_k)), Silu(Multiply(x, w.v)));
  AddTo(x, Multiply(Scale(Silu(Multiply(x, w.u)), attended), w.output));
  x = Normalise(x, Doubles(static_cast<size_t>(config.E), 1.0),
                config.rms_epsilon);
}

}  // namespace

std::vector<double> ReferenceLogits(const Model& model,
                                    const position::Stack& stack,
                                    std::span<const Token> tokens) {
  const Config& config = model.config();
  Doubles x;
  for (const Token token : tokens) {
    const Doubles row = Row(model.embedding(), token);
    x.insert(x.end(), row.begin(), row.end());
  }
  for (size_t l = 0; l < stack.size(); ++l) {
    std::visit([&](const auto& w) { Apply(config, stack[l], w, x); },
               model.layers()[l]);
  }
  if (model.output_norm().size() > 0) {
    x = Normalise(x, Vector(model.output_norm()), config.rms_epsilon);
  }
  return Multiply(x, model.output());
}

}  // namespace ropewalk::model
