// The rows of the part "Why" of the study `real`: where the heads of each layer
// look, the ranks of their attention, and the embedding, in CSV files that grow
// while the study runs (MODEL/attention/).

#ifndef ROPEWALK_STUDY_HEAD_ROWS_H_
#define ROPEWALK_STUDY_HEAD_ROWS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "study/runs.h"

namespace ropewalk::study {

// One layer of one text, read under one scheme at one length. Lists are by
// query head, but for those of key heads.
struct HeadRow {
  int64_t run = 0;
  std::string set;       // "novels"
  std::string document;  // "ENG18400_Trollope.txt.gz 1/2"
  std::string scheme;    // as it is called in tables
  std::string position;  // with every parameter
  int64_t length = 0;
  int64_t layer = 0;
  // Means over queries in the text (evaluate/attention_weights.h).
  std::vector<double> entropy;  // nats
  std::vector<double> sinks;    // part of the attention on the first tokens
  std::vector<double> far;      // on keys whose distance is not the true one
  // Mean over queries in a passage that comes again: the part on the token that
  // followed the same token when the passage stood there first.
  std::vector<double> source;
  // Of the rotated keys, by key head; only where a scheme has one rotation:
  // entropy of the spectrum of K^T K, its first 16 values and all.
  std::vector<double> key_top;
  std::vector<double> key_entropy;
};

// The attention matrices of one layer over the last tokens of a text.
struct RankRow {
  int64_t run = 0;
  std::string set;
  std::string document;
  std::string scheme;
  std::string position;
  int64_t n = 0;  // rows and columns
  int64_t layer = 0;
  std::vector<int64_t> rank;      // singular values above 1e-3 of the largest
  std::vector<double> effective;  // exp of the entropy of their distribution
  std::vector<double> log_own;    // ln of the diagonal, mean over the rows
};

// Tokens of the vocabulary that occur so often in the texts.
struct EmbeddingRow {
  int64_t run = 0;
  int64_t least = 0;  // times
  int64_t most = 0;
  int64_t tokens = 0;   // of the vocabulary
  double norm_low = 0;  // 1 in 100 rows has less
  double norm_median = 0;
  double norm_high = 0;  // 1 in 100 rows has more
  double norm_most = 0;
  double largest_median = 0;  // of the largest component of each row
  double largest_most = 0;
  // Rows whose components nearly share one size, which steps by the sign leave
  // (RMS above 0.8 of the largest).
  int64_t one_size = 0;
  // Rank correlation of times and norm over all tokens that occur; the same in
  // every row.
  double rho = 0;
};

// One process at a time.
class HeadRows {
 public:
  // Reads the files of FOLDER where they exist. Throws IoError, and FormatError
  // for files that are none of ours.
  explicit HeadRows(const std::string& folder);

  // As Runs::IndexOf.
  int64_t RunOf(const Run& run) { return runs_.IndexOf(run); }

  bool Has(const std::string& set, const std::string& document,
           const std::string& scheme, int64_t length) const;
  bool HasRank(const std::string& set, const std::string& document,
               const std::string& scheme) const;

  // Each writes its file and the runs anew, atomically: all layers or none.
  // The rows must be new. Throws IoError.
  void Add(const std::vector<HeadRow>& layers);
  void AddRanks(const std::vector<RankRow>& layers);
  void AddEmbedding(const std::vector<EmbeddingRow>& rows);

  const std::vector<Run>& runs() const { return runs_.list(); }
  const std::vector<HeadRow>& heads() const { return heads_; }
  const std::vector<RankRow>& ranks() const { return ranks_; }
  const std::vector<EmbeddingRow>& embedding() const { return embedding_; }

 private:
  void ReadHeads();
  void ReadRanks();
  void ReadEmbedding();
  std::string PathOf(const char* name) const;

  std::string folder_;
  Runs runs_;
  std::vector<HeadRow> heads_;
  std::vector<RankRow> ranks_;
  std::vector<EmbeddingRow> embedding_;
};

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_HEAD_ROWS_H_
