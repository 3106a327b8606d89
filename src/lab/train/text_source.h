// Text as training data: tokenizer, shards, held-out documents, windows.

#ifndef ROPEWALK_LAB_TRAIN_TEXT_SOURCE_H_
#define ROPEWALK_LAB_TRAIN_TEXT_SOURCE_H_

#include <memory>
#include <string>

#include "lab/data/lm_batches.h"
#include "lab/data/split.h"
#include "lab/data/text_tokenizer.h"
#include "lab/data/token_file.h"
#include "lab/train/batch_source.h"
#include "lab/train/config.h"

namespace ropewalk::lab::train {

// The tokenized corpus of a config, shared by the tasks that read text.
class TextData {
 public:
  TextData(const TrainConfig& config, const std::string& folder);

  const data::TextTokenizer& tokenizer() const { return *tokenizer_; }
  const data::TokenFile& train() const { return *train_; }
  const std::vector<int64_t>& train_documents() const { return split_.train; }
  // Documents that training never sees, of a file of their own or of train().
  const data::TokenFile& held_out() const {
    return held_out_ ? *held_out_ : *train_;
  }
  const std::vector<int64_t>& held_out_documents() const {
    return split_.held_out;
  }

  std::string Fingerprint() const;
  std::string Describe() const;
  std::vector<evaluate::Document> HeldOut(int64_t length, int64_t count) const;

 private:
  std::unique_ptr<data::TextTokenizer> tokenizer_;
  std::unique_ptr<data::TokenFile> train_;
  std::unique_ptr<data::TokenFile> held_out_;  // of its own texts, or null
  data::Split split_;
};

// Where tokenized corpora and the models of studies are kept:
// ${XDG_CACHE_HOME:-~/.cache}/ropewalk.
std::string CacheFolder();

// `folder`, which is made where it is missing. A cache is only there to save
// time, so where it cannot be made or written this prints a warning, once for a
// folder, and gives `otherwise`, which whoever writes there first has to make.
// Empty, it says that the work does without.
std::string UsableCache(const std::string& folder,
                        const std::string& otherwise);

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_TEXT_SOURCE_H_
