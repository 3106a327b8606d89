// Time that a measurement may compare on a machine with other work.

#ifndef ROPEWALK_STUDY_PROCESSOR_TIME_H_
#define ROPEWALK_STUDY_PROCESSOR_TIME_H_

#include <ctime>

namespace ropewalk::study {

// Processor seconds of all threads of this process. With one thread it is what
// a clock shows on a machine that does nothing else.
class ProcessorTimer {
 public:
  double Seconds() const {
    return static_cast<double>(std::clock() - begin_) / CLOCKS_PER_SEC;
  }

 private:
  std::clock_t begin_ = std::clock();
};

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_PROCESSOR_TIME_H_
