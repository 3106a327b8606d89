// An architecture: a name that files give in general.architecture, and what it
// makes of their keys. A file in this folder defines one or a family of them;
// registry.cc lists them all.

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

// Heads and feed-forward width under their usual keys (common.cc).
void ReadUsualShape(KeyReader& keys, Blueprint& blueprint);

struct Architecture {
  std::string_view name;    // general.architecture
  std::string_view models;  // what people know it by

  // Fills in what sets it apart, after the common keys have been read
  // (common.cc). Throws FormatError, and std::invalid_argument for what
  // contradicts itself.
  void (*read)(KeyReader& keys, Blueprint& blueprint) = nullptr;

  // Heads and feed-forward width.
  void (*read_shape)(KeyReader& keys, Blueprint& blueprint) = ReadUsualShape;
};

const std::vector<const Architecture*>& AllArchitectures();

// Nothing where there is none of that name.
const Architecture* FindArchitecture(std::string_view name);

// What a file's keys come to. Throws FormatError naming the key: missing, of
// the wrong kind, out of range, at odds with another one, or not understood.
Blueprint ReadBlueprint(const formats::GgufFile& file);

// Helpers that architectures share (common.cc).

// The layers' positions, made where they are not there yet.
std::vector<position::LayerPositions>& LayersOf(Blueprint& blueprint);

// Gives the local layers windows of attention.sliding_window keys (`otherwise`
// where that key is missing), and returns which layers are local: those of
// `is_local` (null: all), unless attention.sliding_window_pattern marks them. A
// window of 0, or one beyond the context, is none.
std::vector<bool> ReadWindows(KeyReader& keys, Blueprint& blueprint,
                              bool (*is_local)(int64_t layer),
                              int64_t otherwise = 0);

// Whether attention.sliding_window is there and above 0. A window that no text
// of the context reaches tells local layers from global ones all the same.
bool HasWindow(KeyReader& keys);

// Whether the file's scaling applies to local layers.
enum class LocalScaling { kNone, kAsGlobal };

// Local layers rotate by rope.freq_base_swa, or else by `otherwise` (0: the
// model's base).
void ReadLocalBase(KeyReader& keys, Blueprint& blueprint,
                   const std::vector<bool>& local, LocalScaling scaling,
                   double otherwise = 0);

// Takes rotation from all layers but the local ones.
void RotateOnly(const std::vector<bool>& local, Blueprint& blueprint);

// Whether `layer` is not the last of its group of `group`: the local layers of
// models that put one global layer behind several local ones.
template <int64_t group>
bool IsNotLastOf(int64_t layer) {
  return (layer + 1) % group != 0;
}

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_ARCHITECTURES_ARCHITECTURE_H_
