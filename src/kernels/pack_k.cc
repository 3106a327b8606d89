// Searches for scales and offsets with a small squared error.
//
// A group's best scale and offset for given codes is a least-squares problem
// of two unknowns, and the best codes for a given scale and offset are the
// nearest. The search alternates between the two from several first guesses
// and keeps the best. Then the scales of the groups are rounded to the few bits
// that a block has for them, and codes are chosen for the rounded scales.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "kernels/block_tables.h"
#include "kernels/pack.h"
#include "kernels/stored.h"

namespace ropewalk::kernels {
namespace {

constexpr int64_t kGroup = 32;       // of q4_K and q5_K
constexpr int64_t kSmallGroup = 16;  // of q6_K
constexpr int kScaleCodes = 63;      // 6 bits for a group's scale and minimum

float StoreRounded(float value, uint8_t* bytes) {
  const uint16_t half = FloatToF16(value);
  std::memcpy(bytes, &half, sizeof(half));
  return F16ToFloat(half);
}

// Rounds to the nearest integer within [least, most]; `least` for NaN. The
// result stays a float because conversions would slow down the searches below.
inline float Nearest(float value, float least, float most) {
  const float inside = value > least ? (value < most ? value : most) : least;
  return RoundToEven(inside);
}

int NearestCode(float value, int least, int most) {
  return static_cast<int>(
      Nearest(value, static_cast<float>(least), static_cast<float>(most)));
}

// The weight of each element's squared error in a group of `size` elements.
void WeighBySize(const float* x, int64_t size, float* weights) {
  float squares = 0;
  for (int64_t i = 0; i < size; ++i) squares += x[i] * x[i];
  const float rms = std::sqrt(squares / static_cast<float>(size));
  for (int64_t i = 0; i < size; ++i) weights[i] = rms + std::abs(x[i]);
}

// value = scale * code - least, with scale and least at least 0.
struct Line {
  float scale = 0;
  float least = 0;
};

// The weighted squared error of `count` elements whose values are scale * code
// - least, with the nearest codes from `lowest` to `highest`, which it leaves
// in `codes`.
struct Range {
  float lowest;
  float highest;
};
template <int64_t kCount>
float Encode(const float* x, const float* weights, Line line, Range range,
             float* codes) {
  const float inverse = line.scale != 0 ? 1 / line.scale : 0;
  for (int64_t i = 0; i < kCount; ++i) {
    codes[i] =
        Nearest((x[i] + line.least) * inverse, range.lowest, range.highest);
  }
  float errors[4] = {};  // four sums, so that additions need not wait
  for (int64_t i = 0; i < kCount; i += 4) {
    for (int64_t k = 0; k < 4; ++k) {
      const float miss = line.scale * codes[i + k] - line.least - x[i + k];
      errors[k] += weights[i + k] * miss * miss;
    }
  }
  return (errors[0] + errors[1]) + (errors[2] + errors[3]);
}

// The line that fits given codes best. An offset above 0 cannot be stored and
// is replaced by 0.
Line Fit(const float* x, const float* weights, const float* codes) {
  double w = 0;
  double wc = 0;
  double wcc = 0;
  double wx = 0;
  double wcx = 0;
  for (int64_t i = 0; i < kGroup; ++i) {
    const double weight = weights[i];
    const double code = codes[i];
    w += weight;
    wc += weight * code;
    wcc += weight * code * code;
    wx += weight * x[i];
    wcx += weight * code * x[i];
  }
  const double determinant = w * wcc - wc * wc;
  if (!(determinant > 0)) return {};
  double scale = (w * wcx - wc * wx) / determinant;
  double least = (wc * wcx - wcc * wx) / determinant;
  if (least < 0) {
    least = 0;
    scale = wcx / wcc;
  }
  return {static_cast<float>(std::max(scale, 0.0)), static_cast<float>(least)};
}

// The best line for a group whose codes are 0 to `most`.
Line SearchLine(const float* x, const float* weights, float most) {
  const auto [low, high] = std::minmax_element(x, x + kGroup);
  const float bottom = std::min(*low, 0.0f);
  const float range = *high - bottom;
  if (!(range > 0) || !std::isfinite(range)) return {0, -bottom};
  Line best;
  float best_error = INFINITY;
  float codes[kGroup];
  // Guesses that span a little less and a little more than the range.
  for (int guess = -2; guess <= 5; ++guess) {
    const float spans = most + 0.3f * static_cast<float>(guess);
    Line line{range / spans, -bottom};
    for (int turn = 0; turn < 3; ++turn) {
      const float error = Encode<kGroup>(x, weights, line, {0, most}, codes);
      if (error < best_error) {
        best_error = error;
        best = line;
      }
      line = Fit(x, weights, codes);
      if (line.scale == 0) break;
    }
  }
  return best;
}

// Packs eight 6-bit scales and eight 6-bit minima into 12 bytes; see ScaleOf in
// reference/blocks.cc.
void StoreScalesOfK(const int* scales, const int* leasts, uint8_t* bytes) {
  for (int64_t s = 0; s < 4; ++s) {
    bytes[s] = static_cast<uint8_t>(scales[s] | (scales[s + 4] >> 4 << 6));
    bytes[s + 4] = static_cast<uint8_t>(leasts[s] | (leasts[s + 4] >> 4 << 6));
    bytes[s + 8] = static_cast<uint8_t>((scales[s + 4] & 15) |
                                        ((leasts[s + 4] & 15) << 4));
  }
}

// Writes scales and minima to `block` [16 bytes] and codes from 0 to `most` to
// `codes` [256].
void PackLines(const float* x, float most, uint8_t* block, float* codes) {
  float weights[kSuperBlock];
  Line lines[8];
  float largest_scale = 0;
  float largest_least = 0;
  for (int64_t s = 0; s < 8; ++s) {
    WeighBySize(x + s * kGroup, kGroup, weights + s * kGroup);
    lines[s] = SearchLine(x + s * kGroup, weights + s * kGroup, most);
    largest_scale = std::max(largest_scale, lines[s].scale);
    largest_least = std::max(largest_least, lines[s].least);
  }
  const float step = StoreRounded(largest_scale / kScaleCodes, block);
  const float least_step = StoreRounded(largest_least / kScaleCodes, block + 2);
  int scales[8];
  int leasts[8];
  for (int64_t s = 0; s < 8; ++s) {
    // Takes the pair with the least error among the neighbours of each rounded
    // pair.
    const int scale =
        step > 0 ? NearestCode(lines[s].scale / step, 0, kScaleCodes) : 0;
    const int least = least_step > 0 ? NearestCode(lines[s].least / least_step,
                                                   0, kScaleCodes)
                                     : 0;
    float best = INFINITY;
    const int last_scale = std::min(scale + 1, kScaleCodes);
    const int last_least = std::min(least + 1, kScaleCodes);
    for (int a = std::max(scale - 1, 0); a <= last_scale; ++a) {
      for (int b = std::max(least - 1, 0); b <= last_least; ++b) {
        float tried[kGroup];
        const Line line{step * static_cast<float>(a),
                        least_step * static_cast<float>(b)};
        const float error = Encode<kGroup>(x + s * kGroup, weights + s * kGroup,
                                           line, {0, most}, tried);
        if (error < best) {
          best = error;
          scales[s] = a;
          leasts[s] = b;
          std::copy(tried, tried + kGroup, codes + s * kGroup);
        }
      }
    }
    if (best == INFINITY) {  // the elements have a NaN or an infinity
      scales[s] = scale;
      leasts[s] = least;
      std::fill(codes + s * kGroup, codes + (s + 1) * kGroup, 0);
    }
  }
  StoreScalesOfK(scales, leasts, block + 4);
}

// Stores 256 codes as nibbles: each 32 bytes hold 64 of them, low ones first.
void StoreNibblesOf64(const float* codes, uint8_t* nibbles) {
  for (int64_t i = 0; i < 128; ++i) {
    const float* pair = codes + i / 32 * 64 + i % 32;
    const int low = static_cast<int>(pair[0]) & 15;
    const int high = static_cast<int>(pair[32]) & 15;
    nibbles[i] = static_cast<uint8_t>(low | (high << 4));
  }
}

constexpr Range kQ6Codes = {-32, 31};

float SearchScale(const float* x, const float* weights) {
  float extreme = 0;
  for (int64_t i = 0; i < kSmallGroup; ++i) {
    if (std::abs(x[i]) > std::abs(extreme)) extreme = x[i];
  }
  if (extreme == 0 || !std::isfinite(extreme)) return 0;
  float best = 0;
  float best_error = INFINITY;
  float codes[kSmallGroup];
  for (int guess = -6; guess <= 6; ++guess) {
    // The extreme becomes -32, because codes reach -32 but not +32.
    float scale = extreme / (-32 + 0.1f * static_cast<float>(guess));
    for (int turn = 0; turn < 2; ++turn) {
      const float error =
          Encode<kSmallGroup>(x, weights, {scale, 0}, kQ6Codes, codes);
      if (error < best_error) {
        best_error = error;
        best = scale;
      }
      double wcc = 0;
      double wcx = 0;
      for (int64_t i = 0; i < kSmallGroup; ++i) {
        const double weighted = static_cast<double>(weights[i]) * codes[i];
        wcc += weighted * codes[i];
        wcx += weighted * x[i];
      }
      if (!(wcc > 0)) break;
      scale = static_cast<float>(wcx / wcc);
    }
  }
  return best;
}

}  // namespace

void PackQ4K(const float* x, uint8_t* block) noexcept {
  float codes[kSuperBlock];
  PackLines(x, 15, block, codes);
  StoreNibblesOf64(codes, block + 16);
}

void PackQ5K(const float* x, uint8_t* block) noexcept {
  float codes[kSuperBlock];
  PackLines(x, 31, block, codes);
  StoreNibblesOf64(codes, block + 48);
  uint8_t* high = block + 16;  // bit i / 32 of byte i % 32
  std::memset(high, 0, kGroup);
  for (int64_t i = 0; i < kSuperBlock; ++i) {
    high[i % 32] |=
        static_cast<uint8_t>((static_cast<int>(codes[i]) >> 4) << (i / 32));
  }
}

void PackQ6K(const float* x, uint8_t* block) noexcept {
  float weights[kSuperBlock];
  float scales[16];
  float extreme = 0;
  for (int64_t s = 0; s < 16; ++s) {
    WeighBySize(x + s * kSmallGroup, kSmallGroup, weights + s * kSmallGroup);
    scales[s] = SearchScale(x + s * kSmallGroup, weights + s * kSmallGroup);
    if (std::abs(scales[s]) > std::abs(extreme)) extreme = scales[s];
  }
  std::memset(block, 0, 208);
  // Scales of the groups are signed bytes; the extreme one becomes -128.
  const float step = StoreRounded(extreme / -128, block + 208);
  for (int64_t s = 0; s < 16; ++s) {
    const float* at = x + s * kSmallGroup;
    const int nearest =
        step != 0 ? NearestCode(scales[s] / step, -128, 127) : 0;
    int scale = nearest;
    float codes[kSmallGroup] = {};
    float best = INFINITY;
    for (int a = std::max(nearest - 1, -128); a <= std::min(nearest + 1, 127);
         ++a) {
      float tried[kSmallGroup];
      const Line line{step * static_cast<float>(a), 0};
      const float error = Encode<kSmallGroup>(at, weights + s * kSmallGroup,
                                              line, kQ6Codes, tried);
      if (error < best) {
        best = error;
        scale = a;
        std::copy(tried, tried + kSmallGroup, codes);
      }
    }
    block[192 + s] = static_cast<uint8_t>(scale);
    for (int64_t k = 0; k < kSmallGroup; ++k) {
      const int64_t i = s * kSmallGroup + k;
      const int code = static_cast<int>(codes[k]) + 32;
      block[i / 128 * 64 + i % 64] |=
          static_cast<uint8_t>((code & 15) << (i % 128 < 64 ? 0 : 4));
      block[128 + i / 128 * 32 + i % 32] |=
          static_cast<uint8_t>((code >> 4) << (i % 128 / 32 * 2));
    }
  }
}

void PackQ8K(const float* x, uint8_t* block) noexcept {
  float extreme = 0;
  for (int64_t i = 0; i < kSuperBlock; ++i) {
    if (std::abs(x[i]) > std::abs(extreme)) extreme = x[i];
  }
  const float scale = extreme / -127;
  std::memcpy(block, &scale, sizeof(scale));
  const float inverse = scale != 0 ? 1 / scale : 0;
  for (int64_t s = 0; s < 16; ++s) {
    int16_t sum = 0;
    for (int64_t i = s * 16; i < (s + 1) * 16; ++i) {
      const int code = NearestCode(x[i] * inverse, -127, 127);
      block[4 + i] = static_cast<uint8_t>(code);
      sum = static_cast<int16_t>(sum + code);
    }
    std::memcpy(block + 260 + 2 * s, &sum, sizeof(sum));
  }
}

}  // namespace ropewalk::kernels
