// The processes of one training run: data-parallel, each with its own part of
// every batch and the same parameters.

#ifndef ROPEWALK_LAB_TRAIN_GROUP_H_
#define ROPEWALK_LAB_TRAIN_GROUP_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"

namespace ropewalk::lab::train {

// Another process has told what went wrong; this one ends with it in silence.
class PeerFailed : public IoError {
 public:
  PeerFailed() : IoError("another process of this run has failed") {}
};

// One thread at a time. Every process calls the same members in the same
// order. All of them throw IoError when another process is gone.
class Group {
 public:
  virtual ~Group() = default;

  virtual int64_t rank() const = 0;  // 0 writes the files
  virtual int64_t size() const = 0;

  // Sums in place over the processes.
  virtual void Sum(std::vector<at::Tensor>& tensors) = 0;
  // Rank 0's values for all.
  virtual void Broadcast(std::vector<at::Tensor>& tensors) = 0;
  // Returns when all have come.
  virtual void Wait() = 0;

  bool IsFirst() const { return rank() == 0; }
  // Whether any process says so.
  bool Any(bool here);
};

// This process alone.
std::unique_ptr<Group> MakeSingleGroup();

// By torchrun's environment (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT);
// alone where WORLD_SIZE is absent or 1. `device` "cuda..." takes NCCL, else
// Gloo. Throws std::invalid_argument for variables that make no sense,
// IoError when the others do not come.
std::unique_ptr<Group> MakeGroup(const std::string& device);

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_GROUP_H_
