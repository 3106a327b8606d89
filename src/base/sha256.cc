#include "base/sha256.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace ropewalk {
namespace {

using Words = std::array<uint32_t, 8>;

// The first 32 bits of the fraction of the root of each prime: what the
// standard's constants are.
uint32_t Fraction(double root) {
  return static_cast<uint32_t>((root - std::floor(root)) * 0x1p32);
}

struct Constants {
  Words start;                   // square roots of the first 8 primes
  std::array<uint32_t, 64> add;  // cube roots of the first 64
};

Constants MakeConstants() {
  Constants constants{};
  size_t found = 0;
  for (int candidate = 2; found < 64; ++candidate) {
    bool prime = true;
    for (int d = 2; d * d <= candidate && prime; ++d) {
      prime = candidate % d != 0;
    }
    if (!prime) continue;
    if (found < 8) constants.start[found] = Fraction(std::sqrt(candidate));
    constants.add[found++] = Fraction(std::cbrt(candidate));
  }
  return constants;
}

const Constants& Table() {
  static const Constants kConstants = MakeConstants();
  return kConstants;
}

void Mix(const unsigned char* block, Words& state) {
  std::array<uint32_t, 64> w{};
  for (size_t t = 0; t < 16; ++t) {
    for (size_t b = 0; b < 4; ++b) w[t] = w[t] << 8 | block[4 * t + b];
  }
  for (size_t t = 16; t < 64; ++t) {
    const uint32_t x = w[t - 15];
    const uint32_t y = w[t - 2];
    w[t] = w[t - 16] + w[t - 7] +
           (std::rotr(x, 7) ^ std::rotr(x, 18) ^ (x >> 3)) +
           (std::rotr(y, 17) ^ std::rotr(y, 19) ^ (y >> 10));
  }
  auto [a, b, c, d, e, f, g, h] = state;
  for (size_t t = 0; t < 64; ++t) {
    const uint32_t first =
        h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
        ((e & f) ^ (~e & g)) + Table().add[t] + w[t];
    const uint32_t second =
        (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) +
        ((a & b) ^ (a & c) ^ (b & c));
    h = g;
    g = f;
    f = e;
    e = d + first;
    d = c;
    c = b;
    b = a;
    a = first + second;
  }
  const Words add = {a, b, c, d, e, f, g, h};
  for (size_t i = 0; i < 8; ++i) state[i] += add[i];
}

}  // namespace

std::string Sha256(std::string_view bytes) {
  std::string padded(bytes.substr(bytes.size() / 64 * 64));
  padded += '\x80';
  while (padded.size() % 64 != 56) padded += '\0';
  const uint64_t bits = static_cast<uint64_t>(bytes.size()) * 8;
  for (int shift = 56; shift >= 0; shift -= 8) {
    padded += static_cast<char>(bits >> shift & 0xff);
  }
  Words state = Table().start;
  const auto mix_all = [&](std::string_view text) {
    for (size_t at = 0; at + 64 <= text.size(); at += 64) {
      Mix(reinterpret_cast<const unsigned char*>(text.data()) + at, state);
    }
  };
  mix_all(bytes.substr(0, bytes.size() / 64 * 64));
  mix_all(padded);
  std::string hex;
  for (const uint32_t word : state) {
    for (int shift = 28; shift >= 0; shift -= 4) {
      hex += "0123456789abcdef"[word >> shift & 0xf];
    }
  }
  return hex;
}

}  // namespace ropewalk
