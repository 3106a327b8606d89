// Token files whose ids tell where they stand.

#ifndef ROPEWALK_LAB_DATA_TOKENS_FOR_TEST_H_
#define ROPEWALK_LAB_DATA_TOKENS_FOR_TEST_H_

#include <numeric>
#include <vector>

#include "lab/data/files_for_test.h"
#include "lab/data/token_file.h"

namespace ropewalk::lab::data {

// Document d holds ids 1000 d, 1000 d + 1, ...; the texts of documents 0 and 4
// are said to be alike.
inline TokenFile Counting(const TestFolder& folder,
                          const std::vector<int64_t>& sizes) {
  const std::string path = folder.Path("counting.tokens");
  TokenFileWriter writer(path, {1 << 20, 0, 0});
  for (size_t d = 0; d < sizes.size(); ++d) {
    std::vector<Token> ids(static_cast<size_t>(sizes[d]));
    std::iota(ids.begin(), ids.end(), static_cast<Token>(1000 * d));
    writer.Add("doc" + std::to_string(d), d == 4 ? 0 : d, ids);
  }
  writer.Finish();
  return TokenFile(path);
}

inline std::vector<int64_t> All(const TokenFile& tokens) {
  std::vector<int64_t> all(static_cast<size_t>(tokens.documents()));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_TOKENS_FOR_TEST_H_
