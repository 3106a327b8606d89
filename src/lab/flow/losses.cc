#include "lab/flow/losses.h"

#include <cmath>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "lab/flow/gradient.h"

namespace ropewalk::lab::flow {
namespace {

using at::Tensor;

struct Divergence {
  const char* name;
  Tensor (*f)(const Tensor& r);
  Tensor (*h)(const Tensor& d);      // r f' - f at r = e^d
  Tensor (*slope)(const Tensor& d);  // r^2 f''
  // f(e^d) and its derivative r f', for the plug-in.
  Tensor (*f_of_d)(const Tensor& d);
  Tensor (*df_of_d)(const Tensor& d);
};

// log((1 + e^d) / 2), without overflow.
Tensor LogMean(const Tensor& d) { return at::softplus(d) - std::log(2.0); }

const std::vector<Divergence>& Divergences() {
  static const std::vector<Divergence> kAll = {
      {.name = "reverse-kl",
       .f = [](const Tensor& r) { return -r.log(); },
       .h = [](const Tensor& d) { return d - 1; },
       .slope = [](const Tensor& d) { return at::ones_like(d); },
       .f_of_d = [](const Tensor& d) { return -d; },
       .df_of_d = [](const Tensor& d) { return -at::ones_like(d); }},
      {.name = "kl",
       .f = [](const Tensor& r) { return r * r.log(); },
       .h = [](const Tensor& d) { return d.exp(); },
       .slope = [](const Tensor& d) { return d.exp(); },
       .f_of_d = [](const Tensor& d) { return d.exp() * d; },
       .df_of_d = [](const Tensor& d) { return d.exp() * (d + 1); }},
      {.name = "chi2",
       .f = [](const Tensor& r) { return (r - 1).square(); },
       .h = [](const Tensor& d) { return (2 * d).exp() - 1; },
       .slope = [](const Tensor& d) { return 2 * (2 * d).exp(); },
       .f_of_d = [](const Tensor& d) { return d.expm1().square(); },
       .df_of_d = [](const Tensor& d) { return 2 * d.exp() * d.expm1(); }},
      {.name = "hellinger",
       .f = [](const Tensor& r) { return (r.sqrt() - 1).square(); },
       .h = [](const Tensor& d) { return (d / 2).expm1(); },
       .slope = [](const Tensor& d) { return 0.5 * (d / 2).exp(); },
       .f_of_d = [](const Tensor& d) { return (d / 2).expm1().square(); },
       .df_of_d =
           [](const Tensor& d) { return (d / 2).exp() * (d / 2).expm1(); }},
      {.name = "js",
       .f =
           [](const Tensor& r) {
             return r * r.log() - (r + 1) * ((r + 1) / 2).log();
           },
       .h = LogMean,
       .slope = [](const Tensor& d) { return d.sigmoid(); },
       .f_of_d =
           [](const Tensor& d) {
             return d.exp() * d - (d.exp() + 1) * LogMean(d);
           },
       // r (log r + 1 - log((1+r)/2) - 1)
       .df_of_d = [](const Tensor& d) { return d.exp() * (d - LogMean(d)); }}};
  return kAll;
}

const Divergence& FindDivergence(const std::string& name) {
  std::string known;
  for (const Divergence& one : Divergences()) {
    if (name == one.name) return one;
    known += (known.empty() ? "" : ", ") + std::string(one.name);
  }
  throw std::invalid_argument("loss: divergence '" + Printable(name, 40) +
                              "' is none of " + known);
}

// The number behind NAME:KEY=, or `otherwise` where nothing follows the name.
std::optional<double> ParameterOf(const std::string& spelling,
                                  const std::string& name, char key,
                                  double otherwise) {
  if (spelling == name) return otherwise;
  const std::string head = name + ":" + key + "=";
  if (!spelling.starts_with(head)) return std::nullopt;
  const auto value =
      ParseNumber(std::string_view(spelling).substr(head.size()));
  Require(value.has_value(), "loss: '" + Printable(spelling, 40) +
                                 "' wants a number behind " + head);
  return value;
}

}  // namespace

Loss::Loss(std::string name, Function h, Function slope)
    : name_(std::move(name)), h_(std::move(h)), slope_(std::move(slope)) {}

Loss Loss::Parse(const std::string& spelling) {
  if (spelling == "logit") {
    return {spelling, [](const Tensor& d) { return d; },
            [](const Tensor& d) { return at::ones_like(d); }};
  }
  if (spelling == "non-saturating") {
    return {spelling, [](const Tensor& d) { return at::log_sigmoid(d); },
            [](const Tensor& d) { return (-d).sigmoid(); }};
  }
  if (spelling == "arcsinh") {
    return {spelling, [](const Tensor& d) { return d.asinh(); },
            [](const Tensor& d) { return (1 + d.square()).rsqrt(); }};
  }
  if (const auto C = ParameterOf(spelling, "vanilla", 'C', 0)) {
    return {spelling, [c = *C](const Tensor& d) { return at::softplus(d + c); },
            [c = *C](const Tensor& d) { return (d + c).sigmoid(); }};
  }
  if (const auto a = ParameterOf(spelling, "exp", 'a', 1.5)) {
    Require(*a > 0, "loss: exp wants a above 0, or it falls");
    return {spelling, [a = *a](const Tensor& d) { return (a * d).exp(); },
            [a = *a](const Tensor& d) { return a * (a * d).exp(); }};
  }
  if (spelling.starts_with("f:")) {
    const Divergence& of = FindDivergence(spelling.substr(2));
    return {spelling, of.h, of.slope};
  }
  if (spelling.starts_with("plug-in:")) {
    const Divergence& of = FindDivergence(spelling.substr(8));
    return {spelling, [f = of.f_of_d](const Tensor& d) { return -f(d); },
            [df = of.df_of_d](const Tensor& d) { return -df(d); }};
  }
  throw std::invalid_argument(
      "loss: '" + Printable(spelling, 40) +
      "' is none of logit, non-saturating, vanilla:C=5, arcsinh, exp:a=1.5, "
      "f:NAME, plug-in:NAME");
}

Loss Loss::OfDivergence(const std::string& name, Function f) {
  // h' = d/dd (r f' - f) = r (r f')' - r f' = r^2 f''.
  const Function h = [f](const Tensor& d) {
    const Tensor r = d.exp();
    return r * SumGradient(f, r) - f(r);
  };
  const Function slope = [h](const Tensor& d) { return SumGradient(h, d); };
  return {name, h, slope};
}

std::vector<std::string> DivergenceNames() {
  std::vector<std::string> names;
  for (const Divergence& one : Divergences()) names.emplace_back(one.name);
  return names;
}

Loss::Function DivergenceOf(const std::string& name) {
  return FindDivergence(name).f;
}

}  // namespace ropewalk::lab::flow
