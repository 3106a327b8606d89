// Losses of a generator as increasing functions h of the log ratio
// d = log p/q (posts 9660 and 9662, MonoFlow).
//
// A generator that lowers E[-h(D(g(z)))] moves its samples along
// h'(log r) grad log r. Of an f-divergence, h is r f'(r) - f(r), whose slope
// r^2 f''(r) is positive where f is convex. To put f itself into the loss is
// the mistake that the MonoFlow notebooks show failing; it is kept here as the
// negative control.

#ifndef ROPEWALK_LAB_FLOW_LOSSES_H_
#define ROPEWALK_LAB_FLOW_LOSSES_H_

#include <ATen/ATen.h>

#include <functional>
#include <string>
#include <vector>

namespace ropewalk::lab::flow {

// Immutable. Tensors of any shape and floating-point type; both functions can
// be differentiated.
class Loss {
 public:
  using Function = std::function<at::Tensor(const at::Tensor&)>;

  // By name: "logit", "non-saturating", "vanilla" and "vanilla:C=5",
  // "arcsinh", "exp" and "exp:a=1.5"; "f:NAME", the h of a divergence of
  // DivergenceNames, and "plug-in:NAME", -f itself. Throws
  // std::invalid_argument that lists them.
  static Loss Parse(const std::string& spelling);

  // r f'(r) - f(r) for a convex f of r > 0 of the caller's, its derivatives by
  // autograd; slow, and what the closed forms are tested against.
  static Loss OfDivergence(const std::string& name, Function f);

  at::Tensor H(const at::Tensor& d) const { return h_(d); }
  at::Tensor Slope(const at::Tensor& d) const { return slope_(d); }  // h'(d)
  const std::string& name() const { return name_; }

 private:
  Loss(std::string name, Function h, Function slope);

  std::string name_;
  Function h_;
  Function slope_;
};

// "reverse-kl" (f = -log r, KL(q||p)), "kl" (r log r, KL(p||q)), "chi2"
// ((r-1)^2), "hellinger" ((sqrt r - 1)^2), "js" (r log r - (r+1) log((1+r)/2)).
std::vector<std::string> DivergenceNames();

// f of a named divergence. Throws std::invalid_argument on another name.
Loss::Function DivergenceOf(const std::string& name);

}  // namespace ropewalk::lab::flow

#endif  // ROPEWALK_LAB_FLOW_LOSSES_H_
