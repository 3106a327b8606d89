// One training step of a 6M-parameter Llama, compared with the same model in
// plain LibTorch modules and with the best rate of this machine's BLAS.
//
//   build/bench/train_step [ROUNDS]
//
// Both models start from the same weights and see the same batches under
// AdamW, and their first losses must agree. The plain model runs alone first,
// with the default settings of the process. Then freed memory is kept as in the
// lab, which helps the plain model too, and steps of both alternate. Prints
// medians, then ratios.

#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "lab/nn/model.h"
#include "lab/optim/adamw.h"
#include "lab/train/environment.h"

namespace ropewalk::lab {
namespace {

namespace tn = torch::nn;
using torch::Tensor;

nn::ModelConfig Config() {
  nn::ModelConfig c;
  c.L = 6;
  c.E = 256;
  c.H = 4;
  c.G = 4;
  c.D = 64;
  c.F = 704;
  c.V = 4096;
  c.N = 256;
  return c;
}
constexpr int64_t kBatch = 16;

// The block in plain modules.
struct PlainBlockImpl : tn::Module {
  explicit PlainBlockImpl(const nn::ModelConfig& c) : H(c.H), D(c.D) {
    const auto linear = [&](const char* name, int64_t in, int64_t out) {
      return register_module(
          name, tn::Linear(tn::LinearOptions(in, out).bias(false)));
    };
    q = linear("q", c.E, H * D);
    k = linear("k", c.E, H * D);
    v = linear("v", c.E, H * D);
    o = linear("o", H * D, c.E);
    gate = linear("gate", c.E, c.F);
    up = linear("up", c.E, c.F);
    down = linear("down", c.F, c.E);
    norm1 = register_parameter("norm1", torch::ones({c.E}));
    norm2 = register_parameter("norm2", torch::ones({c.E}));
  }

  static Tensor Norm(const Tensor& x, const Tensor& weight) {
    return x * torch::rsqrt(x.pow(2).mean(-1, true) + 1e-5) * weight;
  }

  // x [B, H, T, D], halves rotated against each other.
  static Tensor Rotate(const Tensor& x, const Tensor& cos, const Tensor& sin) {
    const auto halves = x.chunk(2, -1);
    const Tensor turned = torch::cat({-halves[1], halves[0]}, -1);
    return x * cos + turned * sin;
  }

  Tensor forward(const Tensor& input, const Tensor& cos, const Tensor& sin,
                 const Tensor& mask) {
    Tensor x = input;
    const int64_t B = x.size(0);
    const int64_t T = x.size(1);
    const Tensor h = Norm(x, norm1);
    const auto heads = [&](tn::Linear& project) {
      return project(h).view({B, T, H, D}).transpose(1, 2);
    };
    const Tensor scores =
        torch::matmul(Rotate(heads(q), cos, sin),
                      Rotate(heads(k), cos, sin).transpose(-1, -2)) /
            std::sqrt(static_cast<double>(D)) +
        mask;
    const Tensor y = torch::matmul(torch::softmax(scores, -1), heads(v));
    x = x + o(y.transpose(1, 2).reshape({B, T, H * D}));
    const Tensor f = Norm(x, norm2);
    return x + down(torch::silu(gate(f)) * up(f));
  }

  int64_t H, D;
  tn::Linear q{nullptr}, k{nullptr}, v{nullptr}, o{nullptr}, gate{nullptr},
      up{nullptr}, down{nullptr};
  Tensor norm1, norm2;
};
TORCH_MODULE(PlainBlock);

struct PlainModelImpl : tn::Module {
  explicit PlainModelImpl(const nn::ModelConfig& c) : c(c) {
    embedding = register_module("embedding", tn::Embedding(c.V, c.E));
    for (int64_t l = 0; l < c.L; ++l) {
      blocks.push_back(
          register_module("block" + std::to_string(l), PlainBlock(c)));
    }
    norm = register_parameter("norm", torch::ones({c.E}));
    Tensor angles = torch::outer(
        torch::arange(c.N, torch::kDouble),
        torch::pow(c.rope_base,
                   torch::arange(0, c.D, 2, torch::kDouble) / -c.D));
    angles = torch::cat({angles, angles}, 1);
    cos = angles.cos().to(torch::kFloat);
    sin = angles.sin().to(torch::kFloat);
    mask = torch::full({c.N, c.N}, -1e9).triu(1);
  }

  Tensor loss(const Tensor& ids, const Tensor& targets) {
    Tensor x = embedding(ids);
    for (PlainBlock& block : blocks) x = block(x, cos, sin, mask);
    const Tensor logits =
        torch::matmul(PlainBlockImpl::Norm(x, norm), embedding->weight.t());
    return tn::functional::cross_entropy(logits.reshape({-1, c.V}), targets);
  }

  void CopyFrom(const nn::Model& model) {
    const torch::NoGradGuard no_grad;
    const auto find = [&](const std::string& name) {
      for (const optim::Parameter& p : model.parameters()) {
        if (p.name == name) return p.value.detach();
      }
      std::abort();
    };
    embedding->weight.copy_(find("embedding.weight"));
    norm.copy_(find("norm.weight"));
    const int64_t width = c.H * c.D;
    for (size_t l = 0; l < blocks.size(); ++l) {
      const std::string name = "layers." + std::to_string(l) + ".";
      PlainBlockImpl& block = *blocks[l];
      const Tensor qkv = find(name + "qkv.weight");
      block.q->weight.copy_(qkv.narrow(0, 0, width));
      block.k->weight.copy_(qkv.narrow(0, width, width));
      block.v->weight.copy_(qkv.narrow(0, 2 * width, width));
      block.o->weight.copy_(find(name + "attention_output.weight"));
      const Tensor gates = find(name + "gate_up.weight");
      block.gate->weight.copy_(gates.narrow(0, 0, c.F));
      block.up->weight.copy_(gates.narrow(0, c.F, c.F));
      block.down->weight.copy_(find(name + "down.weight"));
      block.norm1.copy_(find(name + "attention_norm.weight"));
      block.norm2.copy_(find(name + "feed_norm.weight"));
    }
  }

  nn::ModelConfig c;
  tn::Embedding embedding{nullptr};
  std::vector<PlainBlock> blocks;
  Tensor norm, cos, sin, mask;
};
TORCH_MODULE(PlainModel);

double Seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int Run(int rounds) {
  const nn::ModelConfig config = Config();
  nn::Model ours(config, 1);
  optim::AdamW adamw(ours.parameters(), {});
  PlainModel plain(config);
  plain->CopyFrom(ours);
  torch::optim::AdamW plain_adamw(
      plain->parameters(),
      torch::optim::AdamWOptions(1e-3).betas({0.9, 0.95}).weight_decay(0.01));
  const auto batch = [&] {
    return torch::randint(0, config.V, {kBatch, config.N + 1}, torch::kLong);
  };
  const auto targets = [&](const Tensor& ids) {
    return ids.narrow(1, 1, config.N).reshape({-1});
  };
  const auto inputs = [&](const Tensor& ids) {
    return ids.narrow(1, 0, config.N).contiguous();
  };
  double our_loss = 0;
  double plain_loss = 0;
  const auto our_step = [&](const Tensor& ids) {
    const Tensor loss = ours.Loss(ours.Hidden({.ids = inputs(ids)}),
                                  targets(ids), {}, kBatch * config.N);
    loss.backward();
    adamw.Step({});
    our_loss = loss.item<double>();
  };
  const auto plain_step = [&](const Tensor& ids) {
    plain_adamw.zero_grad();
    const Tensor loss = plain->loss(inputs(ids), targets(ids));
    loss.backward();
    plain_adamw.step();
    plain_loss = loss.item<double>();
  };
  const Tensor a = torch::randn({2048, 2048});
  const Tensor b = torch::randn({2048, 2048});
  const auto sgemm = [&] { torch::mm(a, b); };

  const Tensor first = batch();
  our_step(first);
  plain_step(first);
  if (std::abs(our_loss - plain_loss) > 1e-3 * our_loss) {
    std::fprintf(stderr, "the models differ: loss %.6f and %.6f\n", our_loss,
                 plain_loss);
    return 1;
  }
  std::vector<double> alone_times;
  for (int round = 0; round < rounds; ++round) {
    const Tensor ids = batch();
    alone_times.push_back(Seconds([&] { plain_step(ids); }));
  }
  train::KeepFreedMemory();
  sgemm();
  our_step(batch());
  plain_step(batch());
  std::vector<double> our_times, plain_times, sgemm_times;
  for (int round = 0; round < rounds; ++round) {
    const Tensor ids = batch();
    our_times.push_back(Seconds([&] { our_step(ids); }));
    plain_times.push_back(Seconds([&] { plain_step(ids); }));
    for (int i = 0; i < 3; ++i) sgemm_times.push_back(Seconds(sgemm));
  }
  const double peak = 2 * std::pow(2048.0, 3) /
                      *std::min_element(sgemm_times.begin(), sgemm_times.end());
  const double flops =
      ours.TrainingFlops(config.N) * static_cast<double>(kBatch);
  const double our_time = Median(our_times);
  const double plain_time = Median(plain_times);
  const double alone_time = Median(alone_times);
  const auto tokens = static_cast<double>(kBatch * config.N);
  std::printf("blas                      %s, %d threads\n",
              train::BlasName().c_str(), at::get_num_threads());
  std::printf("parameters                %lld\n",
              static_cast<long long>(ours.ParameterCount()));
  std::printf("sgemm n=2048 (best)       %.1f GFLOP/s\n", peak / 1e9);
  const auto line = [&](const char* name, double time) {
    std::printf("%-25s %.0f tokens/s  %.1f GFLOP/s\n", name, tokens / time,
                flops / time / 1e9);
  };
  line("plain LibTorch modules", alone_time);
  line("plain, memory kept", plain_time);
  line("ropewalk lab", our_time);
  std::printf("ours / plain              %.2f (aim 2)\n",
              alone_time / our_time);
  std::printf("ours / plain, memory kept %.2f\n", plain_time / our_time);
  std::printf("ours / sgemm              %.2f (aim 0.60)\n",
              flops / our_time / peak);
  return 0;
}

}  // namespace
}  // namespace ropewalk::lab

int main(int argc, char** argv) {
  const std::string slow = ropewalk::lab::train::PrepareProcess(argv);
  if (!slow.empty()) std::fprintf(stderr, "note: %s\n", slow.c_str());
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 7;
  return ropewalk::lab::Run(rounds);
}
