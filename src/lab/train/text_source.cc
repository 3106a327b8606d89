#include "lab/train/text_source.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/text.h"
#include "formats/text_file.h"
#include "lab/data/corpus.h"
#include "lab/data/held_out.h"
#include "lab/data/tokenize_corpus.h"
#include "lab/data/train_tokenizer.h"

namespace ropewalk::lab::train {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<data::TextTokenizer> MakeTokenizer(const TrainConfig& config,
                                                   const data::Corpus& corpus,
                                                   const std::string& folder) {
  std::string path = config.data.tokenizer;
  if (path.empty()) {
    path = (fs::path(folder) / "tokenizer.model").string();
    if (!fs::exists(path)) {
      std::fprintf(stderr, "training a tokenizer of %lld pieces\n",
                   static_cast<long long>(config.model.V));
      WriteFileAtomically(
          path, data::TrainTokenizer(corpus, {.vocabulary = config.model.V,
                                              .seed = config.seed}));
    }
  }
  return std::make_unique<data::TextTokenizer>(
      data::TextTokenizer::Load(path, config.model.V));
}

}  // namespace

std::string CacheFolder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME");
      cache != nullptr && *cache != '\0') {
    return (fs::path(cache) / "ropewalk").string();
  }
  const char* home = std::getenv("HOME");
  return (fs::path(home == nullptr ? "." : home) / ".cache" / "ropewalk")
      .string();
}

std::string UsableCache(const std::string& folder,
                        const std::string& otherwise) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error && access(folder.c_str(), W_OK | X_OK) != 0) {
    error = std::error_code(errno, std::generic_category());
  }
  if (!error) return folder;
  static std::set<std::string> warned;
  // Of several processes the first says it.
  const char* rank = std::getenv("RANK");
  if ((rank == nullptr || std::string_view(rank) == "0") &&
      warned.insert(folder).second) {
    std::fprintf(
        stderr, "warning: the cache folder '%s' cannot be used (%s); %s\n",
        Printable(folder).c_str(), error.message().c_str(),
        otherwise.empty()
            ? "nothing is kept there"
            : ("'" + Printable(otherwise) + "' takes its place").c_str());
  }
  return otherwise;
}

TextData::TextData(const TrainConfig& config, const std::string& folder) {
  const std::string& documents = config.data.documents;
  data::CorpusOptions options{
      .rule = documents == "file"         ? data::DocumentRule::kFile
              : documents == "paragraphs" ? data::DocumentRule::kParagraphs
                                          : data::DocumentRule::kMarked,
      .join_lines = config.data.join_lines,
      .max_bytes = config.data.max_bytes};
  const data::Corpus corpus(config.data.train, options);
  const double share =
      config.data.heldout.empty() ? config.data.heldout_fraction : 0;
  // Before minutes are spent on a tokenizer.
  Require(share == 0 || corpus.documents() > 1,
          "data.heldout_fraction: the corpus is one document, so none can be "
          "held out of it; data.documents = \"paragraphs\" cuts it, "
          "data.heldout names other texts, 0 holds none out");
  tokenizer_ = MakeTokenizer(config, corpus, folder);
  const std::string cache = UsableCache(
      config.data.cache.empty() ? (fs::path(CacheFolder()) / "tokens").string()
                                : config.data.cache,
      (fs::path(folder) / "cache").string());
  const auto threads = MakeThreadPool(config.threads);
  train_ = std::make_unique<data::TokenFile>(
      data::CachedTokens(corpus, *tokenizer_, *threads, cache));
  if (!config.data.heldout.empty()) {
    options.max_bytes = 0;
    const data::Corpus other(config.data.heldout, options);
    held_out_ = std::make_unique<data::TokenFile>(
        data::CachedTokens(other, *tokenizer_, *threads, cache));
  }
  split_ =
      data::SplitDocuments(*train_, {.fraction = share, .seed = config.seed});
  if (held_out_) {
    split_.held_out.clear();
    for (int64_t i = 0; i < held_out_->documents(); ++i) {
      split_.held_out.push_back(i);
    }
  }
}

std::string TextData::Fingerprint() const {
  return std::to_string(tokenizer_->fingerprint()) + "/" +
         std::to_string(train_->key().corpus);
}

std::string TextData::Describe() const {
  return FormatCount(static_cast<double>(train_->tokens())) + " tokens of " +
         std::to_string(split_.train.size()) + " documents, " +
         std::to_string(split_.held_out.size()) + " held out";
}

std::vector<evaluate::Document> TextData::HeldOut(int64_t length,
                                                  int64_t count) const {
  return data::HeldOutPieces(held_out(), held_out_documents(), length + 1,
                             count);
}

}  // namespace ropewalk::lab::train
