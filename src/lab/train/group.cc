#include "lab/train/group.h"

#include <ATen/ATen.h>
#include <dlfcn.h>

#include <chrono>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

// LibTorch's packages may hold either backend without the headers of the
// library under it, as PyTorch's wheels do.
#if defined(USE_C10D_GLOO) && __has_include(<gloo/algorithm.h>)
#define ROPEWALK_HAS_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif
#if defined(USE_C10D_NCCL) && __has_include(<nccl.h>)
#define ROPEWALK_HAS_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::lab::train {
namespace {

// Longer than rank 0 may evaluate while the others wait. A process that is
// gone is noticed at once, when its connections close.
constexpr std::chrono::minutes kPatience{60};
// How long the others may take to come.
constexpr std::chrono::seconds kMeeting{120};

class SingleGroup : public Group {
 public:
  int64_t rank() const override { return 0; }
  int64_t size() const override { return 1; }
  void Sum(std::vector<at::Tensor>&) override {}
  void Broadcast(std::vector<at::Tensor>&) override {}
  void Wait() override {}
};

// Gloo or NCCL: both have c10d's calls.
template <typename Backend>
class ProcessGroup : public Group {
 public:
  ProcessGroup(c10::intrusive_ptr<c10d::Store> store,
               c10::intrusive_ptr<Backend> backend, at::Device device)
      : store_(std::move(store)),
        backend_(std::move(backend)),
        device_(device) {}

  int64_t rank() const override { return backend_->getRank(); }
  int64_t size() const override { return backend_->getSize(); }

  void Sum(std::vector<at::Tensor>& tensors) override {
    Each(tensors, [&](std::vector<at::Tensor>& one) {
      backend_->allreduce(one)->wait();
    });
  }

  void Broadcast(std::vector<at::Tensor>& tensors) override {
    Each(tensors, [&](std::vector<at::Tensor>& one) {
      backend_->broadcast(one)->wait();
    });
  }

  void Wait() override {
    std::vector<at::Tensor> token = {at::ones({1}, device_)};
    Sum(token);
  }

 private:
  // The calls take one tensor of a type at a time, so those of a type travel
  // as one.
  template <typename Call>
  void Each(std::vector<at::Tensor>& tensors, const Call& call) {
    std::vector<bool> done(tensors.size(), false);
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (done[i]) continue;
      std::vector<size_t> members;
      std::vector<at::Tensor> parts;
      for (size_t j = i; j < tensors.size(); ++j) {
        if (tensors[j].scalar_type() != tensors[i].scalar_type()) continue;
        members.push_back(j);
        parts.push_back(tensors[j].detach().reshape({-1}));
        done[j] = true;
      }
      std::vector<at::Tensor> flat = {at::cat(parts).to(device_)};
      try {
        call(flat);
      } catch (const std::exception&) {
        throw IoError("process " + std::to_string(rank()) + " of " +
                      std::to_string(size()) +
                      ": another process of this run is gone; --resume goes on "
                      "from the last checkpoint");
      }
      int64_t at = 0;
      const at::NoGradGuard no_grad;
      for (const size_t j : members) {
        const int64_t n = tensors[j].numel();
        tensors[j].detach().copy_(
            flat.front().narrow(0, at, n).view(tensors[j].sizes()));
        at += n;
      }
    }
  }

  c10::intrusive_ptr<c10d::Store> store_;
  c10::intrusive_ptr<Backend> backend_;
  at::Device device_;
};

// c10d tells by glog, at length, what our one line says.
void QuietLogs() {
  constexpr int32_t kFatal = 3;
  auto* level =
      static_cast<int32_t*>(dlsym(RTLD_DEFAULT, "_ZN3fLI17FLAGS_minloglevelE"));
  if (level != nullptr) *level = kFatal;
}

int64_t FromEnvironment(const char* name, int64_t least, int64_t most) {
  const char* text = std::getenv(name);
  Require(text != nullptr,
          std::string("WORLD_SIZE is set but not ") + name +
              "; start the processes with --nproc or torchrun");
  const auto value = ParseInt(text);
  Require(value && *value >= least && *value <= most,
          std::string(name) + " must lie in " + std::to_string(least) + " .. " +
              std::to_string(most) + ", got '" + Printable(text, 40) + "'");
  return *value;
}

}  // namespace

bool Group::Any(bool here) {
  if (size() == 1) return here;
  std::vector<at::Tensor> sum = {at::full({1}, here ? 1.0 : 0.0, at::kDouble)};
  Sum(sum);
  return sum.front().item<double>() > 0;
}

std::unique_ptr<Group> MakeSingleGroup() {
  return std::make_unique<SingleGroup>();
}

std::unique_ptr<Group> MakeGroup(const std::string& device) {
  if (std::getenv("WORLD_SIZE") == nullptr) return MakeSingleGroup();
  const int64_t size = FromEnvironment("WORLD_SIZE", 1, 1 << 16);
  if (size == 1) return MakeSingleGroup();
  const int64_t rank = FromEnvironment("RANK", 0, size - 1);
  const int64_t port = FromEnvironment("MASTER_PORT", 1, 65535);
  const char* master = std::getenv("MASTER_ADDR");
  Require(master != nullptr && *master != '\0',
          "WORLD_SIZE is set but not MASTER_ADDR; start the processes with "
          "--nproc or torchrun");
  QuietLogs();
  try {
    c10d::TCPStoreOptions options;
    options.port = static_cast<uint16_t>(port);
    options.isServer = rank == 0;
    options.numWorkers = static_cast<size_t>(size);
    options.timeout =
        std::chrono::duration_cast<std::chrono::milliseconds>(kMeeting);
    c10::intrusive_ptr<c10d::Store> store =
        c10::make_intrusive<c10d::TCPStore>(master, options);
    if (device.rfind("cuda", 0) == 0) {
#ifdef ROPEWALK_HAS_NCCL
      using Nccl = c10d::ProcessGroupNCCL;
      return std::make_unique<ProcessGroup<Nccl>>(
          store,
          c10::make_intrusive<Nccl>(store, static_cast<int>(rank),
                                    static_cast<int>(size)),
          at::Device(device));
#else
      Require(false, "this build has no NCCL for device " + device);
#endif
    }
#ifdef ROPEWALK_HAS_GLOO
    using Gloo = c10d::ProcessGroupGloo;
    auto gloo = Gloo::Options::create();
    gloo->timeout =
        std::chrono::duration_cast<std::chrono::milliseconds>(kPatience);
    // Over loopback where all processes are here, else by this host's name.
    const std::string_view here = master;
    gloo->devices = {here == "127.0.0.1" || here == "localhost"
                         ? Gloo::createDeviceForHostname("127.0.0.1")
                         : Gloo::createDefaultDevice()};
    return std::make_unique<ProcessGroup<Gloo>>(
        store,
        c10::make_intrusive<Gloo>(store, static_cast<int>(rank),
                                  static_cast<int>(size), gloo),
        at::Device(at::kCPU));
#else
    throw std::invalid_argument(
        "this build has no Gloo: processes cannot meet");
#endif
  } catch (const std::invalid_argument&) {
    throw;
  } catch (const std::exception& error) {
    const std::string what = error.what();
    throw IoError("process " + std::to_string(rank) + " of " +
                  std::to_string(size) + " could not meet the others at " +
                  Printable(master, 60) + ":" + std::to_string(port) + ": " +
                  what.substr(0, what.find('\n')));
  }
}

}  // namespace ropewalk::lab::train
