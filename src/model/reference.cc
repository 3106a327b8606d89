#include "model/reference.h"

#include <algorithm>
#include <cmath>

#include "attention/definition/reference.h"
#include "kernels/blocks.h"
#include "kernels/interleaved.h"
#include "kernels/reference/quantized.h"
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

// The values of x's codes in 8 bits.
Doubles Rounded(const Doubles& x) {
  const std::vector<float> numbers(x.begin(), x.end());
  const kernels::reference::QuantizedRow row = kernels::reference::Quantize(
      numbers.data(), static_cast<int64_t>(numbers.size()));
  Doubles y(x.size());
  for (size_t at = 0; at < y.size(); ++at) {
    y[at] = row.Value(at);
  }
  return y;
}

Doubles Project(const Doubles& x, const Linear& linear, Activations read) {
  const bool rounds = read == Activations::k8Bits &&
                      kernels::CanInterleave(linear.weights.type);
  Doubles y = Multiply(rounds ? Rounded(x) : x, linear.weights);
  const Doubles bias = Vector(linear.bias);
  if (bias.empty()) return y;
  for (size_t at = 0; at < y.size(); ++at) y[at] += bias[at % bias.size()];
  return y;
}

// The norm of rows of norm.width; row r uses set r mod norm.sets.
Doubles Normalise(const Doubles& x, const Norm& norm) {
  if (!norm.exists()) return x;
  const Doubles weight = Vector(norm.weight);
  const Doubles bias = Vector(norm.bias);
  const auto width = static_cast<size_t>(norm.width);
  const auto set_of = [&](const Doubles& numbers, size_t row) {
    return numbers.empty()
               ? nullptr
               : numbers.data() + row % static_cast<size_t>(norm.sets) * width;
  };
  Doubles y(x.size());
  for (size_t row = 0; row < x.size() / width; ++row) {
    const double* from = x.data() + row * width;
    double* to = y.data() + row * width;
    if (norm.kind == NormKind::kRms) {
      kernels::reference::RmsNorm(from, set_of(weight, row), norm.epsilon,
                                  norm.width, to);
    } else {
      kernels::reference::LayerNorm(from, set_of(weight, row),
                                    set_of(bias, row), norm.epsilon, norm.width,
                                    to);
    }
  }
  return y;
}

// x times y, element by element; a shorter y repeats.
Doubles Times(const Doubles& x, const Doubles& y) {
  Doubles product(x.size());
  for (size_t at = 0; at < x.size(); ++at) {
    product[at] = x[at] * y[at % y.size()];
  }
  return product;
}

Doubles Activate(kernels::Activation kind, const Doubles& x) {
  Doubles y(x.size());
  kernels::reference::Activate(kind, x.data(), static_cast<int64_t>(x.size()),
                               y.data());
  return y;
}

Doubles Clamp(Doubles x, double limit) {
  if (limit <= 0) return x;
  for (double& value : x) value = std::clamp(value, -limit, limit);
  return x;
}

void AddTo(Doubles& x, const Doubles& y, double factor = 1) {
  for (size_t at = 0; at < x.size(); ++at) x[at] += factor * y[at];
}

Doubles Attend(const Attention& w, const position::Plan& plan, const Doubles& x,
               Activations read) {
  Doubles queries = Clamp(Project(x, w.query, read), w.clamp);
  Doubles keys =
      w.key.exists() ? Clamp(Project(x, w.key, read), w.clamp) : queries;
  Doubles values = Clamp(Project(x, w.value, read), w.clamp);
  if (w.activation) {
    queries = Times(Activate(*w.activation, queries), Vector(w.query_gain));
    keys = Times(Activate(*w.activation, keys), Vector(w.key_gain));
    values = Activate(*w.activation, values);
  }
  const bool learned = plan.scale.kind == position::ScoreScale::Kind::kLearned;
  Doubles attended = attention::ReferenceAttention(
      plan, w.heads, Normalise(queries, w.query_norm),
      Normalise(keys, w.key_norm), values,
      learned ? Vector(w.logn_scale) : Doubles());
  if (w.gate.exists()) {
    attended =
        Times(Activate(kernels::Activation::kSilu, Project(x, w.gate, read)),
              attended);
  }
  return Project(attended, w.output, read);
}

Doubles Feed(const FeedForward& w, const Doubles& x, Activations read) {
  const Doubles up = Project(x, w.up, read);
  return Project(
      w.gate.exists()
          ? Times(Activate(w.activation, Project(x, w.gate, read)), up)
          : Activate(w.activation, up),
      w.down, read);
}

// Computes every expert for every token, weighted by the token's share.
Doubles Feed(const Experts& w, const Doubles& x, Activations read) {
  const size_t count = w.experts.size();
  const Doubles logits = Multiply(x, w.router);
  const size_t T = logits.size() / count;
  const size_t E = x.size() / T;
  Doubles shares(logits.size());
  for (size_t t = 0; t < T; ++t) {
    const double* row = logits.data() + t * count;
    Doubles softmax(count);
    kernels::reference::Softmax(row, static_cast<int64_t>(count),
                                softmax.data());
    Doubles sorted = softmax;
    std::sort(sorted.rbegin(), sorted.rend());
    const double least = sorted[static_cast<size_t>(w.used) - 1];
    double sum = 0;
    for (const double p : softmax) sum += p >= least ? p : 0;
    for (size_t e = 0; e < count; ++e) {
      if (softmax[e] < least) continue;
      shares[t * count + e] =
          w.scale * softmax[e] / (w.renormalise ? sum : 1.0);
    }
  }
  Doubles y(x.size());
  const auto add = [&](const Doubles& brought, const auto& share_of) {
    for (size_t t = 0; t < T; ++t) {
      for (size_t c = 0; c < E; ++c) {
        y[t * E + c] += share_of(t) * brought[t * E + c];
      }
    }
  };
  for (size_t e = 0; e < count; ++e) {
    add(Feed(w.experts[e], x, read),
        [&](size_t t) { return shares[t * count + e]; });
  }
  if (w.shared) {
    const Doubles gate =
        w.shared_router.rows > 0 ? Multiply(x, w.shared_router) : Doubles();
    add(Feed(*w.shared, x, read), [&](size_t t) {
      return gate.empty() ? 1 : 1 / (1 + std::exp(-gate[t]));
    });
  }
  return y;
}

// x <- the layer's output
void Apply(const Layer& w, const position::Plan& plan, Activations read,
           Doubles& x) {
  const Doubles in = Normalise(x, w.attention_norm);
  const Doubles attended =
      Normalise(Attend(w.attention, plan, in, read), w.attention_after);
  const auto feed = [&](const Doubles& normed) {
    return Normalise(w.experts ? Feed(*w.experts, normed, read)
                               : Feed(*w.feed, normed, read),
                     w.feed_after);
  };
  const bool feeds = w.feed || w.experts;
  if (w.parallel && feeds) {
    const Doubles fed =
        feed(w.feed_norm.exists() ? Normalise(x, w.feed_norm) : in);
    AddTo(x, attended, w.residual_scale);
    AddTo(x, fed, w.residual_scale);
  } else {
    AddTo(x, attended, w.residual_scale);
    if (feeds) AddTo(x, feed(Normalise(x, w.feed_norm)), w.residual_scale);
  }
  x = Normalise(x, w.residual_norm);
}

}  // namespace

std::vector<double> ReferenceLogits(const Model& model,
                                    const position::Stack& stack,
                                    std::span<const Token> tokens,
                                    Activations activations) {
  Doubles x;
  for (const Token token : tokens) {
    for (const double value : Row(model.embedding(), token)) {
      x.push_back(model.embedding_scale() * value);
    }
  }
  for (size_t l = 0; l < stack.size(); ++l) {
    Apply(model.layers()[l], stack[l], activations, x);
  }
  Doubles logits =
      Project(Normalise(x, model.output_norm()), model.output(), activations);
  for (double& logit : logits) logit *= model.logit_scale();
  if (model.final_softcap() > 0) {
    kernels::reference::SoftCap(model.final_softcap(),
                                static_cast<int64_t>(logits.size()),
                                logits.data());
  }
  return logits;
}

}  // namespace ropewalk::model
