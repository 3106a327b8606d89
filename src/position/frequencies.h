// Frequency tables of the schemes that change frequencies, as functions of
// the table they start from. float64 throughout.
//
// d = 2 * table size is the rotary width and m = 0 .. d/2 - 1 its pairs.

#ifndef ROPEWALK_POSITION_FREQUENCIES_H_
#define ROPEWALK_POSITION_FREQUENCIES_H_

#include <cstdint>
#include <span>
#include <vector>

namespace ropewalk::position {

using Frequencies = std::vector<double>;

// Position interpolation (arXiv 2306.15595): theta_m / factor.
Frequencies PiFrequencies(std::span<const double> theta, double factor);

// Post 9675, lambda = factor^(2/d): theta_m / lambda^m. The lowest frequency
// but for one step is interpolated in full.
Frequencies NtkOldFrequencies(std::span<const double> theta, double factor);

// Post 9706: theta_m / lambda^(m+1), so that the last one is interpolated by
// exactly `factor`.
Frequencies NtkFixedFrequencies(std::span<const double> theta, double factor);

// Post 9706, mixed base: theta_m / exp(a (m+1)^b) with a (d/2)^b = ln factor.
// b = 1 is ntk-fixed, b = 0 is pi.
Frequencies NtkMixedFrequencies(std::span<const double> theta, double factor,
                                double b);

// Dynamic NTK as Hugging Face computes it: the base is multiplied by
// (factor L/N - (factor - 1))^(d/(d-2)) for L > N. Throws
// std::invalid_argument for d = 2, where the exponent has no value.
Frequencies DynamicNtkFrequencies(std::span<const double> theta, double factor,
                                  int64_t length, int64_t train_length);

// YaRN (arXiv 2309.00071), the ramp over pair indices that Hugging Face and
// llama.cpp share. `base` and `original_length` place the ramp.
struct YarnOptions {
  double factor = 1;
  double fast = 32;  // turns within original_length that are left alone
  double slow = 1;   // turns at or below which theta is interpolated in full
  double base = 10000;
  int64_t original_length = 0;
};
Frequencies YarnFrequencies(std::span<const double> theta,
                            const YarnOptions& options);
double YarnMagnitude(double factor);  // 0.1 ln factor + 1, 1 for factor <= 1

// Llama 3: wavelengths below original_length / high are kept, those above
// original_length / low divided by factor, a linear blend in between.
struct Llama3Options {
  double factor = 8;
  double low = 1;
  double high = 4;
  int64_t original_length = 0;
};
Frequencies Llama3Frequencies(std::span<const double> theta,
                              const Llama3Options& options);

// CoPE, clipped RoPE (arXiv 2602.05258): the last `clip` frequencies times
// 0.5 (1 + cos(pi i / (clip - 1))), i = 0 .. clip - 1; clip = 1 times 0.
Frequencies CopeFrequencies(std::span<const double> theta, int64_t clip);

// Our default for `clip`: pairs whose period 2 pi / theta_m exceeds the
// trained length, so that training never showed a whole turn of them.
int64_t CopeDefaultClip(std::span<const double> theta, int64_t train_length);

}  // namespace ropewalk::position

#endif  // ROPEWALK_POSITION_FREQUENCIES_H_
