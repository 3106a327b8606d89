#include "lab/data/token_stream.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace ropewalk::lab::data {

TokenStream::TokenStream(const TokenFile& tokens,
                         std::vector<int64_t> documents)
    : tokens_(tokens), documents_(std::move(documents)) {
  int64_t end = 0;
  for (const int64_t document : documents_) {
    Require(document >= 0 && document < tokens.documents(),
            "there is no document " + std::to_string(document));
    end += tokens.size(document);
    ends_.push_back(end);
  }
}

template <typename Id>
void TokenStream::Copy(int64_t begin, int64_t count, Id* out) const {
  ROPEWALK_CHECK(begin >= 0 && count >= 0 && begin + count <= size());
  auto i = static_cast<size_t>(
      std::upper_bound(ends_.begin(), ends_.end(), begin) - ends_.begin());
  for (; count > 0; ++i) {
    const int64_t document = documents_[i];
    const int64_t left = ends_[i] - begin;
    const int64_t take = std::min(count, left);
    tokens_.Copy(tokens_.begin(document) + tokens_.size(document) - left, take,
                 out);
    out += take;
    begin += take;
    count -= take;
  }
}

template void TokenStream::Copy(int64_t, int64_t, int32_t*) const;
template void TokenStream::Copy(int64_t, int64_t, int64_t*) const;

}  // namespace ropewalk::lab::data
