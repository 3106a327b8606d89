// Frequency tables of the schemes that change frequencies, as functions of
// the table `theta` that they start from, in float64.
//
// The rotary width is d = 2 * table size; m = 0 .. d/2 - 1 counts its pairs.

#ifndef ROPEWALK_POSITION_FREQUENCIES_H_
#define ROPEWALK_POSITION_FREQUENCIES_H_

#include <cstdint>
#include <span>
#include <vector>

namespace ropewalk::position {

using Frequencies = std::vector<double>;

// Position interpolation (arXiv 2306.15595): theta_m / factor.
Frequencies PiFrequencies(std::span<const double> theta, double factor);

// Post 9675: theta_m / lambda^m with lambda = factor^(2/d). The lowest
// frequency is divided by factor / lambda, a little less than `factor`.
Frequencies NtkOldFrequencies(std::span<const double> theta, double factor);

// Post 9706: theta_m / lambda^(m+1), so that the lowest frequency is divided by
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

// YaRN (arXiv 2309.00071) with the ramp over pair indices that Hugging Face
// and llama.cpp use. `base` and `original_length` place the ramp.
struct YarnOptions {
  double factor = 1;
  // Turns that a pair makes in original_length tokens.
  double fast = 32;  // pairs with at least as many are kept
  double slow = 1;   // pairs with at most as many are divided by factor
  double base = 10000;
  int64_t original_length = 0;
  bool truncates = true;  // the ramp begins and ends at whole pairs
};
Frequencies YarnFrequencies(std::span<const double> theta,
                            const YarnOptions& options);
double YarnMagnitude(double factor);  // 0.1 ln factor + 1, 1 for factor <= 1

// Llama 3: frequencies of wavelengths below original_length / high are kept,
// those of wavelengths above original_length / low are divided by factor, and
// those in between are a linear blend.
struct Llama3Options {
  double factor = 8;
  double low = 1;
  double high = 4;
  int64_t original_length = 0;
};
Frequencies Llama3Frequencies(std::span<const double> theta,
                              const Llama3Options& options);

// CoPE, clipped RoPE (arXiv 2602.05258): the last `clip` frequencies are
// multiplied by 0.5 (1 + cos(pi i / (clip - 1))), i = 0 .. clip - 1; with
// clip = 1 the last frequency becomes 0.
Frequencies CopeFrequencies(std::span<const double> theta, int64_t clip);

// Our default for `clip`: the number of pairs whose period 2 pi / theta_m
// exceeds the trained length, so that they never made a whole turn in training.
int64_t CopeDefaultClip(std::span<const double> theta, int64_t train_length);

}  // namespace ropewalk::position

#endif  // ROPEWALK_POSITION_FREQUENCIES_H_
