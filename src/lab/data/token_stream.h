// Some documents of a token file, joined in order.

#ifndef ROPEWALK_LAB_DATA_TOKEN_STREAM_H_
#define ROPEWALK_LAB_DATA_TOKEN_STREAM_H_

#include <cstdint>
#include <vector>

#include "lab/data/token_file.h"

namespace ropewalk::lab::data {

// Immutable after construction; borrows `tokens`.
class TokenStream {
 public:
  // Throws std::invalid_argument for a document that is not there.
  TokenStream(const TokenFile& tokens, std::vector<int64_t> documents);

  int64_t size() const { return ends_.empty() ? 0 : ends_.back(); }
  int64_t vocabulary() const { return tokens_.key().vocabulary; }

  // Ids [begin, begin + count); both must lie within size(). FormatError for
  // a damaged id.
  template <typename Id>
  void Copy(int64_t begin, int64_t count, Id* out) const;

 private:
  const TokenFile& tokens_;
  std::vector<int64_t> documents_;
  std::vector<int64_t> ends_;  // of each document in the stream
};

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_TOKEN_STREAM_H_
