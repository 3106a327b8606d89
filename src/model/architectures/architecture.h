// An architecture: the name that files have in general.architecture, and the
// functions that turn their keys into a blueprint. Each file of this folder
// defines one architecture or a family; registry.cc lists all.

#ifndef ROPEWALK_MODEL_ARCHITECTURES_ARCHITECTURE_H_
#define ROPEWALK_MODEL_ARCHITECTURES_ARCHITECTURE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/blueprint.h"
#include "model/key_reader.h"
#include "model/layer.h"
#include "model/tensor_reader.h"

namespace ropewalk::model {

// Reads heads and feed-forward width from their usual keys (common.cc).
void ReadUsualShape(KeyReader& keys, Blueprint& blueprint);

struct Architecture {
  std::string_view name;    // general.architecture
  std::string_view models;  // names of models that have it

  // Fills in what distinguishes the architecture, after the common keys were
  // read (common.cc). Throws FormatError, and std::invalid_argument if keys
  // contradict each other.
  void (*read)(KeyReader& keys, Blueprint& blueprint) = nullptr;

  // Reads heads and feed-forward width.
  void (*read_shape)(KeyReader& keys, Blueprint& blueprint) = ReadUsualShape;
};

const std::vector<const Architecture*>& AllArchitectures();

// Returns null if no architecture has that name.
const Architecture* FindArchitecture(std::string_view name);

// Reads the keys of a file. Throws a FormatError that names the key if it is
// missing, of the wrong kind, out of range, contradicts another key, or is not
// understood.
Blueprint ReadBlueprint(const formats::GgufFile& file);

// Helpers that architectures share (common.cc).

// The positions of each layer; makes default entries at the first call.
std::vector<position::LayerPositions>& LayersOf(Blueprint& blueprint);

// Returns which layers are local, and gives these a window of
// attention.sliding_window keys (`otherwise` if that key is missing). The key
// attention.sliding_window_pattern says which layers are local; if it is
// missing, `is_local` says so (null: all). No window is set if it is 0 or as
// long as the context.
std::vector<bool> ReadWindows(KeyReader& keys, Blueprint& blueprint,
                              bool (*is_local)(int64_t layer),
                              int64_t otherwise = 0);

// Whether the file has attention.sliding_window above 0. Even a window longer
// than the context distinguishes local layers from global ones.
bool HasWindow(KeyReader& keys);

// Whether the file's scaling applies to local layers.
enum class LocalScaling { kNone, kAsGlobal };

// Sets the base of local layers to rope.freq_base_swa or, if that key is
// missing, to `otherwise` (0: the model's base).
void ReadLocalBase(KeyReader& keys, Blueprint& blueprint,
                   const std::vector<bool>& local, LocalScaling scaling,
                   double otherwise = 0);

// Turns rotation off in all layers that are not local.
void RotateOnly(const std::vector<bool>& local, Blueprint& blueprint);

// Whether `layer` is not the last of its `group` layers. These are the local
// layers of models with one global layer after several local ones.
template <int64_t group>
bool IsNotLastOf(int64_t layer) {
  return (layer + 1) % group != 0;
}

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_ARCHITECTURES_ARCHITECTURE_H_
