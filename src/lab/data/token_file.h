// A corpus as token ids in one file, read through a memory map.
//
// Ids take two bytes where the vocabulary allows. What is known only at the
// end (where documents begin) stands at the end, so the file is written in
// one pass however large it is.
//
//   header  64 bytes  "RWTOKENS", u32 version, u32 bytes of an id, i64 V,
//                     u64 fingerprints of the tokenizer and of the corpus
//   ids               of all documents, zeros up to a multiple of 8 bytes
//   index             i64 where each document begins, and the end;
//                     u64 fingerprint of each document's text;
//                     u32 bytes of each name; the names; zeros up to 8
//   footer  48 bytes  "RWINDEX1", i64 ids, i64 documents, i64 bytes of names,
//                     u32 CRC-32 of the ids, u32 of header and index,
//                     u32 of the footer so far, u32 zero

#ifndef ROPEWALK_LAB_DATA_TOKEN_FILE_H_
#define ROPEWALK_LAB_DATA_TOKEN_FILE_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/atomic_file.h"
#include "base/mapped_file.h"
#include "base/token.h"

namespace ropewalk::lab::data {

struct TokenFileKey {
  int64_t vocabulary = 0;  // V
  uint64_t tokenizer = 0;  // fingerprints
  uint64_t corpus = 0;

  bool operator==(const TokenFileKey&) const = default;
};

// One thread at a time. Without Finish nothing is left behind.
class TokenFileWriter {
 public:
  // Throws IoError.
  TokenFileWriter(const std::string& path, const TokenFileKey& key);

  // Throws std::invalid_argument for an id outside the vocabulary; IoError.
  void Add(std::string_view name, uint64_t text_fingerprint,
           std::span<const Token> ids);

  // Commits. Throws IoError.
  void Finish();

 private:
  void Write(std::string_view bytes, uint32_t* crc);

  AtomicFile file_;
  TokenFileKey key_;
  int64_t id_bytes_;
  std::vector<int64_t> begins_ = {0};
  std::vector<uint64_t> fingerprints_;
  std::vector<uint32_t> name_bytes_;
  std::string names_;
  uint32_t ids_crc_ = 0;
  uint32_t index_crc_ = 0;
};

// Movable, immutable after construction: any number of threads at a time.
class TokenFile {
 public:
  // Throws IoError, and FormatError for a file that is cut, bloated or whose
  // index does not match its checksum. The ids are checked as they are read,
  // against V; VerifyIds checks them all.
  explicit TokenFile(const std::string& path);

  const TokenFileKey& key() const { return key_; }
  int64_t tokens() const { return tokens_; }
  int64_t documents() const {
    return static_cast<int64_t>(fingerprints_.size());
  }

  // `document` must be in [0, documents()).
  std::string_view name(int64_t document) const;
  uint64_t text_fingerprint(int64_t document) const {
    return fingerprints_[static_cast<size_t>(document)];
  }
  int64_t begin(int64_t document) const {
    return begins_[static_cast<size_t>(document)];
  }
  int64_t size(int64_t document) const {
    return begin(document + 1) - begin(document);
  }

  // Copies ids [begin, begin + count) of the whole file. Throws FormatError
  // for an id outside the vocabulary.
  template <typename Id>
  void Copy(int64_t begin, int64_t count, Id* out) const;

  // The ids of one document.
  std::vector<Token> Read(int64_t document) const;

  // Reads everything. Throws FormatError when an id has changed.
  void VerifyIds() const;

 private:
  MappedFile file_;
  TokenFileKey key_;
  int64_t id_bytes_ = 2;
  int64_t tokens_ = 0;
  uint32_t ids_crc_ = 0;
  std::vector<int64_t> begins_;
  std::vector<uint64_t> fingerprints_;
  std::vector<int64_t> name_begins_;
  std::string names_;
};

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_TOKEN_FILE_H_
