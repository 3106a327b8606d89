#include "model/layer.h"

namespace ropewalk::model {
namespace {

// Calls body(matrix, share) for every matrix of the layer. `share` is the
// fraction of tokens that the matrix is used for: used / count for experts.
template <typename Body>
void ForMatrices(const Layer& layer, const Body& body) {
  const auto feed = [&](const FeedForward& f, double share) {
    for (const Linear* linear : {&f.gate, &f.up, &f.down}) {
      body(linear->weights, share);
    }
  };
  const Attention& a = layer.attention;
  for (const Linear* linear :
       {&a.query, &a.query_down, &a.key, &a.value, &a.gate, &a.output}) {
    body(linear->weights, 1.0);
  }
  if (a.latent) {
    body(a.latent->down.weights, 1.0);
    for (const Linear& head : a.latent->key_up) body(head.weights, 1.0);
    for (const Linear& head : a.latent->value_up) body(head.weights, 1.0);
  }
  if (layer.feed) feed(*layer.feed, 1);
  if (!layer.experts) return;
  const Experts& e = *layer.experts;
  body(e.router.weights, 1.0);
  body(e.shared_router, 1.0);
  for (const FeedForward& expert : e.experts) {
    feed(expert,
         static_cast<double>(e.used) / static_cast<double>(e.experts.size()));
  }
  if (e.shared) feed(*e.shared, 1);
}

}  // namespace

int64_t MatrixElements(const Layer& layer) {
  double sum = 0;
  ForMatrices(layer, [&](const kernels::Matrix& m, double share) {
    sum += share * static_cast<double>(m.rows * m.columns);
  });
  return static_cast<int64_t>(sum);
}

int64_t WeightBytes(const Layer& layer) {
  double sum = 0;
  ForMatrices(layer, [&](const kernels::Matrix& m, double share) {
    sum += share * static_cast<double>(m.rows * RowBytes(m.type, m.columns));
  });
  return static_cast<int64_t>(sum);
}

}  // namespace ropewalk::model
