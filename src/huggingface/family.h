// A family: what config.json calls a model (`model_type`), and what its
// configuration and its tensors come to in the keys and names of GGUF.

#ifndef ROPEWALK_HUGGINGFACE_FAMILY_H_
#define ROPEWALK_HUGGINGFACE_FAMILY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf_metadata.h"
#include "huggingface/config_reader.h"
#include "huggingface/rotation.h"

namespace ropewalk::huggingface {

struct Renamed {
  std::string_view from;  // within a layer, without .weight or .bias
  std::string_view to;    // GGUF's, within "blk.N."
};

struct Description;

struct Family {
  std::string_view model_type;
  std::string_view architecture;  // general.architecture
  std::string_view activation = "silu";
  bool layer_norm = false;  // else rms norms, which changes the epsilon's name
  // The published code pairs the halves of a head for rotation, files of this
  // architecture pair neighbours: rows of queries and keys are reordered.
  bool pairs_halves = false;
  bool norms_plus_one = false;  // norms multiply by 1 + w; files store the sum
  double local_base = 0;  // base of layers with a window, if none is stated
  // Reads what only this family has; may be null.
  void (*read)(ConfigReader& config, Description& model) = nullptr;
  // Names that mean something else than in most families.
  std::vector<Renamed> names = {};
  // Which layers have a window if layer_types does not say: every layer but the
  // last of so many; 0: all; -1: the family has none.
  int64_t window_period = -1;
  // Members, as JSON, that a text_config within another configuration leaves
  // out where they are the class's own.
  std::string_view defaults = "{}";
};

// What a configuration says, beside the keys.
struct Description {
  const Family* family = nullptr;
  formats::Metadata metadata;
  RotationTensors rotation;
  int64_t layers = 0;
  int64_t width = 0;  // hidden_size
  int64_t heads = 0;  // of queries
  int64_t kv_heads = 0;
  int64_t head_width = 0;
  int64_t rotary_width = 0;
  int64_t experts = 0;
  bool sees = false;  // the folder also has a model of pictures, left out here
  // The output matrix is the embedding, is one of its own, or (neither) is
  // whatever the tensors have.
  bool tied = false;
  bool untied = false;
  // Of DeepSeek's heads; 0 elsewhere.
  int64_t latent_width = 0;     // kv_lora_rank
  int64_t unrotated_width = 0;  // qk_nope_head_dim
  int64_t value_width = 0;      // v_head_dim

  std::string Key(std::string_view name) const {
    return std::string(family->architecture) + "." + std::string(name);
  }
};

// Null if no family has that model_type.
const Family* FindFamily(std::string_view model_type);

// All of them, as people read them: "cohere, cohere2, ...".
std::string FamilyNames();

// Reads config.json. `name` is the model's for people. Throws IoError, and
// FormatError for a configuration that is broken, of an unknown family, or has
// a member that may change the result and is not understood.
Description ReadConfig(const std::string& path, const std::string& name);

}  // namespace ropewalk::huggingface

#endif  // ROPEWALK_HUGGINGFACE_FAMILY_H_
