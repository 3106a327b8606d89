// measured.csv: what a study has measured, a number a line, each with the seed,
// the data, the hardware and the command that it came from.
//
// A study that is interrupted goes on by what stands here, and a row that is
// here is never measured twice; so the file is written anew, atomically, after
// every row.

#ifndef ROPEWALK_LAB_STUDIES_MEASUREMENTS_H_
#define ROPEWALK_LAB_STUDIES_MEASUREMENTS_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lab/nn/config.h"

namespace ropewalk::lab::studies {

struct Measurement {
  std::string row;       // what it is called in published.csv
  std::string model;     // the trained model, or a file's name; may be empty
  uint64_t seed = 0;     // of the training
  std::string position;  // the law it was read under, every parameter given
  std::string set;       // natural, repeated, along, ...
  int64_t length = 0;    // tokens read
  std::string metric;    // accuracy (percent), loss (nats), seconds, ...
  double value = 0;
  double error = 0;   // standard error over documents or trials; 0: none
  int64_t count = 0;  // targets scored, trials
};

// Where a measurement comes from. Those of another scale or other data stand
// in the same file and are another table.
struct Provenance {
  std::string scale;
  std::string data;  // first digits of the SHA-256 of corpus.tsv
  std::string hardware;
  std::string command;
};

// One thread at a time.
class Measurements {
 public:
  // Reads `path` where it exists; no data named takes those of the last line
  // of this scale. Throws IoError, and FormatError for a file that is no table
  // of ours.
  Measurements(std::string path, Provenance provenance);

  // Whether a row of this scale and data is there, with as many lines as it
  // should have; `lines` 0 takes any.
  bool Has(const std::string& row, const std::string& model, uint64_t seed,
           int64_t lines = 0) const;

  // Writes the lines in place of what their rows had, with what other
  // processes have added to the file meanwhile. `precision` is that in which
  // their model was trained, named with the hardware where it is not full.
  // Throws IoError; the old file is then still there.
  void Add(const std::vector<Measurement>& lines,
           ops::Precision precision = ops::Precision::kFull);

  // What the file has now, other processes' rows with it. Throws as the
  // constructor does.
  void Refresh();

  // Those of this scale and data, in the order in which they came.
  const std::vector<Measurement>& lines() const { return lines_; }
  const Provenance& provenance() const { return provenance_; }
  const std::string& path() const { return path_; }

  // What the lines name, each once.
  std::vector<std::string> Hardware() const;
  std::vector<std::string> Commands() const;

 private:
  struct Entry {
    Measurement line;
    Provenance provenance;
  };

  void Read();
  void Write() const;
  bool IsOurs(const Provenance& from) const;
  std::vector<std::string> Named(std::string Provenance::*field) const;

  std::string path_;
  Provenance provenance_;
  std::vector<Entry> all_;
  std::vector<Measurement> lines_;
};

// A cell over its seeds.
struct Summary {
  double mean = 0;
  std::optional<double> spread;  // sample deviation over two or more seeds
  double error = 0;              // mean standard error of one seed
  int64_t seeds = 0;
};

// Where a number is to be found: a row, a set, a length, a metric.
struct CellKey {
  std::string row;
  std::string set = "natural";
  int64_t length = 0;
  std::string metric = "accuracy";
};

bool IsOf(const Measurement& line, const CellKey& key);

std::optional<Summary> Summarise(const std::vector<Measurement>& lines,
                                 const CellKey& key);

// The seeds that all of these cells have; a cell that was not measured does not
// count.
std::set<uint64_t> SharedSeeds(const std::vector<Measurement>& lines,
                               const std::vector<CellKey>& cells);

std::vector<Measurement> OfSeeds(std::vector<Measurement> lines,
                                 const std::set<uint64_t>& seeds);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_MEASUREMENTS_H_
