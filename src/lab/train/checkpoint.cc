#include "lab/train/checkpoint.h"

#include <ATen/ATen.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "formats/safetensors.h"

namespace ropewalk::lab::train {
namespace {

using formats::SafeType;

constexpr const char* kFormat = "ropewalk-checkpoint-1";
constexpr std::string_view kOptimizer = "optimizer/";

SafeType TypeOf(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return SafeType::kF32;
    case at::kDouble:
      return SafeType::kF64;
    case at::kHalf:
      return SafeType::kF16;
    case at::kBFloat16:
      return SafeType::kBf16;
    case at::kLong:
      return SafeType::kI64;
    case at::kInt:
      return SafeType::kI32;
    case at::kBool:
      return SafeType::kBool;
    case at::kByte:
      return SafeType::kU8;
    default:
      throw std::invalid_argument("checkpoint: no way to store this type");
  }
}

std::optional<at::ScalarType> ScalarOf(SafeType type) {
  switch (type) {
    case SafeType::kF32:
      return at::kFloat;
    case SafeType::kF64:
      return at::kDouble;
    case SafeType::kF16:
      return at::kHalf;
    case SafeType::kBf16:
      return at::kBFloat16;
    case SafeType::kI64:
      return at::kLong;
    case SafeType::kI32:
      return at::kInt;
    case SafeType::kBool:
      return at::kBool;
    case SafeType::kU8:
      return at::kByte;
    default:
      return std::nullopt;
  }
}

at::Tensor OnCpu(const at::Tensor& tensor) {
  return tensor.detach().to(at::kCPU).contiguous();
}

at::Tensor TensorOf(const formats::SafetensorsFile& file,
                    const formats::SafeTensor& stored) {
  const auto type = ScalarOf(stored.type);
  if (!type) {
    throw FormatError(file.path(), 0,
                      "tensor '" + Printable(stored.name) +
                          "' has a type that no checkpoint of "
                          "ours uses");
  }
  at::Tensor tensor = at::empty(stored.shape, at::dtype(*type));
  if (!stored.bytes.empty()) {
    std::memcpy(tensor.data_ptr(), stored.bytes.data(), stored.bytes.size());
  }
  return tensor;
}

RunState StateOf(const formats::SafetensorsFile& file,
                 optim::OptimizerState& optimizer) {
  const auto& metadata = file.metadata();
  const auto format = metadata.find("format");
  if (format == metadata.end() || format->second != kFormat) {
    throw FormatError(file.path(), 0, "is no checkpoint of ropewalk train");
  }
  try {
    const auto json = nlohmann::json::parse(metadata.at("state"));
    for (const auto& entry : json.at("counts")) {
      optimizer.counts.emplace_back(entry.at(0).get<std::string>(),
                                    entry.at(1).get<int64_t>());
    }
    return {.step = json.at("step"),
            .tokens = json.at("tokens"),
            .seconds = json.at("seconds"),
            .config = json.at("config"),
            .data = json.at("data")};
  } catch (const std::exception&) {
    throw FormatError(file.path(), 0, "the checkpoint's state is damaged");
  }
}

}  // namespace

void WriteCheckpoint(const std::string& path, const RunState& state,
                     const std::vector<optim::Parameter>& parameters,
                     const optim::Optimizer& optimizer) {
  const optim::OptimizerState moments = optimizer.ExportState();
  nlohmann::ordered_json json = {{"step", state.step},
                                 {"tokens", state.tokens},
                                 {"seconds", state.seconds},
                                 {"config", state.config},
                                 {"data", state.data}};
  json["counts"] = nlohmann::ordered_json::array();
  for (const auto& [name, count] : moments.counts) {
    json["counts"].push_back({name, count});
  }
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const optim::Parameter& parameter : parameters) {
    tensors.emplace_back(parameter.name, OnCpu(parameter.value));
  }
  for (const auto& [name, tensor] : moments.tensors) {
    tensors.emplace_back(std::string(kOptimizer) + name, OnCpu(tensor));
  }
  formats::SafetensorsWriter writer(path);
  writer.AddMetadata("format", kFormat);
  writer.AddMetadata("state", json.dump());
  for (const auto& [name, tensor] : tensors) {
    writer.AddTensor(name, TypeOf(tensor), tensor.sizes().vec());
  }
  for (const auto& [name, tensor] : tensors) {
    writer.WriteTensor({static_cast<const std::byte*>(tensor.data_ptr()),
                        static_cast<size_t>(tensor.nbytes())});
  }
  writer.Finish();
}

Checkpoint ReadCheckpoint(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const bool folder = fs::is_directory(path, ignored);
  Checkpoint checkpoint;
  checkpoint.path = folder ? (fs::path(path) / kCheckpointName).string() : path;
  const formats::SafetensorsFile file(checkpoint.path);
  checkpoint.state = StateOf(file, checkpoint.optimizer);
  file.VerifyChecksum();
  for (const formats::SafeTensor& stored : file.tensors()) {
    at::Tensor tensor = TensorOf(file, stored);
    if (stored.name.rfind(kOptimizer, 0) == 0) {
      checkpoint.optimizer.tensors.emplace_back(
          stored.name.substr(kOptimizer.size()), std::move(tensor));
    } else {
      checkpoint.parameters.emplace_back(stored.name, std::move(tensor));
    }
  }
  return checkpoint;
}

int64_t LoadParameters(const Checkpoint& checkpoint,
                       const std::vector<optim::Parameter>& parameters,
                       bool tolerant) {
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;
  for (const auto& [name, stored] : checkpoint.parameters) {
    const optim::Parameter* found = nullptr;
    for (const optim::Parameter& parameter : parameters) {
      if (parameter.name == name) found = &parameter;
    }
    if (found == nullptr) {
      if (tolerant) continue;
      throw FormatError(checkpoint.path, 0,
                        "tensor '" + Printable(name) +
                            "' is not part of the configured model");
    }
    if (found->value.sizes() != stored.sizes()) {
      throw FormatError(checkpoint.path, 0,
                        "tensor '" + name + "' has " +
                            std::to_string(stored.numel()) +
                            " numbers in another shape than the configured "
                            "model, which wants " +
                            std::to_string(found->value.numel()));
    }
    copies.emplace_back(found->value, stored);
  }
  if (!tolerant && copies.size() != parameters.size()) {
    throw FormatError(checkpoint.path, 0,
                      "holds " + std::to_string(copies.size()) + " of the " +
                          std::to_string(parameters.size()) +
                          " tensors of the configured model");
  }
  const at::NoGradGuard no_grad;
  for (auto& [value, stored] : copies) value.copy_(stored);
  return static_cast<int64_t>(copies.size());
}

}  // namespace ropewalk::lab::train
