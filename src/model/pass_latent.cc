// Latent attention in a forward pass (layer.h says what it is). Its definition,
// in model/reference.cc, makes the keys and values of every head instead.

#include <algorithm>

#include "model/pass.h"

namespace ropewalk::model {

void Pass::MultiplyHead(const Linear& weights, const float* x, int64_t stride,
                        float* y, int64_t y_stride) {
  const int64_t T = batch_.total();
  const int64_t in = weights.weights.columns;
  const int64_t out = weights.weights.rows;
  for (int64_t t = 0; t < T; ++t) {
    std::copy_n(x + t * stride, in, w_.head_in_.data() + t * in);
  }
  Project(w_.head_in_.data(), batch_, {{&weights, w_.head_out_.data()}});
  for (int64_t t = 0; t < T; ++t) {
    std::copy_n(w_.head_out_.data() + t * out, out, y + t * y_stride);
  }
}

void Pass::ProjectLatent(const Attention& layer, const float* x) {
  const Latent& latent = *layer.latent;
  const int64_t T = batch_.total();
  const int64_t H = layer.heads.H;
  const int64_t D = layer.heads.D;
  const int64_t C = latent.width();
  const int64_t d = D - C;
  const int64_t n = latent.unrotated();
  w_.projected_.EnsureSize(T * H * (d + n));
  w_.latent_.EnsureSize(T * D);
  w_.head_in_.EnsureSize(T * std::max(n, C));
  w_.head_out_.EnsureSize(T * std::max(C, latent.value()));
  if (layer.query_down.exists()) {
    w_.low_.EnsureSize(T * layer.query_down.weights.rows);
    Project(x, batch_,
            {{&layer.query_down, w_.low_.data()},
             {&latent.down, w_.latent_.data()}});
    Normalise(layer.query_down_norm, w_.low_.data(), T, w_.low_.data());
    Project(w_.low_.data(), batch_, {{&layer.query, w_.projected_.data()}});
  } else {
    Project(x, batch_,
            {{&layer.query, w_.projected_.data()},
             {&latent.down, w_.latent_.data()}});
  }
  ForRows(T, threads_, [&](int64_t t) {
    const float* row = w_.latent_.data() + t * D;
    std::copy_n(row, d, w_.keys_.data() + t * D);
    std::copy_n(row + d, C, w_.values_.data() + t * C);
  });
  Normalise(latent.norm, w_.values_.data(), T, w_.values_.data());
  ForRows(T, threads_, [&](int64_t t) {
    std::copy_n(w_.values_.data() + t * C, C, w_.keys_.data() + t * D + d);
    for (int64_t h = 0; h < H; ++h) {
      std::copy_n(w_.projected_.data() + (t * H + h) * (d + n), d,
                  w_.queries_.data() + (t * H + h) * D);
    }
  });
  for (int64_t h = 0; h < H; ++h) {
    MultiplyHead(latent.key_up[static_cast<size_t>(h)],
                 w_.projected_.data() + h * (d + n) + d, H * (d + n),
                 w_.queries_.data() + h * D + d, H * D);
  }
}

const float* Pass::RaiseLatent(const Attention& layer) {
  const Latent& latent = *layer.latent;
  const int64_t H = layer.heads.H;
  const int64_t C = latent.width();
  const int64_t v = latent.value();
  w_.raised_.EnsureSize(batch_.total() * H * v);
  for (int64_t h = 0; h < H; ++h) {
    MultiplyHead(latent.value_up[static_cast<size_t>(h)],
                 w_.attended_.data() + h * C, H * C, w_.raised_.data() + h * v,
                 H * v);
  }
  return w_.raised_.data();
}

}  // namespace ropewalk::model
