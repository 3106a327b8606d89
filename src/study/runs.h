// Where the rows of a study come from: a line of runs.csv for each run, which
// rows name by its index.

#ifndef ROPEWALK_STUDY_RUNS_H_
#define ROPEWALK_STUDY_RUNS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace ropewalk::study {

struct Run {
  std::string model;     // name of the file
  std::string content;   // first digits of the hash of its contents
  int64_t N = 0;         // trained length
  std::string kv_type;   // of keys and values
  std::string products;  // int or exact
  std::string hardware;
  std::string command;

  bool operator==(const Run&) const = default;
};

// One process at a time.
class Runs {
 public:
  // Reads FOLDER/runs.csv where it exists. Throws IoError, and FormatError for
  // a file that is none of ours.
  explicit Runs(std::string folder);

  // The index of a run, which is added if it is new. Throws
  // std::invalid_argument if the runs that are there are of another model, or
  // of other products or keys: their rows would stand in one mean.
  int64_t IndexOf(const Run& run);

  // Writes the file anew, atomically. Throws IoError.
  void Write() const;

  bool Has(int64_t index) const {
    return index >= 0 && index < static_cast<int64_t>(list_.size());
  }
  const std::vector<Run>& list() const { return list_; }

 private:
  std::string folder_;
  std::vector<Run> list_;
};

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_RUNS_H_
