// Reads latent attention (layer.h), whose tensors are its own.

#ifndef ROPEWALK_MODEL_LATENT_READER_H_
#define ROPEWALK_MODEL_LATENT_READER_H_

#include <string>

#include "model/blueprint.h"
#include "model/layer.h"
#include "model/tensor_reader.h"

namespace ropewalk::model {

// Reads attn_q or attn_q_a and attn_q_b, attn_kv_a_mqa, and attn_k_b and
// attn_v_b or, of older files, attn_kv_b. Files put what rotates last in a head
// and pair its neighbours; here it comes first, in halves. Throws FormatError
// as ReadLayer does.
Attention ReadLatentAttention(TensorReader& reader, const Blueprint& blueprint,
                              const std::string& prefix);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_LATENT_READER_H_
